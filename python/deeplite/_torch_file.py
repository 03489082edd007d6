"""torch's files, read without torch: the zip archives of today and the format before version 1.6.

Both hold a pickle that describes the object and, apart from it, the raw bytes of each storage. The
pickle is read by :mod:`deeplite._unpickle`, which makes tensors and plain data and nothing else.
Every size that a file states is checked against the bytes that are there.
"""

from __future__ import annotations

import io
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import deeplite
from deeplite import Tensor

from ._unpickle import Global, UnpicklingError, loads

__all__ = ["is_legacy", "is_zip", "read_legacy", "read_zip"]

_MAGIC = 0x1950A86A20F9469CFC6C  # the first object of a file in the old format
_MAGIC_BYTES = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
_PROTOCOL = 1001

_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_OTHER_STORAGES = (
    "ComplexDoubleStorage", "ComplexFloatStorage", "QInt8Storage", "QInt32Storage",
    "QUInt8Storage", "QUInt4x2Storage", "QUInt2x4Storage",
)  # fmt: skip
_OTHER_DTYPES = (
    "complex32", "complex64", "complex128", "uint16", "uint32", "uint64", "qint8", "quint8",
    "qint32", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz",
)  # fmt: skip


def is_zip(start: bytes) -> bool:
    return start[:4] in (b"PK\x03\x04", b"PK\x05\x06")


def is_legacy(start: bytes) -> bool:
    """A pickle of protocol 2 or later whose first object is torch's magic number."""
    return start[:1] == b"\x80" and start[2 : 2 + len(_MAGIC_BYTES)] == _MAGIC_BYTES


# ---------------------------------------------------------------------- tensors out of pickles


class _Kind(NamedTuple):
    """What the pickle calls the type of a storage; dtype is None for bytes of no type."""

    name: str
    dtype: str | None


class _Storage:
    """The elements of one storage: bytes of the file until a tensor asks for them."""

    def __init__(self, name: str, dtype: str | None, nbytes: int) -> None:
        self.name, self.dtype, self.nbytes = name, dtype, nbytes
        self.flat: dict[str, Tensor] = {}


