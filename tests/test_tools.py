"""The checks of `make test` can fail: each is shown something it must object to."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parent.parent / "tools"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("path", "bracket", "target", "objection"),
    [
        ("core/tensor.cpp", '"', "core/tensor.h", None),
        ("core/device.cpp", '"', "kernels/backend.h", None),
        ("core/tensor.cpp", '"', "kernels/gemm.h", "core/ may not know kernels/"),
        ("core/tensor.cpp", '"', "ops/gemm.h", "core/ may not know ops/"),
        ("ops/gemm.cpp", '"', "kernels/gemm.h", None),
        ("ops/gemm.cpp", '"', "kernels/cpu/simd.h", "ops/ may not know kernels/cpu/"),
        ("ops/gemm.cpp", '"', "bindings/function.h", "ops/ may not know bindings/"),
        ("ops/gemm.cpp", "<", "pybind11/pybind11.h", "only bindings/ may see pybind11"),
        ("bindings/gemm.cpp", "<", "pybind11/pybind11.h", None),
        ("kernels/cpu/gemm.cpp", "<", "math.h", None),
        ("kernels/cpu/gemm.cpp", "<", "immintrin.h", None),
        ("kernels/cpu/gemm.cpp", "<", "vector", "C headers only"),
        ("kernels/cpu/gemm.cpp", "<", "omp.h", "kernels/parallel.h"),
        ("kernels/cpu/gemm.cpp", '"', "core/tensor.h", "kernels/cpu/ may not know core/"),
        ("kernels/cpu/parallel.cpp", "<", "atomic", None),
        ("kernels/gemm.h", "<", "vector", "C headers only"),
        ("ops/gemm.cpp", '"', "ops/no_such_file.h", "no such header"),
    ],
)
def test_include_rules(path, bracket, target, objection):
    answer = load("check_includes").check_include(path, bracket, target)
    if objection is None:
        assert answer is None
    else:
        assert answer is not None and objection in answer


def test_imports_are_told_apart():
    import ast

    check = load("check_includes")
    source = """
import numpy
if TYPE_CHECKING:
    import torch
def f():
    import rich.progress
"""
    found = check.imports_of(ast.parse(source))
    assert ("numpy", True) in [(name, now) for _, name, now in found]
    assert ("torch", False) in [(name, now) for _, name, now in found]
    assert ("rich", False) in [(name, now) for _, name, now in found]


KERNEL = """
namespace deeplite::cpu::DL_ISA { int gemm_table() { return 1; } }
static int helper() { return 2; }
int use() __asm__("_ZN8deeplite3cpu4avx23useEv");
int use() { return helper(); }
"""


@pytest.mark.parametrize(
    ("extra", "objection"),
    [
        ("", None),
        (
            "inline int leak() { return 3; } int (*p)() __asm__("
            '"_ZN8deeplite3cpu4avx21pE") = &leak;',
            "leak",
        ),
        ("int shared = 3;", "shared"),
        ('int* p() __asm__("_ZN8deeplite3cpu4avx21pEv"); int* p() { return new int; }', "_Znwm"),
    ],
)
@pytest.mark.skipif(not (shutil.which("c++") and shutil.which("nm")), reason="needs a compiler")
def test_leaking_symbols_are_found(tmp_path, extra, objection):
    folder = tmp_path / "deeplite_kernels_avx2.dir"
    folder.mkdir()
    (folder / "gemm.cpp").write_text(KERNEL + extra)
    subprocess.run(
        ["c++", "-std=c++20", "-DDL_ISA=avx2", "-c", "gemm.cpp", "-o", "gemm.cpp.o"],
        cwd=folder,
        check=True,
    )
    run = subprocess.run(
        [sys.executable, TOOLS / "check_isa.py", tmp_path], capture_output=True, text=True
    )
    if objection is None:
        assert run.returncode == 0, run.stdout
    else:
        assert run.returncode == 1 and objection in run.stdout, run.stdout
