"""What datasets of pictures have in common: transforms, files that must be there, checksums."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset import Dataset

Function = Callable[[Any], Any]


class VisionDataset(Dataset[tuple[Any, Any]]):
    """A dataset of pictures with a class each.

    Args:
        root: the folder of its files.
        transforms: applied to picture and class together; excludes the other two.
        transform: applied to each picture.
        target_transform: applied to each class.
    """

    def __init__(
        self, root: str | os.PathLike[str] = "", transforms: Callable[..., Any] | None = None,
        transform: Function | None = None, target_transform: Function | None = None,
    ) -> None:  # fmt: skip
        if transforms is not None and (transform is not None or target_transform is not None):
            raise ValueError(
                f"{type(self).__name__}: transforms excludes transform and target_transform"
            )
        self.root = Path(root).expanduser()
        self.transforms = transforms
        self.transform, self.target_transform = transform, target_transform

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not say how long it is")

    def _sample(self, image: Any, target: Any) -> tuple[Any, Any]:
        if self.transforms is not None:
            return self.transforms(image, target)
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def extra_repr(self) -> str:
        return ""

    def __repr__(self) -> str:
        lines = [f"Dataset {type(self).__name__}", f"    Number of datapoints: {len(self)}"]
        if str(self.root) != ".":
            lines.append(f"    Root location: {self.root}")
        if extra := self.extra_repr():
            lines.append(f"    {extra}")
        for name in ("transforms", "transform", "target_transform"):
            if (function := getattr(self, name)) is not None:
                lines.append(f"    {name}: {function!r}")
        return "\n".join(lines)


class SplitDataset(VisionDataset):
    """One part, train or test, of pictures in named classes, held in memory."""

    classes: list[str]
    train: bool
    _images: np.ndarray
    _labels: np.ndarray

    @property
    def class_to_idx(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._sample(self._images[index], int(self._labels[index]))

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"

    def _check_labels(self, labels: np.ndarray) -> None:
        if len(labels) and (labels.min() < 0 or labels.max() >= len(self.classes)):
            raise RuntimeError(
                f"{type(self).__name__}: a label lies outside of the {len(self.classes)} classes"
            )


def find_file(
    name: str, root: Path, folders: Sequence[str], files: Sequence[str], where: str
) -> Path:
    """The first of ``files`` that is in one of the folders below ``root``.

    Raises:
        FileNotFoundError: none is there; the message says what to put where.
    """
    for folder in folders:
        for file in files:
            if (path := root / folder / file).is_file():
                return path
    raise FileNotFoundError(
        f"{name}: no file {' or '.join(files)} in {root / folders[0]}; nothing is downloaded: get "
        f"it from {where} and put it there"
    )


def refuse_download(name: str, download: bool, root: Path, where: str) -> None:
    if download:
        raise RuntimeError(
            f"{name}: nothing is downloaded; get the files from {where}, put them into {root} and "
            "leave download=False"
        )


def read_checked(name: str, path: Path, md5: str | None) -> bytes:
    """The content of a file, which must have the published checksum.

    Raises:
        RuntimeError: it has another one.
    """
    content = path.read_bytes()
    if md5 is not None:
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != md5:
            raise RuntimeError(
                f"{name}: {path} has MD5 {found}, the published file has {md5}; it is damaged or "
                "another file (check=False reads it all the same)"
            )
    return content
