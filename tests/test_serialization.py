"""save and load: round trips, other readers, atomic writing, hostile files."""

from __future__ import annotations

import errno
import io
import json
import os
import struct
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import deeplite
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

DTYPES = "float64 float32 bfloat16 float16 int64 int32 int16 int8 uint8 bool".split()


def equal(a: Any, b: Any) -> bool:
    if isinstance(b, deeplite.Tensor):
        return (
            isinstance(a, deeplite.Tensor)
            and a.dtype == b.dtype
            and a.shape == b.shape
            and a._to_bytes() == b._to_bytes()
        )
    if isinstance(b, dict):
        return list(a) == list(b) and all(equal(a[k], b[k]) for k in b)
    if isinstance(b, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return type(a) is type(b) and (a == b or a != a and b != b)


def example() -> dict[str, Any]:
    return {
        "model": {
            f"w.{d}": deeplite.arange(6).reshape(2, 3).to(getattr(deeplite, d)) for d in DTYPES
        },
        "empty": deeplite.zeros(0, 4),
        "scalar": deeplite.tensor(2.5, dtype=deeplite.bfloat16),
        "optimizer": {
            "state": {0: {"step": deeplite.tensor(3.0)}, 7: {}},
            "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "foreach": None, "params": [0, 1]}],
        },
        "numbers": [1, -(2**70), 1.5, float("inf"), float("nan"), True, None, "text", "\u00e9\n"],
        3: "int key",
        None: "none key",
        True: "bool key",
        1.5: "float key",
        "": {},
        "nothing": [],
        "tuple": (),
    }


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "all.safetensors"
    deeplite.save(example(), path)
    assert equal(deeplite.load(path), example())
    deeplite.save(example(), str(path))
    assert equal(deeplite.load(str(path)), example())
    stream = io.BytesIO()
    deeplite.save(example(), stream)
    stream.seek(0)
    assert equal(deeplite.load(stream), example())
    for single in (deeplite.ones(3), [deeplite.ones(1)], 5, "x", None, {}, OrderedDict()):
        deeplite.save(single, path)
        expected = dict(single) if isinstance(single, OrderedDict) else single
        assert equal(deeplite.load(path), expected)


def test_layouts_and_sharing(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    base = deeplite.arange(12.0).reshape(3, 4)
    tied = deeplite.ones(1000)
    obj = {
        "t": base.t(),
        "part": base[1:, ::2],
        "expanded": deeplite.ones(1, 3).expand(4, 3),
        "a": tied,
        "b": tied,
        "view": tied.reshape(10, 100),
        "grad": deeplite.ones(2, requires_grad=True) * 2,
        "param": deeplite.nn.Parameter(deeplite.ones(2)),
        "array_scalar": np.float64(1.5),
    }
    deeplite.save(obj, path)
    back = deeplite.load(path)
    assert back["a"] is back["b"] and back["view"] is not back["a"]
    assert path.stat().st_size < 2 * 4000 + 2000  # what is tied is stored once
    for key in ("t", "part", "expanded", "view"):
        assert back[key].is_contiguous()
        np.testing.assert_array_equal(back[key].numpy(), obj[key].numpy())
    assert not back["grad"].requires_grad and type(back["param"]) is deeplite.Tensor
    assert back["array_scalar"] == 1.5
    back["a"].add_(1)  # loaded tensors are writable


def test_other_readers(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    path = tmp_path / "t.safetensors"
    obj = {d: deeplite.arange(6).reshape(2, 3).to(getattr(deeplite, d)) for d in DTYPES}
    deeplite.save(obj, path)
    read = load_file(path)
    assert set(read) == set(DTYPES)
    for d in DTYPES:
        assert read[d].dtype == getattr(torch, d)
        np.testing.assert_array_equal(read[d].double().numpy(), obj[d].double().numpy())
    save_file(read, path, metadata={"format": "pt"})
    back = deeplite.load(path)
    assert all(equal(back[d], obj[d]) for d in DTYPES)


def test_model_and_optimizer(tmp_path: Path) -> None:
    nn = deeplite.nn
    path = tmp_path / "checkpoint.safetensors"

    def make() -> tuple[Any, Any]:
        net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
        return net, deeplite.optim.AdamW(net.parameters(), lr=0.1, amsgrad=True)

    def step(net: Any, optimizer: Any) -> None:
        optimizer.zero_grad()
        x = deeplite.arange(12, dtype=deeplite.float64).reshape(4, 3)
        (net(x) ** 2).sum().backward()
        optimizer.step()

    a, b = make(), make()
    for _ in range(3):
        step(*a)
    deeplite.save({"net": a[0].state_dict(), "optimizer": a[1].state_dict()}, path)
    state = deeplite.load(path)
    b[0].load_state_dict(state["net"])
    b[1].load_state_dict(state["optimizer"])
    for _ in range(3):
        step(*a)
        step(*b)
    assert equal(dict(b[0].state_dict()), dict(a[0].state_dict()))


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    path.write_bytes(b"old")
    for obj, message in (
        ({"a": {"b": object()}}, "entry 'a.b' is a object"),
        ({"a": [1, {2, 3}]}, "entry 'a.1' is a set"),
        ({("a", 1): 2}, "tuple; keys"),
        ({"f": print}, "'f'"),
        (b"bytes", "bytes"),
        ({"a": np.zeros(3)}, "ndarray"),
    ):
        with pytest.raises(TypeError, match=message):
            deeplite.save(obj, path)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["t.safetensors"]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "t.safetensors"
    deeplite.save({"v": 1}, path)
    good = path.read_bytes()

    def disk_full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, disk_full if name == "fsync" else lambda a, b: disk_full(0))
            with pytest.raises(OSError, match="No space"):
                deeplite.save({"v": deeplite.ones(1000)}, path)
        assert path.read_bytes() == good and os.listdir(tmp_path) == ["t.safetensors"]
    with pytest.raises(OSError):
        deeplite.save({}, tmp_path / "no" / "such" / "folder")
    with pytest.raises(OSError):
        deeplite.save({}, tmp_path)  # a directory


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_an_os_error() -> None:
    with pytest.raises(OSError), open("/dev/full", "wb", buffering=0) as file:
        deeplite.save({"v": deeplite.ones(100000)}, file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_written_into_and_stays_one(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    deeplite.save({"v": 2}, pipe)
    assert pipe.is_fifo()
    reader.join(timeout=30)
    assert deeplite.load(io.BytesIO(read[0])) == {"v": 2}


def test_replaces_what_a_link_points_to(tmp_path: Path) -> None:
    target, link = tmp_path / "real.safetensors", tmp_path / "link.safetensors"
    deeplite.save({"v": 1}, target)
    os.chmod(target, 0o640)
    link.symlink_to(target)
    deeplite.save({"v": 2}, link)
    assert link.is_symlink() and deeplite.load(target) == {"v": 2}
    assert target.stat().st_mode & 0o777 == 0o640


def valid() -> bytes:
    stream = io.BytesIO()
    deeplite.save({"w": deeplite.ones(3, 4), "n": {"lr": 0.1}}, stream)
    return stream.getvalue()


def file_of(header: Any, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(dtype: str = "F32", shape: Any = (1,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"w": {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}}


def with_tree(text: str) -> bytes:
    return file_of({"__metadata__": {"deeplite": text}, **entry()}, b"\0" * 4)


HOSTILE = {
    "empty": b"",
    "short": b"\1\2\3",
    "huge header": struct.pack("<Q", 2**63) + b"{}",
    "no json": file_of(b"\x80\x04pickle"),
    "deep json": file_of(b"[" * 100_000),
    "a list": file_of([]),
    "offsets outside": file_of(entry(offsets=(0, 400)), b"\0" * 4),
    "offsets reversed": file_of(entry(offsets=(4, 0)), b"\0" * 4),
    "wrong size": file_of(entry(shape=(5,)), b"\0" * 4),
    "overflowing shape": file_of(entry(shape=(2**40, 2**40)), b"\0" * 4),
    "negative shape": file_of(entry(shape=(-1,)), b"\0" * 4),
    "unknown dtype": file_of(entry(dtype="F128"), b"\0" * 4),
    "unsupported dtype": file_of(entry(dtype="F8_E4M3", shape=(4,)), b"\0" * 4),
    "left-over data": file_of(entry(), b"\0" * 8),
    "tree: no json": with_tree("{"),
    "tree: no tree": with_tree("{}"),
    "tree: a list": with_tree("[]"),
    "tree: unknown tensor": with_tree('{"tree": ["tensor", "nope"]}'),
    "tree: unknown kind": with_tree('{"tree": ["pickle", "x"]}'),
    "tree: odd dict": with_tree('{"tree": ["dict", [1]]}'),
    "tree: unhashable key": with_tree('{"tree": ["dict", [[[1], 2]]]}'),
    "tree: deep": with_tree('{"tree": ' + '["list", [' * 50_000 + "]]" * 50_000 + "}"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(RuntimeError, match="bad.safetensors"):
        deeplite.load(path)


def test_truncated_files(tmp_path: Path) -> None:
    content = valid()
    for length in range(0, len(content), 7):
        path = tmp_path / "cut.safetensors"
        path.write_bytes(content[:length])
        with pytest.raises(RuntimeError, match="not a valid safetensors file, or is truncated"):
            deeplite.load(path)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damaged_files_never_crash(noise: bytes, at: int) -> None:
    content = bytearray(valid())
    at %= len(content)
    content[at : at + len(noise)] = noise
    try:
        deeplite.load(io.BytesIO(bytes(content)))
    except RuntimeError:
        pass


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        deeplite.load(tmp_path / "nope")
