"""A second backend, loaded from a shared object, runs ops and a training step through `device=`."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from backend_guard import plugins
from op_cases import OpCase
from op_testing import CASES, call, compare, compare_gradients, lib, rows, torch_runs
from test_ops_forward import first

pytestmark = pytest.mark.skipif(lib.__name__ == "torch", reason="our plug-in")
HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module", autouse=True)
def guard() -> None:
    plugins.load_guard()


@pytest.fixture(autouse=True)
def no_violation() -> None:
    """Whatever a test does, no kernel may write outside of its blocks."""
    before = plugins.counts().violations
    yield
    gc.collect()
    lib.empty_cache()  # a block is inspected when it is given back
    assert plugins.counts().violations == before, "a kernel wrote outside of its memory"


@rows("backend", lambda case: case.random is None)
def test_op(case: OpCase) -> None:
    """Every op gives on the guard what it gives on the CPU, or says that it cannot."""
    dtype = case.dtypes[0]
    for number, sample in enumerate(first(case.samples(), case.heavy)):
        try:
            call(lib, case, sample, number, dtype, device="guard")
        except NotImplementedError as e:
            assert "guard" in str(e), e  # noqa: PT017
            continue
        compare(case, sample, number, dtype, device="guard")
        if case.differentiable:
            try:
                compare_gradients(case, sample, number, "float64", device="guard")
            except NotImplementedError as e:
                assert "guard" in str(e), e  # noqa: PT017


def test_most_ops_run_on_it() -> None:
    """Unsupported is the exception: few families lack kernels on the guard."""
    refused, total = [], 0
    for case in CASES:
        if "backend" in case.skip or case.random is not None:
            continue
        for sample in first(case.samples(), 1):
            if not torch_runs(case, sample, 0, case.dtypes[0]):
                continue
            total += 1
            try:
                call(lib, case, sample, 0, case.dtypes[0], device="guard")
            except NotImplementedError:
                refused.append(case.id)
    assert total > 100
    assert len(refused) < 0.15 * total, refused


# ---------------------------------------------------------------------- tensors and moving them


def test_moving_between_backends() -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    on_cpu = lib.from_numpy(x)
    before = plugins.counts()
    there = on_cpu.to("guard")
    assert plugins.counts().copies > before.copies
    assert there.device == lib.device("guard") or str(there.device) == "guard:0"
    assert str(on_cpu.device) == "cpu"
    np.testing.assert_array_equal(there.to("cpu").numpy(), x)
    np.testing.assert_array_equal(there.cpu().numpy(), x)
    np.testing.assert_array_equal(there.t().cpu().numpy(), x.T)  # a view, moved
    np.testing.assert_array_equal(there[:, 1::2].cpu().numpy(), x[:, 1::2])
    assert there.to("guard") is there or there.to("guard").data_ptr() == there.data_ptr()
    second = there.to("guard:1")
    assert str(second.device) == "guard:1"
    np.testing.assert_array_equal(second.cpu().numpy(), x)
    half = on_cpu.to("guard", lib.float64)
    assert half.dtype == lib.float64
    np.testing.assert_array_equal(half.cpu().numpy(), x)


def test_gradients_travel_between_backends() -> None:
    x = lib.arange(6, dtype=lib.float64).requires_grad_()
    (x.to("guard") * 3).cpu().sum().backward()
    assert str(x.grad.device) == "cpu"
    np.testing.assert_array_equal(x.grad.numpy(), np.full(6, 3.0))


def test_creation_and_reading() -> None:
    for t, expected in (
        (lib.zeros(2, 3, device="guard"), np.zeros((2, 3))),
        (lib.full((2,), 7.0, device="guard"), np.full(2, 7.0)),
        (lib.arange(5, device="guard"), np.arange(5)),
        (lib.tensor([[1.0, 2.0], [3.0, 4.0]], device="guard"), np.array([[1, 2], [3, 4]])),
    ):
        assert str(t.device) == "guard:0"
        np.testing.assert_array_equal(t.cpu().numpy(), expected)
    t = lib.tensor([1.5, -2.0], device="guard")
    assert t.tolist() == [1.5, -2.0]
    assert t[1].item() == -2.0
    assert "guard" in repr(t) and "1.5" in repr(t)
    assert lib.zeros_like(t).device == t.device
    t[0] = 9.0
    assert t.tolist() == [9.0, -2.0]


def test_kernels_are_those_of_the_backend() -> None:
    x = lib.ones(4, 4, device="guard")
    before = plugins.counts().by_family
    lib.nn.functional.relu(x @ x + x).sum()
    after = plugins.counts().by_family
    grown = {family for family, n in after.items() if n > before[family]}
    assert {"elementwise", "gemm", "reduce"} <= grown


# ---------------------------------------------------------------------- refusals


def test_numpy_refuses_device_memory() -> None:
    with pytest.raises((TypeError, RuntimeError), match="guard"):
        lib.ones(2, device="guard").numpy()


def test_mixed_devices() -> None:
    a, b = lib.ones(3), lib.ones(3, device="guard")
    for function in (lib.add, lib.mul, lib.dot):
        with pytest.raises(RuntimeError, match=r"(?s)(cpu.*guard|guard.*cpu)"):
            function(a, b)
    assert (b + lib.tensor(2.0)).tolist() == [3.0, 3.0, 3.0]  # a 0-d CPU tensor is a number


def test_unsupported_kernels_say_so() -> None:
    x = lib.rand(2, 3, device="cpu").to("guard")
    with pytest.raises(NotImplementedError, match=r"erfinv.*guard"):
        lib.erfinv(x)
    with pytest.raises(NotImplementedError, match=r"layer_norm.*guard"):
        lib.nn.functional.layer_norm(x, (3,))
    np.testing.assert_array_equal((x + 0).cpu().numpy(), x.cpu().numpy())  # and life goes on


def test_absent_devices() -> None:
    with pytest.raises(RuntimeError, match="cuda"):
        lib.ones(2, device="cuda")
    with pytest.raises(RuntimeError, match="nowhere"):
        lib.ones(2).to("nowhere")
    with pytest.raises(RuntimeError, match=r"guard:7.*2 device"):
        lib.ones(2, device="guard:7")
    with pytest.raises(RuntimeError, match="device"):
        lib.ones(2, device="guard:x")


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (1, "dl_backend_init"),
        (2, "refused|no device"),
        (3, "version"),
        (4, "bytes|size"),
        (5, "mandatory|null"),
        (6, "cpu.*already|taken"),
    ],
)
def test_broken_plugins_are_refused(how: int, why: str) -> None:
    names = lib.backends.names()
    with pytest.raises(RuntimeError, match=why):
        lib.backends.load(plugins.build_broken(how))
    assert lib.backends.names() == names


def test_files_that_are_no_plugins(tmp_path: Path) -> None:
    text = tmp_path / "text.so"
    text.write_text("not a shared object")
    for path in (tmp_path / "missing.so", text):
        with pytest.raises(RuntimeError, match=path.name):
            lib.backends.load(path)


def test_backend_without_memory_or_kernels() -> None:
    if "barren" not in lib.backends.names():
        assert lib.backends.load(plugins.build_broken(7)) == "barren"
    with pytest.raises((RuntimeError, MemoryError), match="barren"):
        lib.ones(2, device="barren")


def test_guard_loaded_twice() -> None:
    with pytest.raises(RuntimeError, match="already"):
        lib.backends.load(plugins.build_guard())


# ---------------------------------------------------------------------- training on it


def lenet_step(device: str) -> tuple[float, list[np.ndarray]]:
    from deeplite.models import LeNet5

    lib.manual_seed(3)
    model = LeNet5().to(device)
    sgd = lib.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    rng = np.random.default_rng(0)
    x = lib.from_numpy(rng.standard_normal((4, 1, 32, 32)).astype(np.float32)).to(device)
    y = lib.from_numpy(rng.integers(0, 10, 4)).to(device)
    for _ in range(2):
        sgd.zero_grad()
        loss = lib.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        sgd.step()
    return loss.item(), [p.detach().cpu().numpy().copy() for p in model.parameters()]


def test_lenet_step() -> None:
    before = plugins.counts().by_family
    loss, weights = lenet_step("guard")
    after = plugins.counts().by_family
    expected, expected_weights = lenet_step("cpu")
    assert loss == pytest.approx(expected, rel=1e-5)
    for a, b in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    for family in ("elementwise", "conv", "pool", "gemm", "optim"):
        assert after[family] > before[family], family


def test_memory_comes_back() -> None:
    lenet_step("guard")
    gc.collect()
    lib.empty_cache()
    live = plugins.counts().live
    lenet_step("guard")
    gc.collect()
    lib.empty_cache()
    assert plugins.counts().live == live


def test_nothing_touches_device_memory_directly() -> None:
    """With the device's memory sealed, any read from the host side kills the process."""
    code = """
        import faulthandler; faulthandler.enable()
        import numpy as np
        from backend_guard import plugins
        from backend_guard.test_guard import lenet_step, lib
        plugins.load_guard()
        loss, _ = lenet_step("guard")
        x = lib.arange(12.0, device="guard").reshape(3, 4)
        repr(x), x.tolist(), x.sum().item(), x[x > 3], x.argmax(), x[1], x.unique(), x.sort()
        print("alive", loss)
    """
    done = run_python(code, DL_GUARD_SEAL="1")
    assert done.returncode == 0 and "alive" in done.stdout, done.stderr[-3000:]


def test_seal_and_fence_catch_what_they_should() -> None:
    sealed = """
        import ctypes
        from backend_guard import plugins
        from op_testing import lib
        plugins.load_guard()
        x = lib.ones(4, device="guard")
        ctypes.string_at(x.data_ptr(), 4)
    """
    assert run_python(sealed, DL_GUARD_SEAL="1").returncode < 0  # died of a signal
    fenced = """
        import ctypes, gc
        from backend_guard import plugins
        from op_testing import lib
        guard = plugins.load_guard()
        x = lib.ones(16, device="guard")  # 64 bytes: nothing between the data and the fence
        guard.guard_poke(ctypes.c_void_p(x.data_ptr() + 64))
        del x; gc.collect(); lib.empty_cache()
        print("violations", plugins.counts().violations)
    """
    done = run_python(fenced)
    assert "violations 1" in done.stdout, (done.stdout, done.stderr[-2000:])


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(HERE.parent), *sys.path])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
