"""Saving and loading: safetensors files; torch's files are read, without running anything of them.

A file that is written holds the tensors under readable names, so that any safetensors reader can
use it, and in its metadata the structure they came from as JSON: nested dicts, lists and tuples
with numbers, strings and None (an optimizer's state, say).
"""

from __future__ import annotations

import json
import mmap as memory_map
import os
import shutil
import struct
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import deeplite
from deeplite import Tensor

__all__ = ["load", "save"]

_KEY = "deeplite"  # the metadata entry that holds the structure
_ALIGN = 8  # safetensors: the header is padded so that the data starts aligned
_CODES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
_NAMES = {code: name for name, code in _CODES.items()}


def save(obj: Any, f: str | os.PathLike[str] | IO[bytes]) -> None:
    """Writes tensors, or a nest of them, to a safetensors file.

    Args:
        obj: a state_dict, or any nest of dicts (with string, int, float, bool or None keys), lists
            and tuples with tensors, numbers, strings and None at the leaves.
        f: a path, or a file open for writing in binary mode.

    A path is replaced in one step: the data is written beside it, synced and renamed, so that a
    crash or a full disk leaves the old file as it was. Tensors of any layout are stored
    contiguously; entries that are the same tensor are stored once.

    Raises:
        TypeError: something that cannot be stored, named by its path in ``obj``.
        OSError: the file cannot be written.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
        >>> deeplite.save({"w": deeplite.ones(2), "epoch": 3}, path)
        >>> deeplite.load(path)
        {'w': tensor([1., 1.]), 'epoch': 3}
    """
    packer = _Packer()
    tree = packer.pack(obj, ())
    header, tensors = _layout(packer.tensors, tree)
    if hasattr(f, "write"):
        _write(f, header, tensors)
        return
    path = Path(os.path.realpath(os.fspath(f)))
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe, a device: written into
        with open(path, "wb") as file:
            _write(file, header, tensors)
        return
    _replace(path, header, tensors)


def _replace(path: Path, header: bytes, tensors: list[Tensor]) -> None:
    """Writes a file in one step: beside it, synced, renamed, the directory synced."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(beside, "xb") as file:
            _write(file, header, tensors)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, beside)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):  # the rename itself must reach the disk too
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _write(file: Any, header: bytes, tensors: list[Tensor]) -> None:
    file.write(struct.pack("<Q", len(header)))
    file.write(header)
    for t in tensors:
        file.write(t._to_bytes())


class _Packer:
    """Turns an object into a JSON tree and a table of tensors.

    Tree: None, bool, int, float and str as they are; [kind, content] for the rest, with the kinds
    "tensor" (content: its name), "list", "tuple" and "dict" (content: [key, value] pairs).
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._seen: dict[Any, str] = {}

    def pack(self, obj: Any, path: tuple[str, ...]) -> Any:
        if obj is None or isinstance(obj, (bool, int, float, str)):
            return _plain(obj)
        if isinstance(obj, Tensor):
            return ["tensor", self._name(obj, path)]
        if isinstance(obj, Mapping):
            pairs = []
            for key, value in obj.items():
                if key is not None and not isinstance(key, (str, int, float, bool)):
                    raise TypeError(
                        f"save: a key at {_shown(path)} is a {type(key).__name__}; keys must be "
                        "strings, numbers or None"
                    )
                pairs.append([_plain(key), self.pack(value, (*path, str(key)))])
            return ["dict", pairs]
        if isinstance(obj, (list, tuple)):
            kind = "list" if isinstance(obj, list) else "tuple"
            return [kind, [self.pack(value, (*path, str(i))) for i, value in enumerate(obj)]]
        if type(obj).__module__ == "numpy" and hasattr(obj, "item") and not hasattr(obj, "__len__"):
            return self.pack(obj.item(), path)
        raise TypeError(
            f"save: {_shown(path)} is a {type(obj).__name__}; tensors, numbers, strings, None and "
            "dicts, lists and tuples of them can be saved"
        )

    def _name(self, tensor: Tensor, path: tuple[str, ...]) -> str:
        tensor = tensor.detach()
        where = (tensor.device, tensor.data_ptr(), tuple(tensor.shape), tensor.stride())
        same = (*where, tensor.dtype)
        if tensor.numel() and same in self._seen:
            return self._seen[same]
        name = base = ".".join(path) or "tensor"
        number = 2
        while name in self.tensors or name == "__metadata__":
            name, number = f"{base}#{number}", number + 1
        self.tensors[name] = tensor
        self._seen[same] = name
        return name


def _plain(value: Any) -> Any:
    """A scalar without its subclass (numpy's float64 is a float, an enum may be an int)."""
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return None


def _shown(path: tuple[str, ...]) -> str:
    return "the object" if not path else "entry '" + ".".join(path) + "'"


