"""Files of torch.save, read without torch: the formats, and what damaged and hostile ones do."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import deeplite
import numpy as np
import pytest
from deeplite import _unpickle

torch = pytest.importorskip("torch")
DTYPES = "float64 float32 bfloat16 float16 int64 int32 int16 int8 uint8 bool".split()


def example() -> dict[str, Any]:
    base = torch.arange(100.0).reshape(10, 10)
    return {
        "dtypes": {d: torch.arange(-2, 4).to(getattr(torch, d)).reshape(2, 3) for d in DTYPES},
        "transposed": base.t(),
        "strided": base[2:5, ::2],
        "expanded": torch.ones(1).expand(4, 5),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "grad": torch.ones(2, requires_grad=True),
        "state": torch.nn.BatchNorm2d(3).state_dict(),
        "optimizer": torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1).state_dict(),
        "data": [1, -(2**70), 1.5, float("inf"), True, None, "text \u00e9", b"raw", (1, (2,)), {3}],
        "kinds": [Counter("aab"), bytearray(b"ab"), frozenset([1]), 1 + 2j, {}, [], ()],
        "size": torch.Size([2, 3]),
        "dtype": torch.bfloat16,
        "device": torch.device("cpu"),
        "array": np.arange(6, dtype=">i4").reshape(2, 3),
        "number": np.float32(0.5),
    }


def saved(obj: Any, new: bool = True) -> bytes:
    stream = io.BytesIO()
    torch.save(obj, stream, _use_new_zipfile_serialization=new)
    return stream.getvalue()


def same(ours: Any, theirs: Any) -> None:
    assert str(ours.dtype).partition(".")[2] == str(theirs.dtype).partition(".")[2]
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert ours.stride() == theirs.stride()
    assert ours.requires_grad == theirs.requires_grad
    assert ours.detach().tolist() == theirs.detach().tolist()


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("how", ["path", "mmap", "stream"])
def test_reads_what_torch_wrote(new: bool, how: str, tmp_path: Path) -> None:
    theirs = example()
    path = tmp_path / "x.pth"
    path.write_bytes(saved(theirs, new))
    ours = (
        deeplite.load(io.BytesIO(path.read_bytes()))
        if how == "stream"
        else deeplite.load(path, mmap=how == "mmap")
    )
    for dtype in DTYPES:
        same(ours["dtypes"][dtype], theirs["dtypes"][dtype])
    for name in ("transposed", "strided", "expanded", "scalar", "empty", "parameter", "grad"):
        same(ours[name], theirs[name])
    assert isinstance(ours["parameter"], deeplite.nn.Parameter)
    assert isinstance(ours["state"], OrderedDict) and list(ours["state"]) == list(theirs["state"])
    assert ours["optimizer"] == theirs["optimizer"]
    assert ours["data"] == theirs["data"] and ours["kinds"] == theirs["kinds"]
    assert ours["size"] == (2, 3) and ours["device"] == "cpu"
    assert ours["dtype"] is deeplite.bfloat16
    assert ours["array"].tolist() == [[0, 1, 2], [3, 4, 5]] and ours["number"] == 0.5
    # Views of one storage share it, and can be written.
    ours["transposed"][0, 2] = -1.0
    assert ours["strided"][0, 0].item() == -1.0
    assert deeplite.load(path)["strided"][0, 0].item() == 20.0  # the file is as it was


def test_storage_without_type_and_big_endian() -> None:
    content = bytearray(saved({"w": torch.tensor([1.5, -2.0]), "i": torch.tensor([3])}))
    at = content.index(b"little")
    assert deeplite.load(io.BytesIO(bytes(content)))["w"].tolist() == [1.5, -2.0]
    # The same archive with byte order "big": numbers are swapped on reading.
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as old:
        records = {name: old.read(name) for name in old.namelist()}
    for name in records:
        if "/data/" in name:
            size = 4 if len(records[name]) == 8 and b"\x00\x00\xc0\x3f" in records[name] else 8
            swapped = np.frombuffer(records[name], dtype=f"u{size}").byteswap()
            records[name] = swapped.tobytes()
        if name.endswith("byteorder"):
            records[name] = b"big"
    assert at > 0
    loaded = deeplite.load(io.BytesIO(zipped(records)))
    assert loaded["w"].tolist() == [1.5, -2.0] and loaded["i"].tolist() == [3]


def zipped(records: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return stream.getvalue()


def archive(pkl: bytes, **storages: bytes) -> bytes:
    data = {f"x/data/{name}": content for name, content in storages.items()}
    return zipped({"x/data.pkl": pkl, "x/version": b"3\n", **data})


def refuses(content: bytes, match: str, tmp_path: Path | None = None) -> None:
    for mapped in (False, True) if tmp_path else (False,):
        source: Any = io.BytesIO(content)
        if tmp_path:
            source = tmp_path / "bad.pth"
            source.write_bytes(content)
        with pytest.raises(RuntimeError, match=match):
            deeplite.load(source, mmap=mapped)


# ---------------------------------------------------------------------- attacks

CANARY = "DEEPLITE_TEST_CANARY"


class Evil:
    """Pickles to a call of ``function(*arguments)``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def by_name(module: str, name: str, *arguments: Any) -> bytes:
    """Protocol 2: the name, its arguments, a call."""
    tail = pickle.dumps(arguments, 2)[2:-1]
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + tail + b"R."


