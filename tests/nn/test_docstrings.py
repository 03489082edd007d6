"""Public functions and classes have docstrings. (Their examples run in tests/test_docs.py.)"""

from __future__ import annotations

import deeplite


def test_public_functions_have_docstrings() -> None:
    bare = [
        name
        for package in (deeplite.nn, deeplite.nn.functional, deeplite.nn.init, deeplite.optim)
        for name, value in vars(package).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("deeplite.")
        if callable(value) and not value.__doc__
    ]
    assert bare == []
