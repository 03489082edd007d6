"""``python -m deeplite``: a demonstration, and facts about this installation."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable


def main(argv: list[str] | None = None) -> int:
    """Runs a subcommand; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deeplite", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    demo = commands.add_parser(
        "demo",
        help="train LeNet-5 on handwritten digits and show what it learned",
        description="Trains LeNet-5 on the handwritten digits that ship with scikit-learn; writes "
        "the weights and pictures; when torch is installed, trains the same network there too and "
        "compares time and losses.",
    )
    add_demo_arguments(demo)
    commands.add_parser("info", help="version, processor features, threads, backends")
    args = parser.parse_args(argv)
    if args.command == "info":
        return info()
    from deeplite import demo as demonstration

    return demonstration.main(args)


def add_demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--epochs", type=at_least(1), default=20, help="passes over the digits (20)"
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="split, weights, batches (0)")
    parser.add_argument("--batch-size", type=at_least(1), default=32, help="images per step (32)")
    parser.add_argument(
        "--output", default="demo-output", metavar="DIR", help="where files go (demo-output)"
    )
    parser.add_argument(
        "--threads", type=at_least(1), default=None, help="threads for both libraries (ours)"
    )
    parser.add_argument("--no-torch", action="store_true", help="do not compare with torch")


def at_least(lowest: int) -> Callable[[str], int]:
    """An argparse type: an integer of at least `lowest`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = lowest - 1
        if value < lowest:
            raise argparse.ArgumentTypeError(f"must be an integer of at least {lowest}: {text!r}")
        return value

    return parse


def info() -> int:
    """Prints what a bug report should say about the installation."""
    import numpy

    import deeplite

    facts = {
        "deeplite": deeplite.__version__,
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "instruction set": f"{deeplite.backends.cpu.isa()} of {deeplite.backends.cpu.capability()}",
        "threads": str(deeplite.get_num_threads()),
    }
    for key, value in facts.items():
        print(f"{key + ':':17}{value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
