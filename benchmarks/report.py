"""docs/benchmarks.md and its plots, made from the newest results of each suite."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks import plots, record, suites
from benchmarks.runner import human

DOCS = Path(__file__).resolve().parent.parent / "docs"
FULL_TABLE = 40  # longer ones show their summary and their worst rows
WORST = 12
SELF = {"threads", "neighbour"}  # suites whose rows compare a side with itself

HEAD = """# Benchmarks

Both libraries work in turns in one process, on the same data and with the same number of threads; a
ratio is the median over rounds of deeplite's time over the peer's time in the same round, so below
1 means that deeplite is faster. Where torch may keep its tensors in two orders the peer is the
faster of them. Results are compared with float64 by the rule of the tests; each section tells how
many rows were. `python -m benchmarks report` writes this page from `benchmarks/results/`, and
`python -m benchmarks run SUITE --save` writes those; `python -m benchmarks list` tells the suites.
"""


def write(docs: Path, files: dict[str, Path] | None = None) -> Path:
    """Writes ``benchmarks.md`` and ``images/benchmarks-*.svg`` below `docs`; returns the page."""
    files = record.newest() if files is None else files
    found = {s: record.load(files[s]) for s in suites.NAMES if s in files}
    if not found:
        raise SystemExit("no results yet: python -m benchmarks run SUITE --save")
    images = docs / "images"
    images.mkdir(parents=True, exist_ok=True)
    parts = [HEAD, machine_section(found.values())]
    for suite, document in found.items():
        parts.append(section(suite, document, images))
    page = docs / "benchmarks.md"
    page.write_text("\n".join(part.rstrip() + "\n" for part in parts))
    return page


def machine_section(documents: Iterable[dict[str, Any]]) -> str:
    """The machine of the newest document, and what it can do at best."""
    latest = max(documents, key=lambda d: d["date"])
    m = latest["machine"]
    caches = ", ".join(f"{k} {v}" for k, v in m["caches"].items())
    rows = [
        ("processor", f"{m['processor']}, {m['cores']} cores used"),
        ("instruction set of the kernels", m["instruction set"]),
        ("caches", caches),
        ("clock governor", m["governor"]),
        ("system", f"{m['system']}, Python {m['python']}"),
        ("versions", ", ".join(f"{k} {v}" for k, v in m["versions"].items())),
    ]
    for threads, peak in latest["peaks"].items():
        if peak:
            text = f"{peak['fma'] / 1e9:.0f} GFLOP/s, {peak['copy'] / 1e9:.1f} GB/s"
            rows.append((f"FMA peak (float32), copy (read + written), {threads} thread(s)", text))
    lines = ["## Machine", "", "| | |", "|---|---|"]
    lines += [f"| {what} | {value} |" for what, value in rows]
    lines += ["", "Peak and copy are measured by `benchmarks/peak.c`, compiled when a run starts."]
    return "\n".join(lines) + "\n"


def section(suite: str, document: dict[str, Any], images: Path) -> str:
    rows = document["rows"]
    title = (suites.load(suite).__doc__ or "").strip().splitlines()[0]
    lines = [f"## {suite}", "", f"{title} ({document['date']})", ""]
    compared = [r for r in rows if r["ratio"]]
    if compared and suite not in SELF | {"first"}:
        lines += [summary_table(compared), ""]
    groups = ratios_by_group(compared)
    if len(compared) > 3:
        caption = (
            "time over time alone or with one thread" if suite in SELF else "ratio to the peer"
        )
        name = f"benchmarks-{suite}.svg"
        (images / name).write_text(plots.strips(groups, caption))
        lines += [f"![{suite}: {caption}, a dot per row](images/{name})", ""]
    if len(rows) <= FULL_TABLE:
        lines.append(table(rows, document["peaks"]))
    else:
        worst = sorted(compared, key=lambda r: -r["ratio"]["median"])[:WORST]
        lines += ["The slowest beside the peer:", "", table(worst, document["peaks"])]
    judged = sum(r["check"] is not None for r in rows)
    lines += ["", f"Compared with float64: {judged} of {len(rows)} rows."]
    wrong = [r["work"] for r in rows if r["check"] and not r["check"]["ok"]]
    if wrong:
        lines += ["", "Outside their error bound: " + ", ".join(wrong) + "."]
    return "\n".join(lines) + "\n"


def ratios_by_group(rows: list[dict[str, Any]]) -> dict[str, dict[str, list[float]]]:
    """group -> "1 thread" or "2 threads" -> ratios."""
    found: dict[str, dict[str, list[float]]] = {}
    for r in rows:
        threads = f"{r['threads']} thread{'s' if r['threads'] > 1 else ''}"
        found.setdefault(r["group"], {}).setdefault(threads, []).append(r["ratio"]["median"])
    return found


def summary_table(rows: list[dict[str, Any]]) -> str:
    """Per group and thread count: how many rows, geometric mean, best, worst, how many above 1."""
    groups = ratios_by_group(rows)
    if len(groups) > 1:
        every: dict[str, list[float]] = {}
        for series in groups.values():
            for threads, ratios in series.items():
                every.setdefault(threads, []).extend(ratios)
        groups = {**groups, "**all**": every}
    lines = [
        "| | | rows | geometric mean | best | worst | above 1 |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for group, series in groups.items():
        for threads, ratios in series.items():
            figures = (statistics.geometric_mean(ratios), min(ratios), max(ratios))
            cells = [group, threads, str(len(ratios)), *(f"{v:.2f}" for v in figures)]
            lines.append("| " + " | ".join([*cells, str(sum(r > 1 for r in ratios))]) + " |")
    return "\n".join(lines)


def table(rows: list[dict[str, Any]], peaks: dict[str, dict[str, float]]) -> str:
    """Row by row; the last column holds the share of FMA peak or copy bandwidth where known."""
    lines = ["| work | threads | ours | other | ratio | of the peak |", "|---|--:|--:|--:|--:|--:|"]
    for r in rows:
        ours = next(iter(r["sides"].values()))["median"]
        other, ratio = "", ""
        if r["ratio"]:
            # A second way of the peer is named ("torch channels_last"), the plain one is not.
            way = (
                r["peer"].partition(" ")[2]
                if r["unit"] == "s" and "thread" not in r["peer"]
                else ""
            )
            other = human(r["sides"][r["peer"]]["median"], r["unit"]) + (f" ({way})" if way else "")
            ratio = f"{r['ratio']['median']:.3g}"
        cells = [r["work"], str(r["threads"]), human(ours, r["unit"]), other, ratio]
        share = share_of_peak(r, ours, peaks.get(str(r["threads"]), {}))
        lines.append("| " + " | ".join([*cells, share]) + " |")
    return "\n".join(lines)


def share_of_peak(row: dict[str, Any], seconds: float, peak: dict[str, float]) -> str:
    if row["flops"] and peak.get("fma"):
        return f"{100 * row['flops'] / seconds / peak['fma']:.0f} %"
    if (row["traffic"] or 0) >= record.FROM_MEMORY and peak.get("copy"):
        return f"{100 * row['traffic'] / seconds / peak['copy']:.0f} % (copy)"
    return ""


def summary_line(rows: list[dict[str, Any]]) -> str:
    """One line for the end of a run."""
    ratios = [r["ratio"]["median"] for r in rows if r["ratio"]]
    if not ratios:
        return f"{len(rows)} rows"
    mean = statistics.geometric_mean(ratios)
    above = sum(r > 1 for r in ratios)
    worst = f"worst {max(ratios):.3f}, above 1: {above} of {len(ratios)}"
    return f"geometric mean of the ratios {mean:.3f}, {worst}"