ATTACKS = {
    "os.system": (pickle.dumps(Evil(os.system, f"export {CANARY}=1")), r"(posix|nt)\.system"),
    "eval": (
        pickle.dumps(Evil(eval, f"__import__('os').environ.update({CANARY}='1')")),
        r"builtins\.eval",
    ),
    "exec, python 2's name": (by_name("__builtin__", "exec", "1"), r"builtins\.exec"),
    "getattr": (by_name("builtins", "getattr", "x", "__class__"), r"builtins\.getattr"),
    "nested name": (by_name("collections", "OrderedDict.__init__.__globals__"), r"OrderedDict\.__"),
    "dunder of the list": (by_name("torch._utils", "__builtins__"), r"torch\._utils\.__builtins__"),
    "torch's own loader": (by_name("torch.storage", "_load_from_bytes", b""), "_load_from_bytes"),
    "numpy's loader": (by_name("numpy", "load", "f"), r"numpy\.load"),
    "runpy": (by_name("runpy", "run_path", "f"), r"runpy\.run_path"),
    "subprocess": (by_name("subprocess", "Popen", "true"), r"subprocess\.Popen"),
    "import": (by_name("builtins", "__import__", "os"), r"builtins\.__import__"),
    "partial": (by_name("functools", "partial", "x"), r"functools\.partial"),
    "protocol 4": (
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
        r"os\.system",
    ),
    "protocol 0": (b"cos\nsystem\n(S'true'\ntR.", r"os\.system"),
    "INST": (b"(S'true'\nios\nsystem\n.", r"os\.system"),
    "OBJ": (b"(cos\nsystem\nS'true'\no.", r"os\.system"),
    "extension registry": (b"\x80\x02\x82\x01.", "instruction"),
    "NEWOBJ_EX": (b"\x80\x04ccollections\nOrderedDict\n)}\x92.", "instruction"),
    "nested in a dict": (
        pickle.dumps({"ok": [1, {"deep": (Evil(os.system, "true"),)}]}),
        r"(posix|nt)\.system",
    ),
    "call of data": (b"\x80\x02X\x01\x00\x00\x00x)R.", "nothing to be called"),
    "call of a made object": (b"\x80\x02ccollections\nOrderedDict\n)R)R.", "nothing to be called"),
    "state of a name": (
        b"\x80\x02ccollections\nOrderedDict\n}X\x04\x00\x00\x00evilK\x01sb.",
        "keeps the function",
    ),
    "a name as data": (b"\x80\x02ccollections\nOrderedDict\n.", "keeps the function"),
    "append to a name": (b"\x80\x02ccollections\nOrderedDict\nK\x01a.", "no container"),
    "a lying length": (b"\x80\x02B\xff\xff\xff\xff.", "truncated"),
    "a lying long": (b"\x80\x02\x8b\xff\xff\xff\x7f1.", "truncated"),
    "a negative length": (b"\x80\x02T\xff\xff\xff\xff.", "truncated"),
    "empty stack": (b"\x80\x02R.", "empty stack"),
    "no mark": (b"\x80\x02K\x01t.", "mark"),
    "memo": (b"\x80\x02h\x07.", "never remembered"),
    "unhashable key": (b"\x80\x02}]K\x01s.", "TypeError"),
    "protocol 9": (b"\x80\x09N.", "protocol 9"),
    "no end": (b"\x80\x02N", "truncated"),
    "two results": (b"\x80\x02NN.", "full stack"),
    "outside reference": (b"\x80\x02X\x01\x00\x00\x00xQ.", "no storage|outside"),
    "object dtype": (by_name("numpy", "dtype", "O", 0, 1), "may hold anything"),
    "bytes blown up": (
        b"\x80\x02cbuiltins\nbytearray\nq\x00X"
        + struct.pack("<I", 200000)
        + b"a" * 200000
        + b"\x85q\x010h\x00h\x01R"
        + b"0h\x00h\x01R" * 100
        + b".",
        "blows up",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_in_archives(name: str, tmp_path: Path) -> None:
    payload, match = ATTACKS[name]
    refuses(archive(payload), match, tmp_path)
    assert CANARY not in os.environ
    # In the old format, as each of its pickles; and as a pickle by itself.
    good = [pickle.dumps(o, 2) for o in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    for place in (1, 2, 3):
        parts = [*good, pickle.dumps({}, 2), pickle.dumps([], 2)]
        parts[place] = payload
        with pytest.raises(RuntimeError):
            deeplite.load(io.BytesIO(b"".join(parts)))
    with pytest.raises(RuntimeError):
        deeplite.load(io.BytesIO(payload))
    assert CANARY not in os.environ


def test_forbidden_names_are_named_everywhere() -> None:
    payload, match = ATTACKS["os.system"]
    old = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
    for content in (payload, b"cos\nsystem\n.", old + payload, archive(payload)):
        with pytest.raises(_unpickle.ForbiddenGlobal, match=r"(posix|nt|os)\.system.*nothing"):
            deeplite.load(io.BytesIO(content))
    with pytest.raises(pickle.UnpicklingError):  # torch's exception, too
        deeplite.load(io.BytesIO(archive(payload)))


def test_whole_modules_are_refused(tmp_path: Path) -> None:
    for new in (True, False):
        refuses(saved(torch.nn.Linear(2, 2), new), "Linear|state_dict", tmp_path)
    refuses(zipped({"x/data.pkl": b"N.", "x/constants.pkl": b"N."}), "TorchScript", tmp_path)


# ---------------------------------------------------------------------- damage and lies


def tensor_pickle(
    count: int = 4, offset: Any = 0, size: Any = (4,), stride: Any = (1,),
    kind: str = "FloatStorage", key: Any = "0",
) -> bytes:  # fmt: skip
    """The pickle of one tensor on storage ``key`` of ``count`` elements, as torch writes it."""

    def bare(obj: Any) -> bytes:
        return pickle.dumps(obj, 2)[2:-1]

    storage = b"(" + bare("storage") + f"ctorch\n{kind}\n".encode() + bare(key) + bare("cpu")
    storage += bare(count) + b"tQ"
    arguments = b"(" + storage + bare(offset) + bare(size) + bare(stride) + b"\x89"
    arguments += b"ccollections\nOrderedDict\n)Rt"
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R."


FOUR = struct.pack("<4f", 1, 2, 3, 4)


def test_the_builder_of_lies_can_tell_the_truth() -> None:
    good = deeplite.load(io.BytesIO(archive(tensor_pickle(), **{"0": FOUR})))
    assert good.tolist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("lie", "match"),
    [
        ({"count": 5}, "should have 20 bytes"),
        ({"count": 2**62}, "should have"),
        ({"count": -1}, "-1 elements"),
        ({"size": (5,)}, "reaches element 4"),
        ({"size": (2,), "stride": (4,)}, "reaches element 4"),
        ({"offset": 1}, "reaches element 4"),
        ({"offset": -1}, "offset -1"),
        ({"offset": 2**63}, "reaches|offset"),
        ({"size": (-1,)}, "size"),
        ({"stride": (-1,)}, "stride"),
        ({"size": (2, 2)}, "stride"),
        ({"size": (2**40, 2**40), "stride": (0, 0)}, "damaged"),
        ({"size": ("4",)}, "size"),
        ({"size": 4}, "damaged"),
        ({"size": (1,) * 40, "stride": (1,) * 40}, "damaged"),
        ({"key": "1"}, "record has none"),
        ({"key": "../../etc/passwd"}, "record has none"),
        ({"kind": "ComplexFloatStorage"}, "not supported"),
        ({"kind": "QInt8Storage"}, "not supported"),
    ],
)
def test_lies_about_sizes(lie: dict[str, Any], match: str, tmp_path: Path) -> None:
    refuses(archive(tensor_pickle(**lie), **{"0": FOUR}), match, tmp_path)


def test_archives_that_are_none(tmp_path: Path) -> None:
    pkl = tensor_pickle()
    refuses(zipped({"a.txt": b"x"}), "none that torch.save wrote", tmp_path)
    refuses(zipped({"a/data.pkl": pkl, "b/data.pkl": pkl}), "2 records called data.pkl", tmp_path)
    compressed = zipped({"x/data.pkl": pkl, "x/data/0": FOUR * 100000}, zipfile.ZIP_DEFLATED)
    refuses(compressed, "compressed", tmp_path)
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as z, pytest.warns(UserWarning, match="Duplicate"):
        z.writestr("x/data.pkl", pkl)
        z.writestr("x/data.pkl", pkl)
    refuses(twice.getvalue(), "two records", tmp_path)
    # Names that would leave a folder are just names: nothing is ever unpacked.
    slip = zipped({"../../x/data.pkl": pkl, "../../x/data/0": FOUR})
    assert deeplite.load(io.BytesIO(slip)).tolist() == [1.0, 2.0, 3.0, 4.0]
    assert not list(tmp_path.glob("**/data*"))


def test_records_that_state_other_sizes(tmp_path: Path) -> None:
    """The sizes in the central directory are changed: nothing outside of the file is read."""
    good = archive(tensor_pickle(), **{"0": FOUR})
    central = good.rindex(b"PK\x01\x02")
    assert good[central + 46 :].startswith(b"x/data/0")
    for size in (17, 2**31, 2**32 - 2):
        bad = bytearray(good)
        struct.pack_into("<II", bad, central + 20, size, size)
        refuses(bytes(bad), "damaged|truncated", tmp_path)
    bad = bytearray(good)
    struct.pack_into("<I", bad, central + 42, len(good))  # the position of its header
    refuses(bytes(bad), "header|truncated", tmp_path)
    flipped = bytearray(good)
    flipped[good.index(FOUR) + 3] ^= 1
    refuses(bytes(flipped), "checksum", tmp_path)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_truncated_anywhere(new: bool) -> None:
    content = saved({"w": torch.ones(3), "b": [torch.zeros(2), "x"]}, new)
    for length in {*range(0, len(content), 7), len(content) - 1}:
        with pytest.raises(RuntimeError, match="load"):
            deeplite.load(io.BytesIO(content[:length]))


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_noise_anywhere(new: bool) -> None:
    """Either the error, or a nest of tensors: nothing else, and no crash."""
    content = saved({"w": torch.ones(3), "b": [torch.zeros(2), "x"]}, new)
    random = np.random.default_rng(0)
    errors = 0
    for _ in range(400):
        bad = bytearray(content)
        for _ in range(int(random.integers(1, 4))):
            bad[int(random.integers(len(bad)))] = int(random.integers(256))
        try:
            deeplite.load(io.BytesIO(bytes(bad)))
        except RuntimeError:
            errors += 1
    assert errors > 50


def test_nothing_is_executed_by_the_machine_itself() -> None:
    """What the list lets through: data, and calls of what is on it."""
    got, end = _unpickle.loads(pickle.dumps({"a": [1, (2, {3})]}) + b"rest")
    assert got == {"a": [1, (2, {3})]} and end == len(pickle.dumps({"a": [1, (2, {3})]}))
    for protocol in range(6):
        obj = [True, False, 0, 255, 65536, -1, 2**100, -(2**100), 0.1, "\u20ac\n'\"", b"\x00\xff"]
        assert _unpickle.loads(pickle.dumps(obj, protocol))[0] == obj
        deep: Any = [OrderedDict(a=1), Counter("aa"), {1, 2}, frozenset([3]), bytearray(b"z"), 1j]
        assert _unpickle.loads(pickle.dumps(deep, protocol))[0] == deep
    assert _unpickle.loads(b"U\x01\xe9.", encoding="bytes")[0] == b"\xe9"
    assert _unpickle.loads(b"U\x01\xe9.")[0] == "\u00e9"
