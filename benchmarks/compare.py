"""Two runs of one suite, row by row: what became faster, what slower."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.record import key
from benchmarks.runner import human


def table(old: dict[str, Any], new: dict[str, Any]) -> str:
    """A table in Markdown of the rows both files have, slowed-down rows first.

    Runs of different days differ by the weather of the machine, which both sides share: besides our
    own times it shows how the ratio to the peer changed, which is the safer figure.
    """
    if old["suite"] != new["suite"]:
        raise ValueError(f"suites differ: {old['suite']!r} and {new['suite']!r}")
    before = {key(r): r for r in old["rows"]}
    pairs = [(before[key(r)], r) for r in new["rows"] if key(r) in before]
    if not pairs:
        return "no rows in common"
    pairs.sort(key=lambda p: -change(*p))
    lines = [
        "| work | threads | before | after | after/before | ratio before | ratio after |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for a, b in pairs:
        times = [human(ours(r), r["unit"]) for r in (a, b)]
        ratios = [f"{r['ratio']['median']:.2f}" if r["ratio"] else "" for r in (a, b)]
        cells = [b["work"], str(b["threads"]), *times, f"{change(a, b):.2f}", *ratios]
        lines.append("| " + " | ".join(cells) + " |")
    mean = statistics.geometric_mean(change(a, b) for a, b in pairs)
    lines.append(f"\ngeometric mean of after/before over {len(pairs)} rows: {mean:.3f}")
    missing = len(old["rows"]) - len(pairs), len(new["rows"]) - len(pairs)
    if any(missing):
        lines.append(f"only before: {missing[0]} rows; only after: {missing[1]} rows")
    return "\n".join(lines)


def ours(row: dict[str, Any]) -> float:
    return next(iter(row["sides"].values()))["median"]


def change(old: dict[str, Any], new: dict[str, Any]) -> float:
    """Our time after over before; by the ratios to the peer where both have one."""
    if old["ratio"] and new["ratio"]:
        return new["ratio"]["median"] / old["ratio"]["median"]
    return ours(new) / ours(old)
