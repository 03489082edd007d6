"""The built-in CPU backend: which instruction set its kernels use.

Every kernel is compiled for several instruction sets, and the best one this processor has is chosen
when deeplite is imported. ``DEEPLITE_CPU_ISA=avx2`` in the environment asks for another,
``DEEPLITE_REFERENCE=1`` for the plain reference kernels; `set_isa` switches in a running program.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .. import _C

__all__ = ["capability", "isa", "set_isa", "using_isa"]


def capability() -> tuple[str, ...]:
    """The instruction sets that can be used here, lowest first: what this processor and operating
    system offer, of those deeplite was built for.

    On x86-64 from ``("baseline", "avx2", "avx512")``, on 64-bit ARM ``("neon",)``. The reference
    kernels (``"reference"``) are always there and not listed.

    >>> import deeplite
    >>> deeplite.backends.cpu.isa() in (*deeplite.backends.cpu.capability(), "reference")
    True
    """
    return tuple(name for name in _C._backends.cpu_isas() if name != "reference")


def isa() -> str:
    """The instruction set in use: one of `capability`, or ``"reference"``."""
    return str(_C._backends.cpu_isa())


def set_isa(name: str) -> None:
    """Switches all kernels to another instruction set, for the whole process.

    Results of float32 and float64 operations may differ between sets in the last bits. Not to be
    called while other threads compute: their kernels may then come from either set. Raises
    ValueError when `name` is not available here.
    """
    _C._backends.cpu_set_isa(name)


@contextmanager
def using_isa(name: str) -> Iterator[None]:
    """`set_isa` for a ``with`` block; the former set is restored after it.

    >>> import deeplite
    >>> with deeplite.backends.cpu.using_isa("reference"):
    ...     deeplite.backends.cpu.isa()
    'reference'
    """
    before = isa()
    set_isa(name)
    try:
        yield
    finally:
        set_isa(before)
