"""Datasets, on small files written here in the published formats."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import deeplite
import numpy as np
import pytest
from deeplite.data import datasets

RANDOM = np.random.default_rng(0)


def idx(array: np.ndarray) -> bytes:
    code = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[array.dtype.str[1:]]
    head = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


# ---------------------------------------------------------------------- MNIST


def write_mnist(folder: Path, n: int, part: str, zipped: bool) -> tuple[np.ndarray, np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    images = RANDOM.integers(0, 256, (n, 28, 28), dtype=np.uint8)
    labels = RANDOM.integers(0, 10, n).astype(np.uint8)
    for stem, array in (
        (f"{part}-images-idx3-ubyte", images),
        (f"{part}-labels-idx1-ubyte", labels),
    ):
        content = idx(array)
        if zipped:
            (folder / f"{stem}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / stem).write_bytes(content)
    return images, labels


@pytest.mark.parametrize("kind", [datasets.MNIST, datasets.FashionMNIST, datasets.KMNIST])
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("folder", ["{}/raw", "raw", ""])
def test_mnist(kind: Any, zipped: bool, folder: str, tmp_path: Path) -> None:
    place = tmp_path / folder.format(kind.__name__)
    for train, part in ((True, "train"), (False, "t10k")):
        images, labels = write_mnist(place, 12, part, zipped)
        data = kind(tmp_path, train, check=False)
        assert len(data) == 12 and data.data.dtype == deeplite.uint8
        np.testing.assert_array_equal(data.data.numpy(), images)
        assert data.targets.tolist() == labels.tolist()
        picture, label = data[3]
        assert isinstance(picture, np.ndarray) and label == labels[3]
        np.testing.assert_array_equal(picture, images[3])
    data = kind(
        tmp_path, train=False, check=False, transform=lambda p: p.max(),
        target_transform=lambda t: -t,
    )  # fmt: skip
    assert data[0] == (images[0].max(), -int(labels[0]))
    assert len(kind.classes) == 10 and data.class_to_idx[kind.classes[7]] == 7
    assert f"Dataset {kind.__name__}" in repr(data) and "Number of datapoints: 12" in repr(data)
    with pytest.raises(RuntimeError, match="MD5" if zipped else "nothing"):
        kind(tmp_path, check=True, download=not zipped)


def test_mnist_verifies_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path, 5, "train", True)
    sums = {p.name[:-3]: md5(p.read_bytes()) for p in tmp_path.iterdir()}
    monkeypatch.setattr(datasets.MNIST, "md5", sums)
    assert len(datasets.MNIST(tmp_path)) == 5
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(RuntimeError, match=r"MD5 .* published file has"):
        datasets.MNIST(tmp_path)


def test_checksums_are_torchvisions() -> None:
    source = pytest.importorskip("importlib.util").find_spec("torchvision")
    if source is None:
        pytest.skip("needs torchvision's files")
    folder = Path(source.submodule_search_locations[0]) / "datasets"
    for file, kinds in {
        "mnist.py": [datasets.MNIST, datasets.FashionMNIST, datasets.KMNIST],
        "cifar.py": [datasets.CIFAR10, datasets.CIFAR100],
        "svhn.py": [datasets.SVHN],
    }.items():
        text = (folder / file).read_text()
        for kind in kinds:
            assert kind.md5 and all(value in text for value in kind.md5.values())


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
def test_idx_of_every_type(dtype: str, tmp_path: Path) -> None:
    array = RANDOM.integers(0, 100, (2, 3, 4)).astype(dtype)
    (tmp_path / "x").write_bytes(idx(array))
    found = datasets.read_idx(tmp_path / "x")
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


GOOD = idx(np.arange(6, dtype=np.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "no IDX"),
        (b"\x00\x01\x08\x01", "no IDX"),
        (b"\x00\x00\x07\x01", "no IDX"),
        (b"\x00\x00\x08\xff", "no IDX"),
        (GOOD[:9], "truncated"),
        (GOOD[:-1], "should hold 6 bytes"),
        (GOOD + b"\0", "holds more"),
        (b"\x00\x00\x08\x02" + struct.pack(">2I", 2**31, 2**31), "more than it can hold"),
        (gzip.compress(GOOD)[:-9], "truncated"),
        (gzip.compress(GOOD[:-2]), "should hold"),
        (gzip.compress(GOOD + bytes(10**6)), "holds more"),
        (b"\x1f\x8b" + bytes(20), "damaged"),
    ],
)
def test_damaged_idx(content: bytes, match: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(RuntimeError, match=match):
        datasets.read_idx(tmp_path / "x")


def test_mnist_whose_files_do_not_belong_together(tmp_path: Path) -> None:
    write_mnist(tmp_path, 5, "train", False)
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(idx(np.zeros(4, np.uint8)))
    with pytest.raises(RuntimeError, match="belong together"):
        datasets.MNIST(tmp_path)
    labels.write_bytes(idx(np.full(5, 10, np.uint8)))
    with pytest.raises(RuntimeError, match="10 classes"):
        datasets.MNIST(tmp_path)
    labels.unlink()
    with pytest.raises(FileNotFoundError, match=r"train-labels-idx1-ubyte.*put it there"):
        datasets.MNIST(tmp_path)


# ---------------------------------------------------------------------- CIFAR


class Python2(pickle._Pickler):  # type: ignore[name-defined]
    """Writes text and bytes as Python 2 wrote its strings: the published files are of that time."""

    dispatch = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_string(self, text: str | bytes) -> None:
        raw = text.encode("latin1") if isinstance(text, str) else text
        short = len(raw) < 256
        self.write(b"U" + bytes([len(raw)]) if short else b"T" + struct.pack("<i", len(raw)))
        self.write(raw)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = save_string


def cifar_batch(n: int, labels: dict[str, list[int]], protocol: int | None) -> tuple[bytes, Any]:
    data = RANDOM.integers(0, 256, (n, 3072), dtype=np.uint8)
    batch = {"data": data, "batch_label": "training batch", "filenames": ["a"] * n, **labels}
    if protocol is not None:
        return pickle.dumps(batch, protocol), data
    import io

    stream = io.BytesIO()
    Python2(stream, 2).dump(batch)
    return stream.getvalue(), data


@pytest.mark.parametrize("protocol", [None, 2, 3, 4, 5])
@pytest.mark.parametrize("inside", [True, False])
def test_cifar10_of_python(protocol: int | None, inside: bool, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py" if inside else tmp_path
    folder.mkdir(exist_ok=True)
    pictures, labels = [], []
    for i in range(1, 6):
        numbers = RANDOM.integers(0, 10, 3).tolist()
        content, data = cifar_batch(3, {"labels": numbers}, protocol)
        (folder / f"data_batch_{i}").write_bytes(content)
        pictures.append(data)
        labels += numbers
    content, test = cifar_batch(2, {"labels": [0, 9]}, protocol)
    (folder / "test_batch").write_bytes(content)
    data = datasets.CIFAR10(tmp_path, check=False)
    wanted = np.concatenate(pictures).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(data.data, wanted)
    assert data.targets == labels and len(data) == 15
    np.testing.assert_array_equal(data[4][0], wanted[4])
    assert data[4][1] == labels[4] and data.class_to_idx["cat"] == 3
    other = datasets.CIFAR10(tmp_path, train=False, check=False)
    np.testing.assert_array_equal(other[1][0].transpose(2, 0, 1).reshape(-1), test[1])
    with pytest.raises(RuntimeError, match="MD5"):
        datasets.CIFAR10(tmp_path)


def test_cifar10_in_binary(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    records = RANDOM.integers(0, 256, (10, 3073), dtype=np.uint8)
    records[:, 0] %= 10
    for i in range(1, 6):
        (folder / f"data_batch_{i}.bin").write_bytes(records[2 * i - 2 : 2 * i].tobytes())
    data = datasets.CIFAR10(tmp_path)
    assert data.targets == records[:, 0].tolist()
    np.testing.assert_array_equal(data[7][0].transpose(2, 0, 1).reshape(-1), records[7, 1:])
    (folder / "data_batch_3.bin").write_bytes(records[4:6].tobytes()[:-1])
    with pytest.raises(RuntimeError, match="truncated"):
        datasets.CIFAR10(tmp_path)
    records[0, 0] = 10
    (folder / "data_batch_3.bin").write_bytes(records[:1].tobytes())
    with pytest.raises(RuntimeError, match="outside of the 10"):
        datasets.CIFAR10(tmp_path)


@pytest.mark.parametrize("binary", [True, False])
def test_cifar100(binary: bool, tmp_path: Path) -> None:
    folder = tmp_path / ("cifar-100-binary" if binary else "cifar-100-python")
    folder.mkdir()
    fine = [99, 0, 42]
    names = [f"class {i}" if not binary else f"class_{i}" for i in range(100)]
    if binary:
        records = RANDOM.integers(0, 256, (3, 3074), dtype=np.uint8)
        records[:, 1] = fine
        (folder / "train.bin").write_bytes(records.tobytes())
        (folder / "fine_label_names.txt").write_text("\n".join(names) + "\n")
        pixels = records[:, 2:]
    else:
        content, pixels = cifar_batch(3, {"fine_labels": fine, "coarse_labels": [1, 2, 3]}, 2)
        (folder / "train").write_bytes(content)
        assert datasets.CIFAR100(tmp_path, check=False).classes[5] == "5"
        (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": names}, 2))
    data = datasets.CIFAR100(tmp_path, check=False)
    assert data.targets == fine and data.classes == names
    np.testing.assert_array_equal(data[2][0].transpose(2, 0, 1).reshape(-1), pixels[2])
    with pytest.raises(FileNotFoundError, match="test"):
        datasets.CIFAR100(tmp_path, train=False)


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


@pytest.mark.parametrize(
    ("batch", "match"),
    [
        (Evil(), r"(posix|nt)\.system"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [Evil()]}, r"(posix|nt)\.system"),
        ({"data": np.array([Evil()], object), "labels": [0]}, r"may hold anything|system"),
        ([1, 2], "no batch"),
        ({"labels": [0]}, "no batch"),
        ({"data": np.zeros((1, 3000), np.uint8), "labels": [0]}, "no batch"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0]}, "labels"),
        ({"data": np.zeros((1, 3072), np.int32), "labels": [0]}, "labels"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": ["x"]}, "no batch"),
    ],
)
def test_cifar_of_the_wrong_kind(batch: Any, match: str, tmp_path: Path) -> None:
    for protocol in (2, 4):
        (tmp_path / "test_batch").write_bytes(pickle.dumps(batch, protocol))
        with pytest.raises(RuntimeError, match=match):
            datasets.CIFAR10(tmp_path, train=False, check=False)


# ---------------------------------------------------------------------- folders, SVHN, digits


def test_image_folder(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pictures = {}
    for name, mode in (("cat/b.png", "RGB"), ("cat/deep/a.PNG", "L"), ("dog/c.bmp", "RGB")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (5, 7, 3) if mode == "RGB" else (5, 7)
        pictures[name] = RANDOM.integers(0, 256, shape, dtype=np.uint8)
        image.fromarray(pictures[name]).save(path, format="png" if "a.PNG" in name else None)
    (tmp_path / "cat" / "notes.txt").write_text("no picture")
    data = datasets.ImageFolder(tmp_path)
    assert data.classes == ["cat", "dog"] and data.class_to_idx == {"cat": 0, "dog": 1}
    assert [Path(p).relative_to(tmp_path).as_posix() for p, _ in data.samples] == list(pictures)
    assert data.targets == [0, 0, 1] and data.imgs is data.samples
    for (picture, _), wanted in zip([data[i] for i in range(3)], pictures.values()):
        wanted = wanted if wanted.ndim == 3 else np.repeat(wanted[..., None], 3, 2)
        np.testing.assert_array_equal(picture, wanted)
    transformed = datasets.ImageFolder(
        tmp_path, deeplite.data.transforms.ToTensor(), is_valid_file=lambda p: p.endswith(".bmp"),
        allow_empty=True,
    )  # fmt: skip
    assert len(transformed) == 1 and transformed[0][0].shape == (3, 5, 7)
    with pytest.raises(FileNotFoundError, match="no files for cat"):
        datasets.ImageFolder(tmp_path, is_valid_file=lambda p: p.endswith(".bmp"))
    (tmp_path / "dog" / "d.png").write_bytes((tmp_path / "cat/b.png").read_bytes()[:60])
    (tmp_path / "dog" / "e.jpg").write_text("no picture")
    broken = datasets.ImageFolder(tmp_path)
    for i in (3, 4):
        with pytest.raises(RuntimeError, match=r"[de]\.(png|jpg) is damaged or no picture"):
            broken[i]


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no folder"):
        datasets.ImageFolder(tmp_path / "nope")
    with pytest.raises(FileNotFoundError, match="one for each class"):
        datasets.ImageFolder(tmp_path)
    with pytest.raises(ValueError, match="exactly one"):
        datasets.DatasetFolder(tmp_path, str)


def test_svhn(tmp_path: Path) -> None:
    io = pytest.importorskip("scipy.io")
    pictures = RANDOM.integers(0, 256, (32, 32, 3, 4), dtype=np.uint8)
    labels = np.array([[1], [10], [9], [2]], np.uint8)
    io.savemat(tmp_path / "test_32x32.mat", {"X": pictures, "y": labels})
    data = datasets.SVHN(tmp_path, "test", check=False)
    assert len(data) == 4 and data.labels.tolist() == [1, 0, 9, 2]
    assert data.data.shape == (4, 3, 32, 32)
    np.testing.assert_array_equal(data[2][0], pictures[..., 2])
    with pytest.raises(RuntimeError, match="MD5"):
        datasets.SVHN(tmp_path, "test")
    with pytest.raises(ValueError, match="split"):
        datasets.SVHN(tmp_path, "all")
    with pytest.raises(FileNotFoundError, match=r"extra_32x32\.mat.*housenumbers"):
        datasets.SVHN(tmp_path, "extra")
    content = (tmp_path / "test_32x32.mat").read_bytes()
    for bad in (content[:-100], content[:50], b"", b"x" * 300):
        (tmp_path / "test_32x32.mat").write_bytes(bad)
        with pytest.raises(RuntimeError, match="damaged"):
            datasets.SVHN(tmp_path, "test", check=False)
    io.savemat(tmp_path / "test_32x32.mat", {"X": pictures[..., :3], "y": labels})
    with pytest.raises(RuntimeError, match="pictures"):
        datasets.SVHN(tmp_path, "test", check=False)


def test_digits() -> None:
    pytest.importorskip("sklearn")
    train, test = datasets.DigitsDataset(), datasets.DigitsDataset(train=False)
    assert len(train) == 1437 and len(test) == 360
    assert train.data.dtype == deeplite.uint8 and int(train.data.max()) == 255
    assert set(train.targets.tolist()) == set(range(10))
    # The parts share no digit (a handful of digits are drawn alike), and the seed decides.
    shared = {p.tobytes() for p, _ in train} & {p.tobytes() for p, _ in test}
    assert len(shared) < 5
    again = datasets.DigitsDataset()
    assert again.targets.tolist() == train.targets.tolist()
    assert datasets.DigitsDataset(seed=1).targets.tolist() != train.targets.tolist()


def test_datasets_through_a_loader() -> None:
    pytest.importorskip("sklearn")
    T = deeplite.data.transforms
    data = datasets.DigitsDataset(False, T.Compose([T.Resize(16), T.ToTensor()]))
    batches = list(deeplite.data.DataLoader(data, 50, num_workers=2))
    assert [tuple(x.shape) for x, _ in batches] == [(50, 1, 16, 16)] * 7 + [(10, 1, 16, 16)]
    assert batches[0][1].dtype == deeplite.int64
    with pytest.raises(ValueError, match="excludes"):
        datasets.VisionDataset("", lambda p, t: (p, t), lambda p: p)
