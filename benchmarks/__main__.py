"""The command line: list, run, compare, report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import compare, machine, record, report, runner, suites
from benchmarks.library import PEERS
from benchmarks.work import Options


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)

    one = commands.add_parser("list", help="suites, or the works of one")
    one.add_argument("suite", nargs="?", choices=suites.NAMES)

    one = commands.add_parser("run", help="measure a suite")
    one.add_argument("suite", choices=suites.NAMES)
    one.add_argument("--vs", choices=(*PEERS, "none"), default="torch")
    one.add_argument("--threads", type=numbers, default=(1, 2), help="e.g. 1,2 (both sides alike)")
    one.add_argument("--batch", type=numbers, default=(), help="batch sizes, e.g. 1,8")
    one.add_argument("--filter", default="", metavar="RE", help="matches 'group: name'")
    one.add_argument("--quick", action="store_true", help="see that it works; figures mean little")
    one.add_argument("--seconds", type=float, default=1.5, help="limit per row (default 1.5)")
    one.add_argument("--no-check", action="store_true", help="do not compare with float64")
    one.add_argument("--wheel", help="a wheel whose size is stated by suite `first`")
    one.add_argument("--out", type=Path, metavar="FILE", help="where to write (default: nowhere)")
    one.add_argument("--save", action="store_true", help="write to results/<date>-<suite>.json")
    one.add_argument("--append", action="store_true", help="keep other rows that FILE has")

    one = commands.add_parser("compare", help="two files of one suite, row by row")
    one.add_argument("old", type=Path)
    one.add_argument("new", type=Path)

    one = commands.add_parser("report", help="write docs/benchmarks.md from the newest results")
    one.add_argument("--docs", type=Path, default=report.DOCS)
    return top


def run(args: argparse.Namespace) -> int:
    options = Options(
        vs=args.vs,
        threads=args.threads,
        batches=args.batch,
        pattern=args.filter,
        quick=args.quick,
        seconds=0.05 if args.quick else args.seconds,
        check=not args.no_check,
        wheel=args.wheel,
    )
    found = record.document(args.suite, machine.facts(args.vs))
    rounds = 1 if args.quick else 5
    found["peaks"] = {str(n): machine.peaks(n, rounds) for n in args.threads}
    try:
        for row in suites.load(args.suite).rows(options):
            print(runner.line(row, found["peaks"].get(str(row["threads"]), {})), flush=True)
            found["rows"].append(row)
    except KeyboardInterrupt:  # what was measured until then is kept
        print("interrupted")
    print(report.summary_line(found["rows"]))
    out = args.out
    if args.save and out is None:
        out = record.RESULTS / f"{found['date']}-{args.suite}.json"
    if out is not None:
        if args.append and out.exists():
            found = record.merge(record.load(out), found)
        record.save(found, out)
        print(f"{len(found['rows'])} rows in {out}")
    wrong = [r["work"] for r in found["rows"] if r["check"] and not r["check"]["ok"]]
    if wrong:
        print(f"results outside their bounds: {', '.join(wrong)}")
    return 1 if wrong else 0


def show(suite: str | None) -> int:
    for name in [suite] if suite else suites.NAMES:
        module = suites.load(name)
        print(f"{name:<12} {(module.__doc__ or '').strip().splitlines()[0]}")
        if suite and hasattr(module, "works"):
            for work in module.works(Options()):
                print(f"    {work.group}: {work.name}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    if args.command == "list":
        return show(args.suite)
    if args.command == "run":
        return run(args)
    if args.command == "compare":
        print(compare.table(record.load(args.old), record.load(args.new)))
        return 0
    report.write(args.docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
