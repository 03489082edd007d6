"""Builds the plug-in backends of this directory with the system's compiler, and caches them."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
KERNELS = ROOT / "csrc" / "kernels"
CACHE = ROOT / "build" / "plugins"
FLAGS = ["-std=c++20", "-fPIC", "-fvisibility=hidden", "-O1", f"-I{ROOT / 'csrc'}", "-Wno-psabi"]
FAMILIES = [
    "elementwise", "reduce", "gemm", "conv", "pool", "softmax", "loss", "index", "random", "optim",
]  # fmt: skip


class Counts(ctypes.Structure):
    """What guard.cpp counts; `by_family` splits the kernel calls."""

    _fields_ = [
        (name, ctypes.c_int64)
        for name in ("live", "live_bytes", "allocations", "copies", "violations")
    ] + [("calls", ctypes.c_int64 * 16)]

    @property
    def by_family(self) -> dict[str, int]:
        return dict(zip(FAMILIES, self.calls, strict=False))


def compiler() -> str:
    found = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if not found:
        pytest.skip("no C++ compiler")
    return found


def build_guard() -> Path:
    """The guard backend with all reference kernels inside."""
    kernels = sorted((KERNELS / "cpu" / "reference").glob("*.cpp"))
    once = [KERNELS / "cpu" / f"{stem}.cpp" for stem in ("tables", "parallel", "cpu_count")]
    return _build("guard", [HERE / "guard.cpp", *once, *kernels], ["-DDL_ISA=reference"])


def build_broken(how: int) -> Path:
    return _build(f"broken{how}", [HERE / "broken.cpp"], [f"-DBROKEN={how}"])


def _build(name: str, sources: list[Path], defines: list[str]) -> Path:
    digest = hashlib.sha256(" ".join(defines).encode())
    for path in sorted({*sources, *KERNELS.rglob("*.h")}):
        digest.update(path.read_bytes())
    CACHE.mkdir(parents=True, exist_ok=True)
    library = CACHE / f"{name}-{digest.hexdigest()[:16]}.so"
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # workers of one test run share the result
        if not library.exists():
            for old in CACHE.glob(f"{name}-*.so"):
                old.unlink()
            _compile(library, sources, defines)
    return library


def _compile(library: Path, sources: list[Path], defines: list[str]) -> None:
    def one(source: Path) -> Path:
        target = library.with_suffix(f".{source.parent.name}.{source.stem}.o")
        command = [compiler(), *FLAGS, *defines, "-c", str(source), "-o", str(target)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr[-3000:]}"
        return target

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(one, sources))
    partial = library.with_suffix(".partial")
    command = [compiler(), "-shared", "-pthread", "-o", str(partial), *map(str, objects)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    for o in objects:
        o.unlink()
    partial.rename(library)


_guard: Path | None = None


def load_guard() -> ctypes.CDLL:
    """Loads the guard backend into deeplite (once per process) and gives its test interface."""
    global _guard
    import deeplite

    if _guard is None:
        _guard = build_guard()
        assert deeplite.backends.load(_guard) == "guard"
    return ctypes.CDLL(str(_guard))


def counts() -> Counts:
    now = Counts()
    load_guard().guard_counts(ctypes.byref(now))
    return now
