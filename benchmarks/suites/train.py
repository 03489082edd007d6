"""Training steps of whole networks: forward, loss, backward, update (SGD with momentum).

torch may keep its tensors in its own order or in `channels_last`; we are compared with the faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.library import Library
from benchmarks.networks import SHAPES, Training, available, title
from benchmarks.runner import time_all
from benchmarks.work import Call, Options, Work

BATCHES: dict[str, tuple[int, ...]] = {
    "lenet5": (1, 64, 256),
    "lenet5_modern": (1, 64, 256),
    "mlp": (1, 64, 256),
    "resnet18": (8,),
    "resnet50": (8,),
    "mobilenet_v2": (8,),
    "vgg16": (4,),
}


def step(name: str, batch: int, last: bool, library: Library) -> Call:
    return Training(library, name, batch, last).step


def first_loss(name: str, batch: int, library: Library) -> Call:
    """What is judged: the loss before any update, without dropout."""
    return Training(library, name, batch, still=True).loss


def work(name: str, batch: int) -> Work:
    images = len(SHAPES[name]) == 3 and SHAPES[name][0] == 3
    return Work(
        f"{title(name)}, batch {batch}",
        title(name),
        partial(step, name, batch, False),
        {"channels_last": partial(step, name, batch, True)} if images else {},
        judged=partial(first_loss, name, batch),
        terms=4096,
    )


def works(options: Options) -> list[Work]:
    here = set(available())
    return [
        work(name, batch)
        for name, own in BATCHES.items()
        if name in here
        for batch in options.batches or own
    ]


def rows(options: Options) -> Iterator[dict[str, Any]]:
    return time_all(works(options), options)
