"""What a run leaves behind: a dated JSON file with rows and the machine they are from.

    {"schema": 1, "suite": "gemm", "date": "2026-01-31", "machine": {...},
     "peaks": {"1": {"fma": 1.2e11, "copy": 2e10}}, "rows": [ROW, ...]}

A row has the keys of `ROW`; `check` refuses any other file.
"""

from __future__ import annotations

import datetime
import json
import math
from pathlib import Path
from typing import Any

SCHEMA = 1
RESULTS = Path(__file__).with_name("results")

# key -> type. "sides" maps a side to {"median", "low", "high"} in `unit` ("s" or "bytes"); "ratio"
# is ours over `peer`, the best other side: the median and quartiles of the ratios within rounds.
ROW: dict[str, Any] = {
    "work": str,
    "group": str,
    "threads": int,
    "unit": str,
    "sides": dict,
    "peer": (str, type(None)),
    "ratio": (dict, type(None)),
    "rounds": int,
    "flops": (int, float, type(None)),
    "traffic": (int, float, type(None)),
    "check": (dict, type(None)),
}
SPREAD = ("median", "low", "high")
# Only work that moves at least this much runs from memory rather than from a cache.
FROM_MEMORY = 1 << 26


def row(
    work: str, group: str, threads: int, sides: dict[str, dict[str, float]], **more: Any
) -> dict[str, Any]:
    """A row; what is not given is unknown."""
    blank = {"unit": "s", "peer": None, "ratio": None, "rounds": 1}
    blank.update({"flops": None, "traffic": None, "check": None})
    return {"work": work, "group": group, "threads": threads, "sides": sides, **blank, **more}


def number(value: float) -> dict[str, float]:
    """A side, or a ratio, that was seen once."""
    return {"median": value, "low": value, "high": value}


def document(suite: str, machine: dict[str, Any]) -> dict[str, Any]:
    today = datetime.date.today().isoformat()
    head = {"schema": SCHEMA, "suite": suite, "date": today}
    return {**head, "machine": machine, "peaks": {}, "rows": []}


def key(row: dict[str, Any]) -> tuple[str, int]:
    return row["work"], row["threads"]


def check(found: Any, where: str = "record") -> None:
    """Raises ValueError that says what is wrong with a document."""
    wanted = {"schema", "suite", "date", "machine", "peaks", "rows"}
    if not isinstance(found, dict) or set(found) != wanted:
        raise ValueError(f"{where}: expected an object with the keys {sorted(wanted)}")
    if found["schema"] != SCHEMA:
        raise ValueError(f"{where}: schema {found['schema']!r}, this program knows {SCHEMA}")
    seen = set()
    for r in found["rows"]:
        name = f"{where}, row {r.get('work')!r}"
        if set(r) != set(ROW):
            raise ValueError(f"{name}: keys differ by {sorted(set(r) ^ set(ROW))}")
        for k, kind in ROW.items():
            if not isinstance(r[k], kind):
                raise ValueError(f"{name}: {k} is a {type(r[k]).__name__}")
        spreads = [*r["sides"].values(), *([r["ratio"]] if r["ratio"] else [])]
        for spread in spreads:
            if set(spread) != set(SPREAD) or not all(math.isfinite(v) for v in spread.values()):
                raise ValueError(f"{name}: {spread} is no spread of finite numbers")
        if (r["peer"] is None) != (r["ratio"] is None) or r["peer"] not in {None, *r["sides"]}:
            raise ValueError(f"{name}: peer {r['peer']!r} and ratio do not go together")
        if key(r) in seen:
            raise ValueError(f"{name}: twice with {r['threads']} thread(s)")
        seen.add(key(r))


def load(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text())
    check(found, path.name)
    return found


def save(found: dict[str, Any], path: Path) -> None:
    """Writes one row a line, so that differences between files can be read."""
    check(found, path.name)
    head = {k: v for k, v in found.items() if k != "rows"}
    lines = json.dumps(rounded(head), indent=1)[:-2] + ',\n "rows": [\n'
    lines += ",\n".join("  " + json.dumps(rounded(r)) for r in found["rows"]) + "\n ]\n}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(lines)


def rounded(value: Any) -> Any:
    """Four significant digits are more than a time can be known to."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def merge(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """`new` with the rows of `old` that it does not have; for a suite run in pieces.

    Judging takes longer than timing: a row that was timed without a check (``--no-check``) keeps
    the verdict that an earlier piece has for the same work, with any number of threads.
    """
    if old["suite"] != new["suite"]:
        raise ValueError(f"cannot add rows of {new['suite']!r} to a file of {old['suite']!r}")
    verdicts = {r["work"]: r["check"] for r in old["rows"] if r["check"]}
    checked = [{**r, "check": r["check"] or verdicts.get(r["work"])} for r in new["rows"]]
    fresh = {key(r): r for r in checked}
    kept = [fresh.pop(key(r), r) for r in old["rows"]]
    peaks = {**old["peaks"], **new["peaks"]}
    return {**new, "peaks": peaks, "rows": kept + list(fresh.values())}


def newest() -> dict[str, Path]:
    """The newest file of each suite below results/, by the date in its name."""
    found: dict[str, Path] = {}
    for path in sorted(RESULTS.glob("????-??-??-*.json")):
        found[path.stem[11:]] = path
    return found
