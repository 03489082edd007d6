"""The suites: what can be run, one module each.

A module has `rows(options)`, which measures and yields rows, and where its work can be named
without measuring also `works(options)`.
"""

from __future__ import annotations

import importlib
from typing import Any

# In the order of the report.
NAMES = (
    "first",
    "train",
    "models",
    "conv",
    "gemm",
    "elementwise",
    "memory",
    "overhead",
    "data",
    "import",
    "footprint",
    "threads",
    "neighbour",
)


def load(name: str) -> Any:
    """The module of a suite. `import` is a word of the language: its module has a longer name."""
    return importlib.import_module(f"{__name__}.{'importing' if name == 'import' else name}")
