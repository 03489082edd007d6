"""Inference of whole networks, batch 1 and 8, without recording gradients.

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

BATCHES = (1, 8)


def inference(name: str, batch: int, last: bool, library: Library) -> Call:
    training = Training(library, name, batch, last)
    model, images = training.model.eval(), training.images
    no_grad = library.module.no_grad

    def call() -> Any:
        with no_grad():
            return model(images)

    return call


def work(name: str, batch: int) -> Work:
    return Work(
        f"{title(name)}, batch {batch}",
        title(name),
        partial(inference, name, batch, False),
        {"channels_last": partial(inference, name, batch, True)} if has_layouts(name) else {},
        terms=4096,
    )


def works(options: Options) -> list[Work]:
    return [
        work(name, b) for name in available(options.pattern) for b in options.batches or BATCHES
    ]


def rows(options: Options) -> Iterator[dict[str, Any]]:
    return time_all(works(options), options)
