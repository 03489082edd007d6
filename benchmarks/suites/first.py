"""What a newcomer notices first: size, import time, small calls, LeNet-5, one matrix product.

The table of the README is made of this suite's newest results; ``--wheel`` adds the sizes.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.runner import OURS, time_all
from benchmarks.suites import gemm, importing, models, overhead, train
from benchmarks.work import Options, Work


def works(options: Options) -> list[Work]:
    picks = {
        "`x + x` on 4 elements, no gradient": overhead.work("", "", overhead.add, False),
        "`x + x` on 4 elements, recorded for backward": overhead.work("", "", overhead.add, True),
        "LeNet-5, training step, batch 1": train.work("lenet5", 1),
        "LeNet-5, training step, batch 32": train.work("lenet5", 32),
        "LeNet-5, inference, batch 32": models.work("lenet5", 32),
        "matrix product 512 x 512": gemm.square(512),
    }
    return [
        Work(name, "first", w.make, w.peers, w.flops, w.traffic, w.terms, w.slack, w.judged)
        for name, w in picks.items()
    ]


def rows(options: Options) -> Iterator[dict[str, Any]]:
    if options.wheel and options.vs != "none":
        yield sizes(options.wheel, options.vs)
    for row in importing.rows(options):
        if re.search(options.pattern, row["work"]) and row["work"] == "import, beyond numpy":
            yield row
    yield from time_all(works(options), options)


def sizes(wheel: str, vs: str) -> dict[str, Any]:
    ours, theirs = float(Path(wheel).stat().st_size), installed(vs)
    return record.row(
        "size, packed (deeplite) / installed (peer)",
        "first",
        1,
        {OURS: record.number(ours), vs: record.number(theirs)},
        unit="bytes",
        peer=vs,
        ratio=record.number(ours / theirs),
    )


def installed(distribution: str) -> float:
    """Bytes of all files of an installed distribution."""
    files = importlib.metadata.files(distribution) or []
    paths = (Path(str(f.locate())) for f in files)
    return float(sum(p.stat().st_size for p in paths if p.is_file()))