class _Numbers:
    """Makes tensors on storages. ``fetch(storage, dtype)`` gives its elements, one-dimensional;
    None makes no tensors (a first pass that only collects storages)."""

    def __init__(self, shown: str, fetch: Callable[[_Storage, str], Tensor] | None) -> None:
        self.shown, self.fetch = shown, fetch

    def names(self) -> dict[tuple[str, str], Global]:
        table = {
            ("torch._utils", "_rebuild_tensor"): Global(self.tensor),
            ("torch._utils", "_rebuild_tensor_v2"): Global(self.tensor),
            ("torch._utils", "_rebuild_tensor_v3"): Global(self.tensor_v3),
            ("torch._utils", "_rebuild_parameter"): Global(self.parameter),
            ("torch._utils", "_rebuild_parameter_with_state"): Global(self.parameter),
            ("torch._tensor", "_rebuild_from_type_v2"): Global(self.of_type),
            ("torch", "Size"): Global(lambda items=(): tuple(int(n) for n in items)),
            ("torch", "device"): Global(lambda *a: ":".join(str(part) for part in a)),
            ("torch", "Tensor"): Global(value=_Kind("Tensor", None)),
            ("torch.nn.parameter", "Parameter"): Global(value=_Kind("Parameter", None)),
            ("torch.serialization", "_get_layout"): Global(lambda name: str(name)),
            ("torch", "strided"): Global(value="strided"),
            **numpy_names(),
        }
        for module in ("torch.storage", "torch"):
            table[module, "UntypedStorage"] = Global(value=_Kind("UntypedStorage", None))
        for name, dtype in _STORAGES.items():
            table["torch", name] = Global(value=_Kind(name, dtype))
            table["torch.cuda", name] = Global(value=_Kind(name, dtype))
        for name in _OTHER_STORAGES:
            table["torch", name] = Global(value=_Kind(name, f"of {name}"))
        for dtype in _STORAGES.values():
            table["torch", dtype] = Global(value=getattr(deeplite, dtype))
        for dtype in _OTHER_DTYPES:
            table["torch", dtype] = Global(value=_Kind(dtype, f"of dtype {dtype}"))
        return table

    def tensor(
        self, storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False,
        backward_hooks: Any = None, metadata: Any = None,
    ) -> Tensor:  # fmt: skip
        if not isinstance(storage, _Storage):
            raise UnpicklingError(f"{self.shown} is damaged: a tensor on what is no storage")
        if storage.dtype is None:
            raise UnpicklingError(f"{self.shown} is damaged: storage {storage.name} has no dtype")
        return self.view(storage, storage.dtype, offset, size, stride, requires_grad)

    def tensor_v3(
        self, storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any,
        backward_hooks: Any, dtype: Any, metadata: Any = None,
    ) -> Tensor:  # fmt: skip
        if not isinstance(storage, _Storage):
            raise UnpicklingError(f"{self.shown} is damaged: a tensor on what is no storage")
        name = dtype.dtype if isinstance(dtype, _Kind) else str(dtype).rpartition(".")[2]
        return self.view(storage, name or "of no dtype", offset, size, stride, requires_grad)

    def view(
        self, storage: _Storage, dtype: str, offset: Any, size: Any, stride: Any, requires_grad: Any
    ) -> Tensor:
        if dtype not in _STORAGES.values():
            raise UnpicklingError(
                f"{self.shown} holds a tensor {dtype}, which is not supported (supported: "
                f"{', '.join(_STORAGES.values())})"
            )
        numbers = (offset, *size, *stride)
        if len(size) != len(stride) or not all(type(n) is int and n >= 0 for n in numbers):
            raise UnpicklingError(
                f"{self.shown} is damaged: a tensor of size {size}, stride {stride}, offset "
                f"{offset}"
            )
        count = storage.nbytes // getattr(deeplite, dtype).itemsize
        last = offset + sum((n - 1) * step for n, step in zip(size, stride))
        if 0 in size:
            last, offset = -1, min(offset, count)
        if last >= count:
            raise UnpicklingError(
                f"{self.shown} is damaged: a tensor of size {tuple(size)} and stride "
                f"{tuple(stride)} reaches element {last} of storage {storage.name}, which has "
                f"{count}"
            )
        if self.fetch is None:
            return deeplite.empty(0)
        if dtype not in storage.flat:
            storage.flat[dtype] = self.fetch(storage, dtype)
        made = storage.flat[dtype].as_strided(tuple(size), tuple(stride), offset)
        return made.requires_grad_() if requires_grad is True else made

    def parameter(self, data: Any, requires_grad: Any = True, *rest: Any) -> Tensor:
        if not isinstance(data, Tensor):
            raise UnpicklingError(f"{self.shown} is damaged: a parameter without a tensor")
        return deeplite.nn.Parameter(
            data.detach(), bool(requires_grad) and data.is_floating_point()
        )

    def of_type(self, rebuild: Any, kind: Any, arguments: Any, state: Any) -> Any:
        raise UnpicklingError(
            f"{self.shown} holds a tensor of a subclass or with attributes of its own; save plain "
            "tensors"
        )


