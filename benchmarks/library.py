"""What both sides have in common, so that a piece of work is written once."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

PEERS = ("torch",)


class Library:
    """A library with torch's names, and the float type the work's data are given in.

    Args:
        name: ``"deeplite"`` or a name of `PEERS`; imported here, not before.
        floats: dtype of float data. With ``"float64"`` this is the judge: data that a work wants in
            another dtype are rounded to it first, so that all sides see the same numbers.
    """

    def __init__(self, name: str, floats: str = "float32") -> None:
        self.name = name
        self.floats = floats
        self.module: Any = importlib.import_module(name)

    @property
    def nn(self) -> Any:
        return self.module.nn

    @property
    def functional(self) -> Any:
        return self.module.nn.functional

    def tensor(self, array: np.ndarray, dtype: str | None = None, grad: bool = False) -> Any:
        """A tensor with the numbers of `array`, in `dtype` (default: `floats`; integers stay)."""
        if array.dtype.kind == "f":
            t = self.module.from_numpy(np.array(array, np.float32))
            if dtype is not None:
                t = t.to(getattr(self.module, dtype))
            if dtype is None or self.floats == "float64":
                t = t.to(getattr(self.module, self.floats))
        else:
            t = self.module.from_numpy(np.array(array))
        return t.requires_grad_() if grad else t

    def arrays(self, value: Any) -> list[np.ndarray]:
        """Every tensor in `value` (a tensor, a number, nested tuples and lists of them)."""
        if isinstance(value, (tuple, list)):
            return [a for v in value for a in self.arrays(v)]
        if isinstance(value, (bool, int, float)):
            return [np.asarray(value, np.float64)]
        value = value.detach()
        if str(value.dtype).endswith(("bfloat16", "float16")):
            value = value.to(self.module.float32)
        return [np.asarray(value.contiguous().numpy())]

    def set_threads(self, count: int) -> None:
        self.module.set_num_threads(count)

    def version(self) -> str:
        return str(self.module.__version__)