def _layout(tensors: dict[str, Tensor], tree: Any) -> tuple[bytes, list[Tensor]]:
    """The header, and the tensors in the order of their data: wide dtypes first, so that all of
    them are aligned."""
    order = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))
    header: dict[str, Any] = {"__metadata__": {_KEY: json.dumps({"version": 1, "tree": tree})}}
    end = 0
    for name, t in order:
        start, end = end, end + t.numel() * t.element_size()
        header[name] = {
            "dtype": _CODES[str(t.dtype).rpartition(".")[2]],
            "shape": [int(n) for n in t.shape],
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % _ALIGN), [t for _, t in order]


def load(
    f: str | os.PathLike[str] | IO[bytes],
    map_location: Any = None,
    *,
    weights_only: bool = True,
    mmap: bool = False,
) -> Any:
    """Reads a file of tensors: what :func:`save` wrote, any safetensors file, or a file of
    ``torch.save`` (a zip archive, or the format before torch 1.6); the content tells which.

    Args:
        f: a path, or a file open for reading in binary mode.
        map_location: the device to put the tensors on, the CPU by default.
        weights_only: accepted for torch's signature; nothing else is ever loaded.
        mmap: leave the tensors of a file of ``torch.save`` in a private map of it: pages are read
            when they are touched, and writing changes memory only. The file must not be
            overwritten as long as they live.

    Nothing in a file is executed. The pickle inside of torch's files is read by a machine that
    makes tensors, numbers, strings, containers of these and numpy arrays, and refuses other names.

    Raises:
        RuntimeError: the file is truncated or damaged, or no file of these formats. For pickles it
            is also a ``pickle.UnpicklingError``, and names what a hostile one asks for.
        OSError: it cannot be read.
    """
    if hasattr(f, "read"):
        shown, content = "the file", f.read()
    else:
        shown = os.fspath(f)
        content = _content(shown, mmap)
    obj = _load_bytes(content, shown, mmap)
    return obj if map_location is None else _moved(obj, map_location)


def _content(path: str, mapped: bool) -> Any:
    """The content of a file: its bytes, or a private, writable map of it."""
    with open(path, "rb") as file:
        if mapped and os.fstat(file.fileno()).st_size:
            return memory_map.mmap(file.fileno(), 0, access=memory_map.ACCESS_COPY)
        return file.read()


def _load_bytes(content: Any, shown: str, mapped: bool) -> Any:
    from . import _torch_file, _unpickle

    start = bytes(content[:64])
    named = f"load: {shown}"
    if _torch_file.is_zip(start):
        return _torch_file.read_zip(content, named, mapped)
    if _torch_file.is_legacy(start):
        return _torch_file.read_legacy(content, named, mapped)
    try:
        return _load_safetensors(bytes(content), shown)
    except RuntimeError:
        if start[8:9] != b"{":  # a pickle, perhaps: say what it asks for
            try:
                _unpickle.loads(content, shown=named)
            except _unpickle.ForbiddenGlobal:
                raise
            except RuntimeError:
                pass
        raise


def _moved(obj: Any, device: Any) -> Any:
    """The same nest with its tensors on a device."""
    if isinstance(obj, Tensor):
        return obj.to(device)
    if isinstance(obj, dict):
        for key, value in obj.items():
            obj[key] = _moved(value, device)
        return obj
    if isinstance(obj, (list, tuple)):
        return type(obj)([_moved(value, device) for value in obj])
    return obj


def _load_safetensors(content: bytes, shown: str) -> Any:
    entries, metadata = _parse(shown, content)
    tensors: dict[str, Tensor] = {}
    for name, entry in entries:
        dtype = _NAMES.get(entry["dtype"])
        if dtype is None:
            raise RuntimeError(
                f"load: tensor '{name}' in {shown} has dtype {entry['dtype']}, which is not "
                f"supported (supported: {', '.join(_NAMES)})"
            )
        shape = tuple(entry["shape"])
        tensors[name] = deeplite._C._from_bytes(entry["data"], shape, getattr(deeplite, dtype))
    if metadata is None:
        return tensors
    try:
        structure = json.loads(metadata)
        return _unpack(structure["tree"], tensors)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise RuntimeError(
            f"load: the metadata of {shown} is damaged ({type(error).__name__}: {error})"
        ) from None


def _parse(shown: str, content: bytes) -> tuple[list[tuple[str, dict[str, Any]]], str | None]:
    """The entries of a safetensors file, checked by the safetensors library, and our metadata."""
    import safetensors

    try:
        entries = safetensors.deserialize(content)
        (length,) = struct.unpack_from("<Q", content)
        header = json.loads(content[8 : 8 + length])
        return entries, header.get("__metadata__", {}).get(_KEY)
    except (safetensors.SafetensorError, ValueError, RecursionError, struct.error) as error:
        raise RuntimeError(
            f"load: {shown} is not a valid safetensors file, or is truncated ({error})"
        ) from None


def _unpack(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(tree, list):
        if isinstance(tree, dict):
            raise TypeError("unexpected object")
        return tree
    kind, content = tree
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _unpack(value, tensors) for key, value in content}
    if kind in ("list", "tuple"):
        items = [_unpack(value, tensors) for value in content]
        return items if kind == "list" else tuple(items)
    raise ValueError(f"unknown kind {kind!r}")