def numpy_names() -> dict[tuple[str, str], Global]:
    """What pickles of numpy arrays and numbers refer to (datasets, metrics in checkpoints)."""

    class Pending:
        """An array before its state."""

    def dtype(code: Any, *rest: Any) -> Any:
        text = code.decode() if isinstance(code, bytes) else code
        if not isinstance(text, str) or len(text) > 8:
            raise UnpicklingError("a numpy dtype that is none")
        made = np.dtype(text)
        if made.hasobject or made.names:
            raise UnpicklingError(f"numpy arrays of dtype {made} may hold anything; not read")
        return _DType(made)

    def with_order(made: Any, state: Any) -> Any:
        order = state[1].decode() if isinstance(state[1], bytes) else state[1]
        return _DType(made.dtype.newbyteorder(order)) if order in ("<", ">") else made

    def array(made: Any, state: Any) -> np.ndarray:
        _, shape, kind, by_columns, content = state
        if not isinstance(kind, _DType):
            raise UnpicklingError("a numpy array without a dtype")
        raw = content.encode("latin1") if isinstance(content, str) else content
        return _array(raw, kind.dtype, shape, "F" if by_columns else "C")

    def scalar(kind: Any, content: Any = b"") -> Any:
        raw = content.encode("latin1") if isinstance(content, str) else content
        return _array(raw, kind.dtype, (), "C")[()]

    def from_buffer(content: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
        return _array(content, kind.dtype, shape, order)

    table = {
        ("numpy", "ndarray"): Global(value=Pending),
        ("numpy", "dtype"): Global(dtype, build=with_order),
    }
    for core in ("numpy.core", "numpy._core"):
        table[f"{core}.multiarray", "_reconstruct"] = Global(lambda *a: Pending(), build=array)
        table[f"{core}.multiarray", "scalar"] = Global(scalar)
        table[f"{core}.numeric", "_frombuffer"] = Global(from_buffer)
    return table


class _DType:
    """A numpy dtype while the pickle is read: an object that the machine can tell from others."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype


def _array(raw: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    made: Any = np.frombuffer(raw, dtype=dtype).reshape(tuple(shape), order=order)
    return made.astype(dtype.newbyteorder("="), order="K", copy=True)


# ---------------------------------------------------------------------- bytes into elements


def _elements(raw: memoryview, dtype: str, swapped: bool, shared: bool) -> Tensor:
    """The elements in raw bytes; ``shared`` leaves them where they are, if that can be done."""
    wanted = getattr(deeplite, dtype)
    size = wanted.itemsize
    raw = raw[: len(raw) // size * size]
    if dtype == "bool":  # another value than 0 and 1 would be no bool
        return deeplite._C._from_buffer(raw, deeplite.uint8) != 0
    if swapped and size > 1:
        raw = memoryview(np.frombuffer(raw, dtype=f"u{size}").byteswap()).cast("B")
    elif shared and not raw.readonly and np.frombuffer(raw, dtype=f"u{size}").flags.aligned:
        return deeplite._C._from_buffer(raw, wanted)
    return deeplite._C._from_buffer(raw, wanted).clone()


# ---------------------------------------------------------------------- zip archives


class _Archive:
    """The records of a zip archive. They must be stored as they are, as torch writes them: what
    cannot be compressed cannot swell, and no record can be larger than the file."""

    def __init__(self, data: memoryview, shown: str) -> None:
        self.data, self.shown = data, shown
        try:
            listing = zipfile.ZipFile(_Window(data)).infolist()
        except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError, OSError) as e:
            raise UnpicklingError(f"{shown} is truncated or no zip archive ({e})") from None
        self.records: dict[str, zipfile.ZipInfo] = {}
        for record in listing:
            if record.filename in self.records:
                raise UnpicklingError(f"{shown} holds two records called {record.filename!r}")
            self.records[record.filename] = record
        pickles = [n for n in self.records if n == "data.pkl" or n.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise UnpicklingError(
                f"{shown} is a zip archive, but none that torch.save wrote: it holds "
                f"{len(pickles)} records called data.pkl"
            )
        self.folder = pickles[0][: -len("data.pkl")]
        if self.folder + "constants.pkl" in self.records:
            raise UnpicklingError(
                f"{shown} is a TorchScript program, not a file of weights; save its state_dict()"
            )

    def __contains__(self, name: str) -> bool:
        return self.folder + name in self.records

    def read(self, name: str) -> memoryview:
        """The bytes of a record, where they lie in the file."""
        record = self.records.get(self.folder + name)
        if record is None:
            raise UnpicklingError(f"{self.shown} is damaged: it has no record {name!r}")
        if record.compress_type != zipfile.ZIP_STORED or record.flag_bits & 1:
            raise UnpicklingError(
                f"{self.shown}: record {name!r} is compressed or encrypted; torch.save stores its "
                "records as they are"
            )
        start = record.header_offset
        header = bytes(self.data[start : start + 30])
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise UnpicklingError(f"{self.shown} is damaged: record {name!r} has no header")
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        start += 30 + name_length + extra_length
        size = record.file_size
        if size != record.compress_size or start + size > len(self.data):
            raise UnpicklingError(
                f"{self.shown} is truncated or damaged: record {name!r} states {size} bytes"
            )
        content = self.data[start : start + size]
        if record.CRC and zlib.crc32(content) != record.CRC:  # 0: written without checksums
            raise UnpicklingError(f"{self.shown} is damaged: the checksum of {name!r} is wrong")
        return content


class _Window(io.RawIOBase):
    """A file over memory, without a copy of it (BytesIO makes one)."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self.at, len(self.data))[whence]
        if base + offset < 0:
            raise ValueError("a position before the file")
        self.at = base + offset
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: Any) -> int:
        piece = self.data[self.at : self.at + len(buffer)]
        buffer[: len(piece)] = piece
        self.at += len(piece)
        return len(piece)


