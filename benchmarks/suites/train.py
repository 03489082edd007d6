"""Training steps of whole networks: forward, loss, backward, update (SGD with momentum).

Other networks than those listed are measured when `--filter` gives their names, joined by "|".
torch may keep its tensors in its own order or in `channels_last`; we are compared with the faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.library import Library
from benchmarks.networks import Training, available, has_layouts, title
from benchmarks.runner import time_all
from benchmarks.work import Call, Options, Work

SMALL = ("mlp", "lenet5", "lenet5_modern")


def batches(name: str) -> tuple[int, ...]:
    return (1, 64, 256) if name in SMALL else (8,)


def step(name: str, batch: int, last: bool, library: Library) -> Call:
    return Training(library, name, batch, last).step


def first_loss(name: str, batch: int, library: Library) -> Call:
    """What is judged: the loss before any update, without dropout."""
    return Training(library, name, batch, still=True).loss


def work(name: str, batch: int) -> Work:
    return Work(
        f"{title(name)}, batch {batch}",
        title(name),
        partial(step, name, batch, False),
        {"channels_last": partial(step, name, batch, True)} if has_layouts(name) else {},
        judged=partial(first_loss, name, batch),
        terms=4096,
    )


def works(options: Options) -> list[Work]:
    return [
        work(name, batch)
        for name in available(options.pattern)
        for batch in options.batches or batches(name)
    ]


def rows(options: Options) -> Iterator[dict[str, Any]]:
    return time_all(works(options), options)
