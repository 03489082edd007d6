#!/usr/bin/env python3
"""Checks who may know whom (docs/architecture.md): include rules, import rules, file lengths.

    bindings -> ops -> {autograd, graph, kernels/*.h} -> core

Prints one line per violation and exits with 1 when there is any.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 600

# The part of kernels/ that is the seam itself, not a family: core loads backends and sets threads.
SEAM = {"kernels/types.h", "kernels/backend.h", "kernels/parallel.h", "kernels/cpu_backend.h"}

# room -> rooms whose headers it may include (beside its own)
MAY_SEE = {
    "core": set(),
    "autograd": {"core", "graph"},
    "graph": {"core"},
    "kernels": set(),
    "kernels/cpu": {"kernels"},
    "ops": {"core", "autograd", "graph", "kernels"},
    "bindings": {"core", "autograd", "graph", "ops", "kernels"},
}

# Kernel files are compiled once per instruction set: a C++ header there could leave inline
# functions built for the highest set in a shared symbol. The headers of C have none.
C_HEADERS = re.compile(r"^(std\w+|math|string|float|limits|inttypes|\w*intrin|arm_neon)\.h$")
COMPILED_ONCE = {"backend", "parallel", "dispatch", "cpu_count", "cache_size", "memory"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')

# Packages that `import deeplite` may pull in; others only inside functions (training extras), and
# torch nowhere but in the side-by-side comparison of the demo.
RUNTIME_PACKAGES = {"numpy", "safetensors", "deeplite"}
OPTIONAL_PACKAGES = {"rich", "matplotlib", "sklearn", "PIL", "scipy"}
TORCH_ALLOWED = re.compile(r"^python/deeplite/(_?demo\w*|__main__)(/|\.py$)")


def room_of(path: str) -> str:
    """The room of a path below csrc/: 'core', 'ops', 'kernels', 'kernels/cpu', ..."""
    parts = path.split("/")
    if parts[0] == "kernels" and len(parts) > 2:
        return "kernels/cpu"
    return parts[0]


def check_include(path: str, bracket: str, target: str) -> str | None:
    """Why the file `path` (below csrc/) may not include `target`; None when it may."""
    room = room_of(path)
    if "pybind11" in target and room != "bindings":
        return "only bindings/ may see pybind11"
    if bracket == "<":
        if target in {"omp.h", "torch/torch.h"}:
            return "threads come from kernels/parallel.h" if target == "omp.h" else "no torch here"
        if room == "kernels/cpu" and Path(path).stem not in COMPILED_ONCE:
            if not C_HEADERS.match(target):
                return "kernel files include C headers only"
        if room == "kernels" and not C_HEADERS.match(target):
            return "the kernel contract includes C headers only"
        return None
    if not (ROOT / "csrc" / target).is_file():
        return "no such header below csrc/ (includes are written from there)"
    other = room_of(target)
    if other == room or other in MAY_SEE[room]:
        return None
    if room == "core" and target in SEAM:
        return None
    return f"{room}/ may not know {other}/"


def check_cpp() -> list[str]:
    problems = []
    for file in sorted((ROOT / "csrc").rglob("*")):
        if file.suffix not in {".h", ".cpp"}:
            continue
        path = file.relative_to(ROOT / "csrc").as_posix()
        if room_of(path) not in MAY_SEE:
            problems.append(f"csrc/{path}: not in a known room ({', '.join(MAY_SEE)})")
            continue
        for number, line in enumerate(file.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if match and (why := check_include(path, *match.groups())):
                problems.append(f"csrc/{path}:{number}: includes {match[2]}: {why}")
    for file in sorted((ROOT / "cuda").rglob("*")) if (ROOT / "cuda").is_dir() else []:
        if file.suffix not in {".h", ".cuh", ".cu", ".cpp"}:
            continue
        path = file.relative_to(ROOT).as_posix()
        for number, line in enumerate(file.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if match and match[1] == '"' and match[2].split("/")[0] in set(MAY_SEE) - {"kernels"}:
                problems.append(f"{path}:{number}: {match[2]}: cuda/ sees only kernels/*.h")
    return problems


def imports_of(tree: ast.Module) -> list[tuple[int, str, bool]]:
    """(line, top-level package, whether it is imported when the module is) of absolute imports."""
    found = []

    def visit(node: ast.AST, at_import: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend((child.lineno, a.name.split(".")[0], at_import) for a in child.names)
            elif isinstance(child, ast.ImportFrom) and child.level == 0 and child.module:
                found.append((child.lineno, child.module.split(".")[0], at_import))
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            visit(child, at_import and not inside and not typing_only)

    visit(tree, True)
    return found


def check_python() -> list[str]:
    problems = []
    for file in sorted((ROOT / "python").rglob("*.py")):
        path = file.relative_to(ROOT).as_posix()
        for line, package, at_import in imports_of(ast.parse(file.read_text(), path)):
            if package in sys.stdlib_module_names or package in RUNTIME_PACKAGES:
                continue
            if package == "torch":
                if not TORCH_ALLOWED.match(path) or at_import:
                    problems.append(f"{path}:{line}: the library never imports torch")
            elif package not in OPTIONAL_PACKAGES:
                problems.append(f"{path}:{line}: {package} is not a dependency")
            elif at_import:
                problems.append(f"{path}:{line}: import {package} inside functions only")
    return problems


def check_lengths() -> list[str]:
    problems = []
    for room in ("csrc", "cuda", "python", "tests", "tools", "benchmarks", "examples"):
        for file in sorted((ROOT / room).rglob("*")) if (ROOT / room).is_dir() else []:
            if file.suffix in {".h", ".cpp", ".cu", ".cuh", ".py"}:
                lines = file.read_text().count("\n")
                if lines > MAX_LINES:
                    path = file.relative_to(ROOT).as_posix()
                    problems.append(f"{path}: {lines} lines; split it (limit {MAX_LINES})")
    return problems


def main() -> int:
    problems = check_cpp() + check_python() + check_lengths()
    for problem in problems:
        print(problem)
    print(f"include rules: {len(problems)} problem(s)" if problems else "include rules: ok")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
