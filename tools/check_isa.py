#!/usr/bin/env python3
"""Checks object files: nothing compiled for one instruction set may be reached under a shared name.

    tools/check_isa.py BUILD_DIR...

The linker keeps one copy of a weak (inline, template) symbol. Were it the AVX-512 copy, a plain
x86-64 machine would crash far from any kernel. So every symbol that a kernel object defines and
others can see has to lie in the namespace of its own set, deeplite::cpu::<isa>. Kernel objects may
not need the C++ library either: what they call has to be C, or ours.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CPP_RUNTIME = re.compile(r"^_?(_ZSt|_ZNSt|_ZNKSt|_Zn[aw]|_Zd[al]|__cxa|__gxx|_Unwind|GOMP_|omp_)")


def symbols(nm: str, objects: list[Path]) -> list[tuple[str, str, str]]:
    """(object file, type letter, mangled name) of every symbol."""
    text = subprocess.run(
        [nm, "-A", *map(str, objects)], check=True, capture_output=True, text=True
    ).stdout
    found = []
    for line in text.splitlines():
        file, rest = line.split(".o:", 1)
        fields = rest.split()
        kind, name = fields[-2], fields[-1]
        found.append((Path(file).name, kind, name))
    return found


def check_set(isa: str, found: list[tuple[str, str, str]]) -> list[str]:
    own = re.compile(rf"^_?_ZNK?8deeplite3cpu{len(isa)}{isa}")
    problems = []
    for file, kind, name in found:
        if kind == "U":
            if CPP_RUNTIME.match(name):
                problems.append(f"{isa}/{file}: needs {name}, of a C++ or OpenMP run-time")
        elif (kind.isupper() or kind == "u") and not own.match(name):
            problems.append(f"{isa}/{file}: defines {name} ({kind}) outside deeplite::cpu::{isa}")
    return problems


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    sets: dict[str, list[Path]] = {}
    for file in sorted(o for folder in sys.argv[1:] for o in Path(folder).rglob("*.o")):
        match = re.search(r"deeplite_kernels_(\w+)\.dir", file.as_posix())
        if match and match[1] != "once":
            sets.setdefault(match[1], []).append(file)
    if not sets:
        print(f"no kernel objects below {', '.join(sys.argv[1:])}")
        return 2
    problems: list[str] = []
    checked = 0
    for isa, objects in sets.items():
        found = symbols("nm", objects)
        checked += len(found)
        problems += check_set(isa, found)
    for problem in problems:
        print(problem)
    count = sum(map(len, sets.values()))
    verdict = f"{len(problems)} problem(s)" if problems else "ok"
    print(f"instruction sets: {', '.join(sets)}: {count} objects, {checked} symbols: {verdict}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
