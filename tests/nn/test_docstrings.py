"""Every example in the docstrings of nn, optim, data and serialization runs and prints that."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import deeplite
import pytest


def modules() -> list[str]:
    names = ["deeplite.serialization", "deeplite.utils.hooks"]
    for package in (deeplite.nn, deeplite.optim, deeplite.data):
        names.append(package.__name__)
        for m in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            names.append(m.name)
    return names


@pytest.mark.parametrize("name", modules())
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    scope = {"deeplite": deeplite, "nn": deeplite.nn, "F": deeplite.nn.functional}
    scope.update(vars(module))
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for example in finder.find(module, name, globs=scope):
        runner.run(example)
    assert runner.summarize(verbose=False).failed == 0


def test_public_functions_have_docstrings() -> None:
    bare = [
        name
        for package in (deeplite.nn, deeplite.nn.functional, deeplite.nn.init, deeplite.optim)
        for name, value in vars(package).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("deeplite.")
        if callable(value) and not value.__doc__
    ]
    assert bare == []
