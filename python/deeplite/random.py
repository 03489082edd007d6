"""State of the default random number generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ._C import default_generator, initial_seed, manual_seed, seed

__all__ = [
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]


def get_rng_state() -> tuple[int, int]:
    """Seed and counter of the default generator."""
    return default_generator.get_state()


def set_rng_state(new_state: tuple[int, int]) -> None:
    """Puts the default generator back to what `get_rng_state` returned."""
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(devices: object = None, enabled: bool = True) -> Iterator[None]:
    """What is drawn inside leaves the generator outside as it was, unless ``enabled`` is False.

    ``devices`` is taken for torch's sake: there is one generator for all of them.

    >>> import deeplite as dl
    >>> _ = dl.manual_seed(0)
    >>> with dl.random.fork_rng():
    ...     a = dl.rand(1)
    >>> bool(a == dl.rand(1))
    True
    """
    state = get_rng_state() if enabled else None
    try:
        yield
    finally:
        if state is not None:
            set_rng_state(state)
