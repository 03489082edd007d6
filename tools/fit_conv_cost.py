#!/usr/bin/env python3
"""Times the algorithms of convolution against what the cost model predicts for them.

    tools/fit_conv_cost.py time FILE      time what FILE has fewest times of, append to it
    tools/fit_conv_cost.py report FILE    compare with the predictions of the module as built now

The first runs every algorithm that may be chosen for the layers of benchmarks/layers_conv.py, in
turns, and keeps the median time of each (one line of JSON for a layer and a pass). Called several
times, on a machine with nothing else to do, it goes round the table and gathers rounds; the second
takes the medians of these. It prints, for each algorithm, predicted / measured time, and the
regret: how much longer the chosen algorithm takes than the best one. To fit the model, change the
functions of csrc/kernels/cpu/conv_*cost.h and their like, build, and look at the report again.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median, median_low
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "python")]

import deeplite as dl  # noqa: E402
from deeplite.backends import conv, cpu  # noqa: E402

from benchmarks.layers_conv import LAYERS, ConvLayer  # noqa: E402

PASSES = {"f": "forward", "x": "backward_input", "w": "backward_weight"}
TOO_SLOW = 3.0  # neither predicted nor seen to be within this factor of the best: left out


class Row(NamedTuple):
    """A pass of a layer; `name` is also its key in the file."""

    name: str
    layer: ConvLayer
    which: str

    def sizes(self, batch: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of input and weight of the convolution that computes it."""
        one = self.layer
        inner, outer = one.channels, one.filters
        size = one.size
        if one.transposed:  # then the layer's forward pass is the gradient of the input
            inner, outer, size = outer, inner, one.output
        return (batch, inner, *size), (outer, inner // one.groups, *one.kernel)

    def geometry(self) -> tuple[list[int], list[int], list[int], int]:
        one = self.layer
        return list(one.stride), list(one.padding), list(one.dilation), one.groups


def rows(pattern: str, passes: str) -> list[Row]:
    found = []
    for one in LAYERS:
        for letter in passes:
            name = f"{one.network} {one.name} {letter}"
            if re.search(pattern, name):
                found.append(Row(name, one, PASSES[letter]))
    return found


def options(row: Row, batch: int) -> list[conv.Option]:
    """What may run, by predicted time, without the plain loops."""
    shapes = row.sizes(batch)
    x, w = (dl.empty(1).expand(shape) for shape in shapes)
    found = conv.explain(x, w, *row.geometry(), which=row.which)
    return [o for o in found if o.allowed and o.name != "reference"]


def once(call: Callable[[], object], times: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def timed(row: Row, batch: int) -> dict[str, float]:
    """Seconds of each algorithm: the median of samples in turns of at least a millisecond."""
    candidates = options(row, batch)
    least = candidates[0].predicted
    names = [o.name for o in candidates if o.predicted <= TOO_SLOW * least]
    shapes = row.sizes(batch)
    x, w = dl.randn(*shapes[0]), dl.randn(*shapes[1])
    args = row.geometry()
    y = dl._C._conv.run(x, w, x, *args, "forward")

    def sample(name: str, times: int) -> float:
        with conv.algorithm(name, passes=[row.which]):
            return once(lambda: dl._C._conv.run(x, w, y, *args, row.which), times)

    seconds = {name: sample(name, 1) for name in names}
    best = min(seconds.values())
    if best > 0.05:
        return seconds
    # The first run may have met new memory.
    seconds = {name: min(first, sample(name, 1)) for name, first in seconds.items()}
    close = [name for name in names if seconds[name] <= TOO_SLOW * min(seconds.values())]
    samples = defaultdict(list)
    for _ in range(3 if best > 5e-3 else 5):
        for name in close:
            samples[name].append(sample(name, math.ceil(1e-3 / seconds[name])))
    return seconds | {name: median(taken) for name, taken in samples.items()}


def load(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def collect(args: argparse.Namespace) -> None:
    dl.set_num_threads(args.threads)
    state = {"batch": args.batch, "threads": args.threads, "isa": cpu.isa()}
    seen: dict[str, int] = defaultdict(int)
    for line in load(args.file):
        if all(line[key] == value for key, value in state.items()):
            seen[line["row"]] += 1
    end = time.perf_counter() + args.seconds
    todo = sorted(rows(args.filter, args.passes), key=lambda row: seen[row.name])
    with args.file.open("a") as out:
        for done, row in enumerate(todo):
            if time.perf_counter() > end:
                print(f"{done} of {len(todo)} rows; those before: {seen[row.name]} rounds")
                return
            out.write(json.dumps({"row": row.name, **state, "seconds": timed(row, args.batch)}))
            out.write("\n")
    print(f"all {len(todo)} rows, {seen[todo[-1].name] + 1} rounds")


class Result(NamedTuple):
    """Algorithms of a row with their measured and predicted seconds; the chosen one is first."""

    name: str
    measured: dict[str, float]
    predicted: dict[str, float]

    def regret(self) -> float:
        chosen = next(name for name in self.predicted if name in self.measured)
        return self.measured[chosen] / min(self.measured.values())

    def text(self) -> str:
        ordered = sorted(self.measured, key=self.measured.__getitem__)
        chosen = next(iter(self.predicted))
        return f"{self.regret():.2f} {self.name}: " + " ".join(
            f"{'*' if name == chosen else ''}{name} {1e3 * self.measured[name]:.3f}"
            f"({1e3 * self.predicted.get(name, math.nan):.3f})"
            for name in ordered
        )


def results(args: argparse.Namespace, batch: int, threads: int) -> Iterator[Result]:
    """Predictions are divided by the threads, as if all work were shared evenly."""
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for line in load(args.file):
        if (line["batch"], line["threads"], line["isa"]) == (batch, threads, cpu.isa()):
            for name, seconds in line["seconds"].items():
                times[line["row"]][name].append(seconds)
    for row in rows(args.filter, args.passes):
        if row.name in times:
            measured = {name: median_low(all_of) for name, all_of in times[row.name].items()}
            predicted = {o.name: o.predicted / threads for o in options(row, batch)}
            yield Result(row.name, measured, predicted)


def geometric(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def show(title: str, found: list[Result], limit: float) -> None:
    ratios = defaultdict(list)
    for result in found:
        for name, seconds in result.measured.items():
            if name in result.predicted and seconds < 1.6 * min(result.measured.values()):
                ratios[f"{result.name[-1]} {name}"].append(result.predicted[name] / seconds)
    print(f"== {title}: predicted / measured where within 1.6 of the best: median, tenths, rows")
    for name, all_of in sorted(ratios.items()):
        all_of.sort()
        tenth = len(all_of) // 10
        middle, low, high = median(all_of), all_of[tenth], all_of[-1 - tenth]
        print(f"{name:20} {middle:5.2f}  {low:5.2f}..{high:5.2f}  {len(all_of)}")
    for result in sorted(found, key=Result.regret, reverse=True):
        if result.regret() > limit:
            print(result.text())
    for letter in PASSES:
        regrets = [r.regret() for r in found if r.name[-1] == letter]
        if regrets:
            print(f"regret {letter}: mean {geometric(regrets):.4f}, worst {max(regrets):.2f}")
    every = [r.regret() for r in found]
    over = sum(regret > 1.12 for regret in every)
    print(f"{title}: regret {geometric(every):.4f} over {len(every)} rows, {over} above 1.12")


def report(args: argparse.Namespace) -> None:
    states = {(one["batch"], one["threads"]) for one in load(args.file)}
    for batch, threads in sorted(states):
        found = list(results(args, batch, threads))
        if found:
            show(f"batch {batch}, {threads} threads, {cpu.isa()}", found, args.limit)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["time", "report"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--filter", default="", help="of 'network layer pass'")
    parser.add_argument("--passes", default="fxw")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30, help="stop after so long")
    parser.add_argument("--limit", type=float, default=1.08, help="print rows above this regret")
    args = parser.parse_args()
    {"time": collect, "report": report}[args.what](args)


if __name__ == "__main__":
    main()
