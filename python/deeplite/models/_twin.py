"""The same architecture over another library with torch's names.

A model file needs nothing but ``nn`` and a few functions that are called alike in both libraries,
so the very same source can be executed with another library in deeplite's place. Tests and
benchmarks compare the two; there is no second description of a network that could differ.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import sys
import types
from typing import Any

# What is executed again; everything else of deeplite is looked up in the other library.
_OWN = ("deeplite.models", "deeplite.ops", "deeplite._summary")

_loaded: dict[tuple[str, str], types.ModuleType] = {}


def over(library: Any, module: str) -> types.ModuleType:
    """The module ``module`` ("deeplite.models.resnet", or just "resnet") over ``library``.

    ``from deeplite import nn, Tensor`` gives the library's; modules of ``deeplite.models`` and
    ``deeplite.ops`` are executed over the library as well, each once. ``over(library, "models")``
    is the whole package with a registry of its own.
    """
    if module == "models":
        module = "deeplite.models"
    elif not module.startswith("deeplite."):
        module = f"deeplite.models.{module}"
    key = (library.__name__, module)
    if key not in _loaded:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"there is no module {module!r}")
        twin = types.ModuleType(f"{library.__name__}_twin.{module}")
        twin.__dict__["__builtins__"] = {**vars(builtins), "__import__": _importer(library)}
        twin.__file__ = spec.origin
        # dataclasses and pickle look a class's module up by name
        _loaded[key] = sys.modules[twin.__name__] = twin
        with open(spec.origin, encoding="utf-8") as source:
            exec(compile(source.read(), spec.origin, "exec"), twin.__dict__)
    return _loaded[key]


def build(library: Any, name: str, *arguments: Any, **options: Any) -> Any:
    """The architecture ``name`` over ``library``: ``models.build`` of the twin package."""
    return over(library, "models").build(name, *arguments, **options)


def _importer(library: Any) -> Any:
    def substitute(
        name: str, scope: Any = None, local: Any = None, wanted: Any = (), level: int = 0
    ) -> Any:
        if level or name.split(".")[0] != "deeplite":
            return builtins.__import__(name, scope, local, wanted, level)
        if not wanted and "." in name:
            raise ImportError(f"import {name}: model files say `from {name} import ...`")
        if name.startswith(_OWN):
            return over(library, name)
        return importlib.import_module(library.__name__ + name[len("deeplite") :])

    return substitute
