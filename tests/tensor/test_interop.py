"""NumPy, the buffer protocol and DLPack, both ways; pickling and copying."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import sys
import weakref
from typing import Any

import numpy as np
import pytest
from op_testing import dtype_name, lib, torch

NUMPY_DTYPES = ["float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]
OURS = pytest.mark.skipif(lib.__name__ == "torch", reason="stricter than torch")


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_from_numpy_and_back_share_memory(dtype: str) -> None:
    a = np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
    t = lib.from_numpy(a)
    assert dtype_name(t.dtype) == dtype and t.tolist() == a.tolist()
    t[0, 0] = 1
    assert a[0, 0] == 1
    b = t.numpy()
    assert b.dtype == a.dtype and np.shares_memory(a, b)
    b[1, 1] = 0
    assert t[1, 1].item() == 0


def test_strided_arrays() -> None:
    a = np.arange(24.0).reshape(4, 6)
    for view in (a.T, a[::2], a[:, 1::3], a[1:, 2], a[None]):
        t = lib.from_numpy(view)
        np.testing.assert_array_equal(t.numpy(), view)
        assert np.shares_memory(t.numpy(), a)
    t = lib.from_numpy(a).t()[1:, ::2]
    assert t.numpy().strides == a.T[1:, ::2].strides
    with pytest.raises((ValueError, RuntimeError), match="negative|stride"):
        lib.from_numpy(a[::-1])
    np.testing.assert_array_equal(lib.tensor(a[::-1].copy()).numpy(), a[::-1])


def test_broadcast_and_empty_arrays() -> None:
    wide = np.broadcast_to(np.arange(3.0), (2, 3))
    np.testing.assert_array_equal(lib.tensor(wide).numpy(), wide)
    for shape in ((0,), (2, 0), (0, 3)):
        assert lib.from_numpy(np.empty(shape)).shape == shape
        assert lib.empty(shape).numpy().shape == shape
    assert lib.from_numpy(np.array(3.0)).shape == ()


@OURS
def test_read_only_arrays_stay_as_they_are() -> None:
    a = np.arange(3.0)
    a.flags.writeable = False
    try:
        t = lib.from_numpy(a)
    except (TypeError, ValueError, RuntimeError, BufferError) as e:
        assert "writ" in str(e) or "read" in str(e)  # noqa: PT017
    else:
        with pytest.raises(RuntimeError, match="writ|read"):
            t.add_(1)
    assert a.tolist() == [0, 1, 2]


def test_other_byte_order() -> None:
    with pytest.raises((TypeError, ValueError)):
        lib.from_numpy(np.arange(3).astype(">i8"))


def test_memory_outlives_its_maker() -> None:
    t = lib.from_numpy(np.arange(1000.0))
    a = lib.arange(1000.0).numpy()
    gc.collect()
    junk = [np.zeros(1000) for _ in range(20)]
    assert t[999].item() == 999 and a[999] == 999 and len(junk) == 20


def test_no_leak_through_numpy() -> None:
    a = np.arange(10.0)
    before = sys.getrefcount(a)
    t = lib.from_numpy(a)
    del t
    gc.collect()
    assert sys.getrefcount(a) == before
    t = lib.ones(10)
    b = t.numpy()
    alive = weakref.ref(t)
    del t
    gc.collect()
    assert b.sum() == 10
    del b
    gc.collect()
    assert alive() is None


def test_numpy_of_what_requires_grad() -> None:
    x = lib.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="detach"):
        x.numpy()
    assert x.detach().numpy().sum() == 3


def test_array_protocol() -> None:
    t = lib.arange(6.0).reshape(2, 3)
    a = np.asarray(t)
    assert np.shares_memory(a, t.numpy())
    assert np.asarray(t, dtype=np.float64).dtype == np.float64
    assert not np.shares_memory(np.array(t), t.numpy())
    assert np.add(t.numpy(), 1).tolist() == (t + 1).tolist()
    assert np.sum(np.asarray(t)) == 15


@OURS
def test_buffer_protocol() -> None:
    t = lib.arange(6, dtype=lib.int32).reshape(2, 3)
    view = memoryview(t)
    assert view.shape == (2, 3) and view.format == "i" and view.tolist() == t.tolist()
    view[1, 2] = 9
    assert t[1, 2].item() == 9
    del t
    assert view.tolist()[0] == [0, 1, 2]
    with pytest.raises((BufferError, RuntimeError, TypeError)):
        memoryview(lib.ones(2, requires_grad=True) * 2)


def test_frombuffer() -> None:
    data = bytearray(np.arange(4, dtype=np.float32).tobytes())
    t = lib.frombuffer(data, dtype=lib.float32)
    assert t.tolist() == [0, 1, 2, 3]
    assert lib.frombuffer(data, dtype=lib.float32, count=2, offset=4).tolist() == [1, 2]
    with pytest.raises(ValueError, match="(?i)buffer|size|offset"):
        lib.frombuffer(data, dtype=lib.float32, offset=99)


# ---------------------------------------------------------------------- DLPack


DLPACK_DTYPES = [d for d in NUMPY_DTYPES if d != "bool"]


@pytest.mark.parametrize("dtype", [*DLPACK_DTYPES, "bool"])
def test_dlpack_with_numpy(dtype: str) -> None:
    t = lib.tensor([[0, 1], [1, 0]]).to(getattr(lib, dtype))
    a = np.from_dlpack(t)
    assert a.dtype == np.dtype(dtype) and a.tolist() == t.tolist()
    assert a.__array_interface__["data"][0] == t.data_ptr()
    back = lib.from_dlpack(np.ones(3, dtype))
    assert dtype_name(back.dtype) == dtype and back.shape == (3,)


@pytest.mark.parametrize("dtype", [*DLPACK_DTYPES, "bfloat16", "bool"])
def test_dlpack_with_torch(dtype: str) -> None:
    mine = lib.tensor([[0, 1, 1], [1, 0, 1]]).to(getattr(lib, dtype))
    theirs = torch.from_dlpack(mine)
    assert dtype_name(theirs.dtype) == dtype
    assert theirs.data_ptr() == mine.data_ptr()
    again = lib.from_dlpack(theirs.t()[1:])
    assert again.tolist() == theirs.t()[1:].tolist() and again.stride() == theirs.t().stride()
    assert again.data_ptr() == theirs.t()[1:].data_ptr()


def test_dlpack_writes_are_shared() -> None:
    theirs = torch.zeros(3)
    mine = lib.from_dlpack(theirs)
    mine += 2
    assert theirs.tolist() == [2, 2, 2]
    del theirs
    gc.collect()
    assert mine.tolist() == [2, 2, 2]


def test_dlpack_device_and_versions() -> None:
    t = lib.ones(2)
    assert t.__dlpack_device__() == (1, 0)
    assert "dltensor_versioned" in repr(t.__dlpack__(max_version=(1, 0)))
    assert "dltensor_versioned" not in repr(t.__dlpack__())
    with pytest.raises((BufferError, RuntimeError, TypeError)):
        (lib.ones(2, requires_grad=True) * 1).__dlpack__()


def test_dlpack_copy() -> None:
    t = lib.ones(2)
    a = np.from_dlpack(t, copy=True)
    a[0] = 5
    assert t.tolist() == [1, 1]


@OURS
@pytest.mark.parametrize("version", [None, (1, 0)])
def test_unconsumed_capsules_free_their_tensor(version: Any) -> None:
    lib.empty_cache()
    before = lib.memory_stats()["allocated_bytes"]
    for _ in range(50):
        capsule = lib.zeros(10_000).__dlpack__(max_version=version)
        del capsule
    gc.collect()
    assert lib.memory_stats()["allocated_bytes"] <= before


@OURS
def test_capsules_are_consumed_once() -> None:
    t = lib.ones(3)
    capsule = t.__dlpack__()
    first = lib.from_dlpack(capsule)
    with pytest.raises(
        (ValueError, RuntimeError, BufferError, TypeError), match="(?i)capsule|dlpack"
    ):
        lib.from_dlpack(capsule)
    assert first.tolist() == [1, 1, 1]


@OURS
def test_hostile_dlpack_producers() -> None:
    class Raises:
        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

        def __dlpack__(self, **_: Any) -> Any:
            raise ZeroDivisionError("producer")

    class Elsewhere(Raises):
        def __dlpack_device__(self) -> tuple[int, int]:
            return (2, 0)

    class Nonsense(Raises):
        def __dlpack__(self, **_: Any) -> Any:
            return 42

    with pytest.raises(ZeroDivisionError):
        lib.from_dlpack(Raises())
    for bad in (Elsewhere(), Nonsense(), object(), None, 3):
        with pytest.raises((TypeError, RuntimeError, BufferError, ValueError, ZeroDivisionError)):
            lib.from_dlpack(bad)
    with pytest.raises((TypeError, RuntimeError, BufferError, ValueError)):
        lib.from_dlpack(np.ones(2, complex))


def test_no_leak_through_dlpack() -> None:
    a = np.ones(10)
    before = sys.getrefcount(a)
    for _ in range(10):
        lib.from_dlpack(a)
    gc.collect()
    assert sys.getrefcount(a) == before


# ---------------------------------------------------------------------- pickle and copies


@pytest.mark.parametrize("dtype", [*NUMPY_DTYPES, "bfloat16"])
def test_pickle(dtype: str) -> None:
    t = lib.tensor([[0, 1], [2, 3]]).to(getattr(lib, dtype)).t()
    for protocol in (2, 4, 5):
        back = pickle.loads(pickle.dumps(t, protocol))
        assert back.dtype == t.dtype and back.tolist() == t.tolist()
        assert back.data_ptr() != t.data_ptr()


def test_pickle_keeps_requires_grad_and_parameters() -> None:
    x = lib.ones(2, requires_grad=True)
    assert pickle.loads(pickle.dumps(x)).requires_grad
    p = lib.nn.Parameter(lib.ones(2))
    back = pickle.loads(pickle.dumps(p))
    assert isinstance(back, lib.nn.Parameter) and back.requires_grad
    assert not pickle.loads(pickle.dumps(lib.ones(2))).requires_grad


def test_pickle_of_a_slice_holds_only_the_slice() -> None:
    big = lib.zeros(100_000)
    if lib.__name__ != "torch":
        assert len(pickle.dumps(big[:2])) < 5_000
    assert pickle.loads(pickle.dumps(big[:2])).tolist() == [0, 0]


def test_truncated_pickles_raise() -> None:
    data = pickle.dumps(lib.arange(100.0))
    for n in (0, 1, len(data) // 2, len(data) - 1):
        with pytest.raises((EOFError, pickle.UnpicklingError, ValueError, TypeError, RuntimeError)):
            pickle.load(io.BytesIO(data[:n]))


def test_copy_and_deepcopy() -> None:
    x = lib.arange(3.0).requires_grad_()
    shallow, deep = copy.copy(x), copy.deepcopy(x)
    assert shallow.data_ptr() == x.data_ptr()
    assert deep.data_ptr() != x.data_ptr() and deep.requires_grad and deep.is_leaf
    pair = copy.deepcopy([x, x])
    assert pair[0] is pair[1]
    with pytest.raises(RuntimeError, match="(?i)deepcopy|leaf|leaves"):
        copy.deepcopy(x * 2)
    clone = x.clone()
    assert clone.grad_fn is not None and clone.data_ptr() != x.data_ptr()


def test_dtypes_sizes_and_devices_pickle() -> None:
    for thing in (lib.float32, lib.bool, lib.Size([1, 2]), lib.device("cpu")):
        assert pickle.loads(pickle.dumps(thing)) == thing
        assert copy.deepcopy(thing) == thing
    assert pickle.loads(pickle.dumps(lib.float32)) is lib.float32
