"""MNIST and the datasets in its format: IDX files, compressed or not."""

from __future__ import annotations

import gzip
import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

import deeplite
from deeplite import Tensor

from .vision import Function, SplitDataset, find_file, read_checked, refuse_download

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str], md5: str | None = None) -> np.ndarray:
    """The array in an IDX file, gzip-compressed or not.

    The format: two zero bytes, a type, the number of dimensions; each dimension as a big-endian
    32-bit number; the elements, big-endian, in row-major order.

    Raises:
        RuntimeError: the file is damaged, truncated, or no IDX file.
    """
    path = Path(path)
    content = read_checked("read_idx", path, md5)
    stream: Any = io.BytesIO(content)
    if content[:2] == b"\x1f\x8b":
        stream = gzip.GzipFile(fileobj=stream)
    try:
        start = stream.read(4)
        if len(start) < 4 or start[:2] != b"\x00\x00" or start[2] not in _TYPES or start[3] > 8:
            raise RuntimeError(f"read_idx: {path} is no IDX file")
        dtype, ndim = np.dtype(_TYPES[start[2]]), start[3]
        shape = struct.unpack(f">{ndim}I", stream.read(4 * ndim))
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        # A stream of n bytes swells to at most 1032 n: a header cannot ask for any memory it likes.
        if size > 1032 * len(content):
            raise RuntimeError(f"read_idx: {path} states {shape}, more than it can hold")
        raw = stream.read(size + 1)
    except (OSError, EOFError, struct.error, zlib.error) as error:
        raise RuntimeError(f"read_idx: {path} is damaged or truncated ({error})") from None
    if len(raw) != size:
        raise RuntimeError(
            f"read_idx: {path} should hold {size} bytes of {shape}, it holds "
            f"{'more' if len(raw) > size else len(raw)}"
        )
    array = np.frombuffer(raw, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


class MNIST(SplitDataset):
    """The handwritten digits of LeCun, Cortes and Burges: 60,000 to train on, 10,000 to test;
    gray pictures of 28 x 28.

    Args:
        root: the four IDX files (``train-images-idx3-ubyte``, ..., with ``.gz`` or without) are
            here, in ``raw``, or in ``MNIST/raw``, where torchvision keeps them.
        train: the 60,000 or the 10,000.
        transform, target_transform: applied to each picture and class.
        download: refused, with the reason.
        check: verify the published checksums (of compressed files).

    Attributes:
        data: uint8 ``[N, 28, 28]``
        targets: int64 ``[N]``

    Raises:
        FileNotFoundError: a file is missing.
        RuntimeError: a file is damaged.
    """

    classes = [
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six",
        "7 - seven", "8 - eight", "9 - nine",
    ]  # fmt: skip
    source = "https://yann.lecun.org/exdb/mnist"
    md5 = {
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    }

    def __init__(
        self, root: str | os.PathLike[str], train: bool = True, transform: Function | None = None,
        target_transform: Function | None = None, download: bool = False, *, check: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        refuse_download(type(self).__name__, download, self.root, self.source)
        part = "train" if train else "t10k"
        images = self._read(f"{part}-images-idx3-ubyte", check)
        labels = self._read(f"{part}-labels-idx1-ubyte", check)
        name = type(self).__name__
        if images.ndim != 3 or images.dtype != np.uint8 or labels.shape != images.shape[:1]:
            raise RuntimeError(
                f"{name}: {images.dtype} pictures {images.shape} and labels {labels.shape} do not "
                "belong together"
            )
        self._check_labels(labels)
        self.data: Tensor = deeplite.from_numpy(images)
        self.targets: Tensor = deeplite.from_numpy(labels.astype(np.int64))
        self._images, self._labels = images, labels

    def _read(self, stem: str, check: bool) -> np.ndarray:
        folders = (f"{type(self).__name__}/raw", "raw", "")
        name = type(self).__name__
        path = find_file(name, self.root, folders, (stem, f"{stem}.gz"), self.source)
        return read_idx(path, self.md5[stem] if check and path.suffix == ".gz" else None)


class FashionMNIST(MNIST):
    """Zalando's pictures of clothes in the format of :class:`MNIST` (Xiao, Rasul and Vollgraf,
    2017); files in ``FashionMNIST/raw``."""

    classes = [
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    ]  # fmt: skip
    source = "https://github.com/zalandoresearch/fashion-mnist"
    md5 = {
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    }


class KMNIST(MNIST):
    """Ten cursive Japanese characters in the format of :class:`MNIST` (Clanuwat et al., 2018);
    files in ``KMNIST/raw``."""

    classes = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]
    source = "http://codh.rois.ac.jp/kmnist"
    md5 = {
        "train-images-idx3-ubyte": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte": "7320c461ea6c1c855c0b718fb2a4b134",
    }
