"""A folder of pictures: one folder inside for each class."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .vision import Function, VisionDataset

IMG_EXTENSIONS = (
    ".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp",
)  # fmt: skip


def default_loader(path: str | os.PathLike[str]) -> np.ndarray:
    """The picture in a file as an array ``[H, W, 3]`` of 8 bits, decoded by Pillow.

    Raises:
        ModuleNotFoundError: Pillow is not installed.
        RuntimeError: the file is damaged or no picture.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "reading pictures needs Pillow: pip install 'deeplite[train]'"
        ) from None
    with open(path, "rb") as file:
        try:
            return np.asarray(Image.open(file).convert("RGB"))
        except (OSError, ValueError, SyntaxError, UnidentifiedImageError) as error:
            raise RuntimeError(f"{path} is damaged or no picture ({error})") from None


class DatasetFolder(VisionDataset):
    """Files in folders that are named after their classes: ``root/cat/a.png``, ``root/dog/b.png``.

    Args:
        root: the folder that holds one folder for each class, however deep the files lie in it.
        loader: reads a file.
        extensions: endings of the files that count; or
        is_valid_file: tells whether a file counts.
        transform, target_transform: applied to each picture and class number.
        allow_empty: a class may have no files.

    Attributes:
        classes: names in alphabetical order
        class_to_idx: name -> number
        samples: ``(path, class number)`` for each file
        targets: the class number of each file

    Raises:
        FileNotFoundError: there is no such folder, or no classes or files in it.
    """

    def __init__(
        self, root: str | os.PathLike[str], loader: Callable[[str], Any],
        extensions: Sequence[str] | None = None, transform: Function | None = None,
        target_transform: Function | None = None,
        is_valid_file: Callable[[str], bool] | None = None, allow_empty: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(root, transform=transform, target_transform=target_transform)
        if (extensions is None) == (is_valid_file is None):
            raise ValueError(
                f"{type(self).__name__}: exactly one of extensions and is_valid_file is needed"
            )
        endings = tuple(e.lower() for e in extensions or ())
        counts = is_valid_file or (lambda path: path.lower().endswith(endings))
        self.loader, self.extensions = loader, extensions
        self.classes, self.class_to_idx = self.find_classes(self.root)
        self.samples = [
            (str(path), number)
            for name, number in self.class_to_idx.items()
            for path in sorted(_files(self.root / name))
            if counts(str(path))
        ]
        self.targets = [number for _, number in self.samples]
        empty = sorted(set(self.class_to_idx.values()).difference(self.targets))
        if empty and not allow_empty:
            raise FileNotFoundError(
                f"{type(self).__name__}: no files for {', '.join(self.classes[i] for i in empty)} "
                f"in {self.root}" + (f" (endings: {', '.join(endings)})" if endings else "")
            )

    def find_classes(self, directory: str | os.PathLike[str]) -> tuple[list[str], dict[str, int]]:
        """The names of the classes, and their numbers."""
        if not Path(directory).is_dir():
            raise FileNotFoundError(f"{type(self).__name__}: no folder {directory}")
        names = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
        if not names:
            raise FileNotFoundError(
                f"{type(self).__name__}: {directory} has no folders, one for each class"
            )
        return names, {name: i for i, name in enumerate(names)}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        return self._sample(self.loader(path), target)


def _files(folder: Path) -> list[Path]:
    return [
        Path(base) / name for base, _, names in os.walk(folder, followlinks=True) for name in names
    ]


class ImageFolder(DatasetFolder):
    """Pictures in folders that are named after their classes; see :class:`DatasetFolder`.

    Args:
        root: the folder that holds one folder for each class.
        transform, target_transform: applied to each picture and class number.
        loader: reads a file; arrays ``[H, W, 3]`` through Pillow by default.
        is_valid_file: tells whether a file counts; by default its ending does.
        allow_empty: a class may have no files.
    """

    def __init__(
        self, root: str | os.PathLike[str], transform: Function | None = None,
        target_transform: Function | None = None, loader: Callable[[str], Any] = default_loader,
        is_valid_file: Callable[[str], bool] | None = None, allow_empty: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            root, loader, IMG_EXTENSIONS if is_valid_file is None else None, transform,
            target_transform, is_valid_file, allow_empty,
        )  # fmt: skip
        self.imgs = self.samples