def read_zip(data: Any, shown: str, shared: bool) -> Any:
    """The object in a zip archive of torch.save. ``shared`` leaves the elements in ``data``."""
    archive = _Archive(memoryview(data), shown)
    order = (
        bytes(archive.read("byteorder")).decode("latin1") if "byteorder" in archive else "little"
    )
    if order not in ("little", "big"):
        raise UnpicklingError(f"{shown} is damaged: byte order {order[:20]!r}")
    storages: dict[str, _Storage] = {}

    def fetch(storage: _Storage, dtype: str) -> Tensor:
        raw = archive.read(f"data/{storage.name}")[: storage.nbytes]
        return _elements(raw, dtype, order != sys.byteorder, shared)

    def persistent(key: Any) -> _Storage:
        kind, name, count = _storage_key(key, shown)
        nbytes = count * (1 if kind.dtype is None else _itemsize(kind.dtype))
        there = archive.records.get(f"{archive.folder}data/{name}")
        if there is None or there.file_size < nbytes:
            raise UnpicklingError(
                f"{shown} is damaged: storage {name!r} should have {nbytes} bytes, its record has "
                f"{'none' if there is None else there.file_size}"
            )
        made = storages.setdefault(name, _Storage(name, kind.dtype, nbytes))
        if made.dtype != kind.dtype or made.nbytes != nbytes:
            raise UnpicklingError(f"{shown} is damaged: two descriptions of storage {name!r}")
        return made

    names = _Numbers(shown, fetch).names()
    obj, _ = loads(archive.read("data.pkl"), names, persistent_load=persistent, shown=shown)
    return obj


def _itemsize(dtype: str) -> int:
    return getattr(deeplite, dtype).itemsize if dtype in _STORAGES.values() else 1


def _storage_key(key: Any, shown: str) -> tuple[_Kind, str, int]:
    """('storage', type, name, location, count[, view]) taken apart."""
    kind_of = key[0] if isinstance(key, tuple) and key else None
    if kind_of == "module" or kind_of == b"module":
        raise UnpicklingError(
            f"{shown} holds a whole module with its class, not a state_dict; save "
            "module.state_dict()"
        )
    if kind_of not in ("storage", b"storage") or len(key) < 5:
        raise UnpicklingError(f"{shown} is damaged: a reference that is no storage")
    _, kind, name, _, count = key[:5]
    if not isinstance(kind, _Kind) or not isinstance(name, str):
        raise UnpicklingError(f"{shown} is damaged: a storage without type or name")
    if type(count) is not int or count < 0:
        raise UnpicklingError(f"{shown} is damaged: storage {name!r} of {count!r} elements")
    return kind, name, count


