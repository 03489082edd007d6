"""What a second thread is worth: each side against itself, in turns.

The ratio of a row is the time with the most threads over the time with one; for us the results have
to be the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import timing
from benchmarks.library import Library
from benchmarks.runner import OURS, build, chosen, library_of, row_of
from benchmarks.suites import gemm, models, train
from benchmarks.work import Options, Work


def works(options: Options) -> list[Work]:
    here = set(models.available())
    squares = [gemm.square(n) for n in (128, 256, 512, 1024)]
    steps = [("lenet5", 1), ("lenet5", 64), ("mlp", 64), ("resnet18", 8), ("mobilenet_v2", 8)]
    inferences = [("resnet18", 1), ("mobilenet_v2", 1)]
    found = squares + [named(train.work(*s), "training") for s in steps if s[0] in here]
    return found + [named(models.work(*s), "inference") for s in inferences if s[0] in here]


def named(work: Work, group: str) -> Work:
    return Work(f"{work.name}, {group}", group, work.make, terms=0 if group == "training" else 1)


def rows(options: Options) -> Iterator[dict[str, Any]]:
    most = max(options.threads)
    for work in chosen(works(options), options):
        libraries, sides = build(work, options.vs)
        for side, call in sides.items():
            library = library_of(side, libraries)
            check = None
            if options.check and work.terms and side == OURS:
                check = same_bits(library, call, most)
            turns = {f"{most} threads": call, "1 thread": call}
            found = timing.take_turns(
                turns,
                options.seconds,
                options.quick,
                lambda name, lib=library: lib.set_threads(int(name.split()[0])),
                steady=True,
            )
            name = f"{work.name}: {library.name}"
            yield row_of(name, work.group, most, found, work.flops, work.traffic, check)


def same_bits(library: Library, call: Any, most: int) -> dict[str, Any]:
    results = []
    for threads in (1, most):
        library.set_threads(threads)
        results.append(library.arrays(call()))
    pairs = zip(*results, strict=True)
    ok = all(np.array_equal(a.view(np.uint8), b.view(np.uint8)) for a, b in pairs)
    return {"errors": {library.name: 0.0 if ok else 1.0}, "bound": 0.0, "ok": ok}
