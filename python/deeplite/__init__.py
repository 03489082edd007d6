"""deeplite: deep learning without the weight.

A light library with torch's names and semantics over a native core. Importing it costs a few
milliseconds; what is not used (data loading, models, serialization) is imported on first use.

>>> import deeplite as dl
>>> x = dl.ones(2, 3, requires_grad=True)
>>> (x * 2).sum().backward()
>>> x.grad
tensor([[2., 2., 2.],
        [2., 2., 2.]])
"""

from __future__ import annotations

import importlib
from math import e, inf, nan, pi
from typing import TYPE_CHECKING, Any

from . import _C
from ._C import *  # noqa: F403
from ._C import __version__
from ._tensor_methods import install as _install_tensor_methods
from .autograd import enable_grad, inference_mode, no_grad, set_grad_enabled
from .graph import Graph, capture

_install_tensor_methods(_C.Tensor)
del _install_tensor_methods

newaxis = None

# Subpackages and functions that are imported when first touched.
_LAZY_MODULES = {
    "autograd",
    "backends",
    "data",
    "linalg",
    "models",
    "nn",
    "optim",
    "random",
    "testing",
    "utils",
}
_LAZY_NAMES = {
    "finfo": "_dtype_info",
    "iinfo": "_dtype_info",
    "frombuffer": "_interop",
    "result_type": "_interop",
    "save": "serialization",
    "load": "serialization",
    "summary": "_summary",
    "set_printoptions": "_tensor_str",
    "get_rng_state": "random",
    "set_rng_state": "random",
    "fork_rng": "random",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY_MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in _LAZY_NAMES:
        return getattr(importlib.import_module(f".{_LAZY_NAMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY_MODULES, *_LAZY_NAMES})


if TYPE_CHECKING:
    from . import autograd, backends, data, linalg, models, nn, optim, random, testing, utils
    from ._dtype_info import finfo, iinfo
    from ._interop import frombuffer, result_type
    from ._summary import summary
    from ._tensor_str import set_printoptions
    from .random import fork_rng, get_rng_state, set_rng_state
    from .serialization import load, save

__all__ = [
    "Graph",
    "__version__",
    "autograd",
    "backends",
    "capture",
    "data",
    "e",
    "enable_grad",
    "finfo",
    "fork_rng",
    "frombuffer",
    "get_rng_state",
    "iinfo",
    "inf",
    "inference_mode",
    "linalg",
    "load",
    "models",
    "nan",
    "newaxis",
    "nn",
    "no_grad",
    "optim",
    "pi",
    "random",
    "result_type",
    "save",
    "set_grad_enabled",
    "set_printoptions",
    "set_rng_state",
    "testing",
    "utils",
]
