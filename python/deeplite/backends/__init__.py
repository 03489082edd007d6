"""Backends: what computes behind a device. "cpu" is built in; others are plug-ins, shared objects
that implement the C interface in ``csrc/kernels/backend.h``."""

from __future__ import annotations

import os

from .. import _C
from . import conv, cpu

__all__ = ["conv", "cpu", "load", "names"]


def names() -> list[str]:
    """Device types that can be used now, the built-in ``"cpu"`` first.

    >>> import deeplite
    >>> deeplite.backends.names()[0]
    'cpu'
    """
    return list(_C._backends.names())


def load(path: str | os.PathLike[str]) -> str:
    """Loads a backend from a shared object and returns the device type it adds.

    ``deeplite.zeros(2, device=deeplite.backends.load("libguard.so"))`` then makes a tensor there.
    Raises RuntimeError when the file cannot be loaded, is no backend, was built for another version
    of the interface, finds no device, or adds a name that is taken. A backend stays loaded.
    """
    return str(_C._backends.load(os.fspath(path)))
