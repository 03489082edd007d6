#!/usr/bin/env python3
"""Writes docs/conformance.md: what the table of ops (tests/op_cases) covers, family by family.

    tools/conformance.py            write it
    tools/conformance.py --check    exit with 1 when the committed page is out of date

The counts come from the rows themselves, so neither deeplite nor torch is needed.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "conformance.md"
sys.path.insert(0, str(ROOT / "tests"))

from op_cases import OpCase, all_cases  # noqa: E402

HEADER = """\
# Conformance

Written by `tools/conformance.py`. Each row of `tests/op_cases` is an op that is checked against
torch: its results (judged in float64), dtypes and shapes, first and second derivatives, strided,
expanded and empty inputs, half dtypes, error messages, every instruction set and the reference
kernels, thread counts, a plug-in backend, and capture with replay.

- **samples**: argument lists tried; each runs once per dtype and again for every kind of test.
- **errors**: bad calls whose exception and message are checked.
- **grad / grad2**: differentiable once / twice, compared with torch and by central differences.

"""


def main() -> int:
    text = page(all_cases())
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != text:
            print("docs/conformance.md is out of date: run tools/conformance.py", file=sys.stderr)
            return 1
        return 0
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text)
    print(summary(all_cases()))
    return 0


def page(cases: list[OpCase]) -> str:
    families: dict[str, list[OpCase]] = {}
    for case in cases:
        families.setdefault(family_of(case), []).append(case)
    parts = [HEADER, summary(cases), "\n\n", overview(families), "\n"]
    for name in sorted(families):
        parts.append(f"\n## {name}\n\n")
        parts.append(details(families[name]))
    return "".join(parts)


def family_of(case: OpCase) -> str:
    """'reduce_arg' belongs to 'reduce'."""
    return case.family.partition("_")[0]


def count(cases: list[OpCase]) -> Counter:
    total: Counter = Counter()
    for case in cases:
        total["rows"] += 1
        total["samples"] += len(list(case.samples()))
        total["checks"] += len(list(case.samples())) * len(case.dtypes)
        total["errors"] += len(list(case.errors())) if case.errors else 0
        total["grad"] += case.differentiable
        total["grad2"] += case.differentiable and case.gradgrad
    total["ops"] = len({case.name for case in cases})
    return total


def summary(cases: list[OpCase]) -> str:
    n = count(cases)
    return (
        f"In all {n['ops']} ops in {n['rows']} rows: {n['samples']} samples, {n['errors']} error "
        f"samples; {n['grad']} rows differentiable, {n['grad2']} of them twice."
    )


def overview(families: dict[str, list[OpCase]]) -> str:
    lines = [
        "| family | ops | rows | samples | errors | grad | grad2 |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name in sorted(families):
        n = count(families[name])
        numbers = (n[k] for k in ("ops", "rows", "samples", "errors", "grad", "grad2"))
        lines.append(f"| {name} | " + " | ".join(map(str, numbers)) + " |")
    return "\n".join(lines) + "\n"


def details(cases: list[OpCase]) -> str:
    lines = ["| op | dtypes | samples | errors | grad | grad2 | not taking part in |"]
    lines.append("|---|---|--:|--:|:-:|:-:|---|")
    for case in sorted(cases, key=lambda c: c.id.lower()):
        n = count([case])
        marks = ["yes" if n[k] else "" for k in ("grad", "grad2")]
        skipped = "; ".join(f"{kind}: {why}" for kind, why in sorted(case.skip.items()))
        skipped = skipped.replace("|", "\\|")
        lines.append(
            f"| `{case.id}` | {short_dtypes(case)} | {n['samples']} | {n['errors']} | {marks[0]} | "
            f"{marks[1]} | {skipped} |"
        )
    return "\n".join(lines) + "\n"


def short_dtypes(case: OpCase) -> str:
    names = {"float": "f", "int": "i", "uint": "u", "bfloat": "bf"}
    shown = []
    for dtype in case.dtypes:
        stem = dtype.rstrip("0123456789")
        shown.append(names.get(stem, stem) + dtype[len(stem) :])
    if case.half and case.floating and case.random is None:
        shown += ["bf16", "f16"]
    return " ".join(shown)


if __name__ == "__main__":
    sys.exit(main())
