"""Automatic differentiation: modes, gradients, hooks, functions written in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .functional import backward, grad
from .modes import (
    detect_anomaly,
    enable_grad,
    inference_mode,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
)

if TYPE_CHECKING:
    from ._gradcheck import GradcheckError, gradcheck, gradgradcheck
    from .function import Function

_LAZY = {
    "Function": "function",
    "gradcheck": "_gradcheck",
    "gradgradcheck": "_gradcheck",
    "GradcheckError": "_gradcheck",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        module = importlib.import_module(f".{_LAZY[name]}", __name__)
        for key, home in _LAZY.items():  # a name shared with its module must end up as the function
            if home == _LAZY[name]:
                globals()[key] = getattr(module, key)
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Function",
    "GradcheckError",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]
