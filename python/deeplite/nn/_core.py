"""The functions of the C++ core by name.

Those that torch offers in ``torch`` live in ``_C``, those that it offers only in
``torch.nn.functional`` in ``_C._nn``. The layers need not care which is which:
``core.gelu`` and ``core.softmax`` find either (``_nn`` first) and remember what they found.
"""

from __future__ import annotations

from typing import Any

from deeplite import _C


class _Core:
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        function = getattr(_C._nn, name, None)
        if function is None:
            function = getattr(_C, name, None)
        if function is None:
            raise NotImplementedError(f"this build of deeplite's core has no operation '{name}'")
        setattr(self, name, function)  # found without __getattr__ from now on
        return function


core = _Core()
