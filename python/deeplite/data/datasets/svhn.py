"""Street View House Numbers, cropped digits, in the format of MATLAB."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np

from .vision import Function, VisionDataset, find_file, read_checked, refuse_download


class SVHN(VisionDataset):
    """Digits of house numbers, colour pictures of 32 x 32 (Netzer et al., "Reading digits in
    natural images with unsupervised feature learning", 2011).

    Args:
        root: holds ``train_32x32.mat``, ``test_32x32.mat`` or ``extra_32x32.mat``.
        split: "train", "test" or "extra".
        transform, target_transform: applied to each picture and class.
        download: refused, with the reason.
        check: verify the published checksum.

    Attributes:
        data: uint8 array ``[N, 3, 32, 32]``
        labels: int64 array ``[N]``; the digit 0, which the file calls 10, is 0

    Raises:
        FileNotFoundError: the file is missing.
        ModuleNotFoundError: SciPy, which reads the format, is not installed.
        RuntimeError: the file is damaged.
    """

    source = "http://ufldl.stanford.edu/housenumbers"
    md5 = {
        "train": "e26dedcc434d2e4c54c9b2d4a06d8373",
        "test": "eb5a983be6a315427106f1b164d9cef3",
        "extra": "a93ce644f1a588dc4d68dda5feec44a7",
    }

    def __init__(
        self, root: str | os.PathLike[str], split: str = "train", transform: Function | None = None,
        target_transform: Function | None = None, download: bool = False, *, check: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(root, transform=transform, target_transform=target_transform)
        if split not in self.md5:
            raise ValueError(f"SVHN: split is one of {', '.join(self.md5)}, got {split!r}")
        self.split = split
        refuse_download("SVHN", download, self.root, self.source)
        path = find_file("SVHN", self.root, ("",), (f"{split}_32x32.mat",), self.source)
        try:
            from scipy.io import loadmat
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                f"SVHN: {path} is a MATLAB file; reading it needs SciPy: "
                "pip install 'deeplite[data]'"
            ) from None
        content = read_checked("SVHN", path, self.md5[split] if check else None)
        try:
            found = loadmat(io.BytesIO(content), variable_names=("X", "y"))
            pictures, labels = found["X"], found["y"].astype(np.int64).reshape(-1)
        except Exception as error:  # SciPy raises whatever comes to hand
            raise RuntimeError(f"SVHN: {path} is damaged ({error!r})") from None
        if pictures.dtype != np.uint8 or pictures.shape != (32, 32, 3, len(labels)):
            raise RuntimeError(f"SVHN: {path}: {pictures.shape} pictures, {labels.shape} labels")
        if len(labels) and (labels.min() < 0 or labels.max() > 10):
            raise RuntimeError(f"SVHN: {path}: a label lies outside of 0 .. 10")
        self.data = np.ascontiguousarray(pictures.transpose(3, 2, 0, 1))
        self.labels = np.where(labels == 10, 0, labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        picture = np.ascontiguousarray(self.data[index].transpose(1, 2, 0))
        return self._sample(picture, int(self.labels[index]))

    def extra_repr(self) -> str:
        return f"Split: {self.split}"
