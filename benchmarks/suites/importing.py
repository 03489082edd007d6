"""Import times in fresh interpreters, in turns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.runner import OURS, row_of
from benchmarks.suites import children
from benchmarks.timing import Timing
from benchmarks.work import Options

# What is timed, after what; {lib} is the library.
STATEMENTS = {
    "import, beyond numpy": ("import numpy", "import {lib}"),
    "import": ("pass", "import {lib}"),
    "import to first result": ("pass", "import {lib}; ({lib}.ones(4) + 1).sum().item()"),
}


def seconds(before: str, statement: str) -> float:
    code = f"{before}\nimport time\nt = time.perf_counter()\n{statement}\n"
    return float(children.run(["-c", code + "print(time.perf_counter() - t)"]))


def rows(options: Options) -> Iterator[dict[str, Any]]:
    names = [OURS] + ([options.vs] if options.vs != "none" else [])
    for name, (before, statement) in STATEMENTS.items():
        rounds: dict[str, list[float]] = {lib: [] for lib in names}
        for number in range(2 if options.quick else 8):
            for lib in names:
                took = seconds(before, statement.format(lib=lib))
                if number:  # the first reads the files from the disk
                    rounds[lib].append(took)
        yield row_of(name, "import", 1, Timing(rounds))
