"""Helpers around the library; ``deeplite.utils.data`` is ``deeplite.data`` under torch's name."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "data":
        import importlib

        return importlib.import_module("deeplite.utils.data")
    raise AttributeError(f"module 'deeplite.utils' has no attribute {name!r}")