# ---------------------------------------------------------------------- before version 1.6


def read_legacy(data: Any, shown: str, shared: bool) -> Any:
    """The object in a file of torch.save before version 1.6 (or with today's flag for that format).

    After a magic number, a version and facts about the machine come the pickle, the list of storage
    names, and for each name its number of elements and the elements. The pickle is read twice:
    first for the types of the storages, without which their bytes cannot be found.
    """
    view = memoryview(data)
    magic, at = loads(view, shown=shown)
    if magic != _MAGIC:
        raise UnpicklingError(f"{shown} is a pickle, but none that torch.save wrote")
    version, at = loads(view, start=at, shown=shown)
    facts, main = loads(view, start=at, shown=shown)
    if version != _PROTOCOL or not isinstance(facts, dict):
        raise UnpicklingError(f"{shown} has format version {version!r}; {_PROTOCOL} is known")
    little = facts.get("little_endian", True) is not False
    swapped = little != (sys.byteorder == "little")
    storages: dict[str, _Storage] = {}
    views: dict[str, _Storage] = {}
    raw: dict[str, memoryview] = {}

    def persistent(key: Any) -> _Storage:
        kind, name, count = _storage_key(key, shown)
        dtype = kind.dtype
        size = 1 if dtype is None else _itemsize(dtype)
        root = storages.setdefault(name, _Storage(name, dtype, count * size))
        if root.dtype != dtype:
            raise UnpicklingError(f"{shown} is damaged: two descriptions of storage {name!r}")
        part = key[5] if len(key) > 5 else None
        if part is None:
            return root
        label, offset, length = part  # a storage that is a window on another
        if not (type(offset) is type(length) is int and 0 <= offset <= offset + length <= count):
            raise UnpicklingError(f"{shown} is damaged: a window outside of storage {name!r}")
        window = views.setdefault(str(label), _Storage(f"{name}[{offset}:]", dtype, length * size))
        if name in raw:
            raw[window.name] = raw[name][offset * size :]
        return window

    def fetch(storage: _Storage, dtype: str) -> Tensor:
        return _elements(raw[storage.name][: storage.nbytes], dtype, swapped, shared)

    names = _Numbers(shown, None).names()
    _, at = loads(view, names, persistent_load=persistent, start=main, shown=shown)
    listed, at = loads(view, start=at, shown=shown)
    if not isinstance(listed, list) or len(set(map(str, listed))) != len(listed):
        raise UnpicklingError(f"{shown} is damaged: no list of storages")
    for name in listed:
        if name not in storages:
            raise UnpicklingError(f"{shown} is damaged: it lists a storage {name!r} nobody uses")
        header = view[at : at + 8]
        nbytes = storages[name].nbytes
        if len(header) < 8 or len(view) - at - 8 < nbytes:
            raise UnpicklingError(f"{shown} is truncated: storage {name!r} is not all there")
        (count,) = struct.unpack("<q" if little else ">q", header)
        dtype = storages[name].dtype
        if count * (1 if dtype is None else _itemsize(dtype)) != nbytes:
            raise UnpicklingError(f"{shown} is damaged: storage {name!r} states two sizes")
        raw[name] = view[at + 8 : at + 8 + nbytes]
        at += 8 + nbytes
    if missing := storages.keys() - raw.keys():
        raise UnpicklingError(f"{shown} is truncated: storages {sorted(missing)} are missing")
    storages.clear()
    views.clear()
    names = _Numbers(shown, fetch).names()
    obj, _ = loads(view, names, persistent_load=persistent, start=main, shown=shown)
    return obj
