"""CIFAR-10 and CIFAR-100, in the Python and in the binary format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..._torch_file import numpy_names
from ..._unpickle import loads
from .vision import Function, SplitDataset, find_file, read_checked, refuse_download

_PIXELS = 3 * 32 * 32


class CIFAR10(SplitDataset):
    """60,000 colour pictures of 32 x 32 in ten classes (Krizhevsky, "Learning multiple layers of
    features from tiny images", 2009): 50,000 to train on, 10,000 to test.

    Args:
        root: holds ``cifar-10-batches-py`` (the Python version: ``data_batch_1`` ...) or
            ``cifar-10-batches-bin`` (the binary one: ``data_batch_1.bin`` ...), or is that folder.
        train: the 50,000 or the 10,000.
        transform, target_transform: applied to each picture and class.
        download: refused, with the reason.
        check: verify the published checksums (of the Python version).

    The Python version is a pickle; it is read by the machine of :func:`deeplite.load`, which makes
    arrays and runs nothing.

    Attributes:
        data: uint8 array ``[N, 32, 32, 3]``
        targets: list of N class numbers

    Raises:
        FileNotFoundError: a file is missing.
        RuntimeError: a file is damaged, or asks for something to be run.
    """

    source = "https://www.cs.toronto.edu/~kriz/cifar.html"
    folders = ("cifar-10-batches-py", "cifar-10-batches-bin", "")
    train_files = [f"data_batch_{i}" for i in range(1, 6)]
    test_files = ["test_batch"]
    key = "labels"
    label_bytes: tuple[int, ...] = (
        0,
    )  # of a record in the binary format, and which of them counts
    classes = [
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ]  # fmt: skip
    md5 = {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    }

    def __init__(
        self, root: str | os.PathLike[str], train: bool = True, transform: Function | None = None,
        target_transform: Function | None = None, download: bool = False, *, check: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        name = type(self).__name__
        refuse_download(name, download, self.root, self.source)
        pictures, labels = [], []
        for stem in self.train_files if train else self.test_files:
            files = (stem, f"{stem}.bin")
            path = find_file(name, self.root, self.folders, files, self.source)
            some, their = self._read(path, self.md5[stem] if check else None)
            pictures.append(some)
            labels.append(their)
        self.classes = self._class_names()
        self.data = np.ascontiguousarray(np.concatenate(pictures).transpose(0, 2, 3, 1))
        found = np.concatenate(labels)
        self._check_labels(found)
        self.targets = found.tolist()

    def _class_names(self) -> list[str]:
        return list(type(self).classes)

    def _read(self, path: Path, md5: str | None) -> tuple[np.ndarray, np.ndarray]:
        """Pictures [N, 3, 32, 32] and labels [N] of one file."""
        if path.suffix == ".bin":
            return self._read_binary(path)
        name = type(self).__name__
        shown = f"{name}: {path}"
        batch, _ = loads(read_checked(name, path, md5), numpy_names(), shown=shown)
        try:
            data, labels = batch["data"], np.asarray(batch[self.key], dtype=np.int64)
            pictures = data.reshape(-1, 3, 32, 32)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RuntimeError(f"{shown} is no batch of pictures ({error!r})") from None
        if data.dtype != np.uint8 or labels.shape != pictures.shape[:1]:
            raise RuntimeError(f"{shown}: {data.shape} pictures and {labels.shape} labels")
        return pictures, labels

    def _read_binary(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        content = np.frombuffer(path.read_bytes(), np.uint8)
        record = len(self.label_bytes) + _PIXELS
        if len(content) % record or not len(content):
            raise RuntimeError(
                f"{type(self).__name__}: {path} is damaged or truncated: {len(content)} bytes are "
                f"no multiple of the {record} of a record"
            )
        rows = content.reshape(-1, record)
        labels = rows[:, self.label_bytes[-1]].astype(np.int64)
        return rows[:, len(self.label_bytes) :].reshape(-1, 3, 32, 32), labels

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._sample(self.data[index], self.targets[index])


class CIFAR100(CIFAR10):
    """The same in a hundred classes; files in ``cifar-100-python`` or ``cifar-100-binary``.

    The names of the classes come from the file ``meta`` or ``fine_label_names.txt`` beside them;
    without it they are numbers."""

    folders = ("cifar-100-python", "cifar-100-binary", "")
    train_files = ["train"]
    test_files = ["test"]
    key = "fine_labels"
    label_bytes = (0, 1)  # coarse, fine
    md5 = {
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    }

    def _class_names(self) -> list[str]:
        names: Any = None
        for folder in self.folders:
            meta = self.root / folder / "meta"
            text = self.root / folder / "fine_label_names.txt"
            if meta.is_file():
                found, _ = loads(meta.read_bytes(), numpy_names(), shown=f"CIFAR100: {meta}")
                names = found.get("fine_label_names") if isinstance(found, dict) else None
            elif text.is_file():
                names = text.read_text().split()
            if names:
                break
        if isinstance(names, list) and len(names) == 100:
            return [str(n) for n in names]
        return [str(i) for i in range(100)]
