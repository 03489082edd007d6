"""A piece of work that two libraries do in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.library import Library

Call = Callable[[], Any]
Make = Callable[[Library], Call]


@dataclass(frozen=True)
class Work:
    """What is timed, how much it is, and how good a result has to be.

    Attributes:
        name: unique within its suite.
        group: rows of one group are summed up together in the report.
        make: prepares data and returns what is timed. It may be called for several libraries, so
            data come from a generator with a fixed seed, and parameters are copied, not drawn.
        peers: further ways in which a peer may do the same work (another memory layout, say); the
            fastest of all is what we are compared with.
        flops: floating-point operations of one call, as the textbook counts them.
        traffic: bytes that one call has to read and write at least.
        terms: the longest sum in a result; the error bound grows with its root. 0: do not judge
            (random results, or none).
        slack: factor on the error bound, for algorithms with a documented bound of their own.
        judged: what is judged in the place of `make`, where a call's result is random or changes.
    """

    name: str
    group: str
    make: Make
    peers: Mapping[str, Make] = field(default_factory=dict)
    flops: float | None = None
    traffic: float | None = None
    terms: int = 1
    slack: float = 1.0
    judged: Make | None = None


@dataclass(frozen=True)
class Options:
    """What the command line asks for.

    Attributes:
        vs: name of the peer, or ``"none"``.
        threads: thread counts to run with, both sides alike.
        batches: batch sizes, for suites that have some; empty means each suite's own.
        pattern: only work whose name or group matches this regular expression.
        quick: a moment per row, to see that everything works; the figures mean little.
        seconds: time limit per row.
        check: compare results with float64.
        wheel: path of a wheel, for the suites that state its size.
    """

    vs: str = "torch"
    threads: tuple[int, ...] = (1, 2)
    batches: tuple[int, ...] = ()
    pattern: str = ""
    quick: bool = False
    seconds: float = 1.5
    check: bool = True
    wheel: str | None = None
