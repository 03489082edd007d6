"""From a piece of work to a row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks import judge, record, timing
from benchmarks.library import Library
from benchmarks.work import Call, Options, Work

OURS = "deeplite"


def chosen(works: Iterable[Work], options: Options) -> list[Work]:
    """The works that `options.pattern` lets through; names have to be unique."""
    found: dict[str, Work] = {}
    for work in works:
        if work.name in found:
            raise ValueError(f"two works named {work.name!r}")
        found[work.name] = work
    match = re.compile(options.pattern).search
    return [w for w in found.values() if match(f"{w.group}: {w.name}")]


def time_all(works: Iterable[Work], options: Options) -> Iterator[dict[str, Any]]:
    """A row per work and thread count."""
    for work in chosen(works, options):
        libraries, sides = build(work, options.vs)
        check = None
        if options.check and work.terms and options.vs == "torch":
            check = judged(work, libraries, sides)
        for threads in options.threads:
            yield timed(work, sides, libraries, threads, check, options)


def build(work: Work, vs: str) -> tuple[list[Library], dict[str, Call]]:
    """Our side first, then every way of the peer."""
    libraries = [Library(OURS)]
    sides = {OURS: work.make(libraries[0])}
    if vs != "none":
        libraries.append(Library(vs))
        sides[vs] = work.make(libraries[1])
        for way, make in work.peers.items():
            sides[f"{vs} {way}"] = make(libraries[1])
    return libraries, sides


def judged(work: Work, libraries: list[Library], sides: dict[str, Call]) -> dict[str, Any]:
    exact = Library("torch", "float64")
    make = work.judged or work.make
    right = exact.arrays(make(exact)())
    if work.judged:
        sides = {library.name: make(library) for library in libraries}
    results = {side: library_of(side, libraries).arrays(call()) for side, call in sides.items()}
    return judge.verdict(results, right, work.terms, work.slack)


def library_of(side: str, libraries: list[Library]) -> Library:
    return next(lib for lib in libraries if side.split()[0] == lib.name)


def timed(
    work: Work, sides: dict[str, Call], libraries: list[Library], threads: int, check: Any,
    options: Options,
) -> dict[str, Any]:  # fmt: skip
    for library in libraries:
        library.set_threads(threads)
    found = timing.take_turns(sides, options.seconds, options.quick, steady=threads > 1)
    return row_of(work.name, work.group, threads, found, work.flops, work.traffic, check)


def row_of(
    name: str, group: str, threads: int, found: timing.Timing, flops: float | None = None,
    traffic: float | None = None, check: Any = None,
) -> dict[str, Any]:  # fmt: skip
    """The row of a timing; the peer is the fastest side that is not the first."""
    first, *others = found.rounds
    sides = {side: spread(values) for side, values in found.rounds.items()}
    peer = min(others, key=found.median, default=None)
    return record.row(
        name,
        group,
        threads,
        sides,
        peer=peer,
        ratio=spread(found.ratios(first, peer)) if peer else None,
        rounds=len(found.rounds[first]),
        flops=flops,
        traffic=traffic,
        check=check,
    )


def spread(values: list[float]) -> dict[str, float]:
    low, high = timing.quartiles(values)
    return {"median": timing.statistics.median(values), "low": low, "high": high}


def line(row: dict[str, Any], peaks: dict[str, float]) -> str:
    """One line of output for a row."""
    text = f"{row['work']:<44.44} {row['threads']}T"
    for side, value in row["sides"].items():
        text += f"  {side} {human(value['median'], row['unit'])}"
    if row["ratio"]:
        r = row["ratio"]
        text += f"  ratio {r['median']:.3f} ({r['low']:.3f}..{r['high']:.3f})"
    ours = next(iter(row["sides"].values()))["median"]
    if row["flops"] and peaks.get("fma"):
        rate = row["flops"] / ours
        text += f"  {rate / 1e9:.1f} GFLOP/s, {100 * rate / peaks['fma']:.0f} % of peak"
    if (row["traffic"] or 0) >= record.FROM_MEMORY and peaks.get("copy"):
        text += f"  {100 * row['traffic'] / ours / peaks['copy']:.0f} % of copy"
    if row["check"]:
        mine = next(iter(row["check"]["errors"].values()))
        good = "ok" if row["check"]["ok"] else f"WRONG (bound {row['check']['bound']:.1e})"
        text += f"  error {mine:.0e} {good}"
    return text


def human(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{value / 2**20:.1f} MB"
    if value < 1e-4:
        return f"{value * 1e6:.2f} us"
    return f"{value * 1e3:.2f} ms" if value < 1 else f"{value:.2f} s"


Rows = Callable[[Options], Iterator[dict[str, Any]]]
