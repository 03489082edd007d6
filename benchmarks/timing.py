"""Sides that take turns: A B A B ..., until the ratio of their times has settled.

Noise of a machine comes in waves longer than one call: a neighbour, a change of clock. Two sides
measured one after the other would catch different waves; measured in turns they share them, and the
ratio within a round is free of what they share. Medians are over rounds.

With several threads a side does not start before the other's threads have stopped spinning (those
of an OpenMP run-time keep a core busy for 8 ms after their last region, which doubled our times
where a sample followed at once), and its own threads are given a moment to wake and to find a core
each. What is timed is the steady state of a loop.
"""

from __future__ import annotations

import gc
import itertools
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MIN_SAMPLE = 2e-3  # seconds; a sample repeats a short call until it takes this long
STEADY_SAMPLE, STEADY_WARM = 2e-2, 1e-2  # with several threads; not timed before a sample
SETTLED = 0.02  # the ratio's standard error, estimated from its quartiles
MIN_ROUNDS, MAX_ROUNDS = 5, 200


@dataclass(frozen=True)
class Timing:
    """Seconds per call of each side, one entry per round."""

    rounds: dict[str, list[float]]

    def median(self, side: str) -> float:
        return statistics.median(self.rounds[side])

    def quartiles(self, side: str) -> tuple[float, float]:
        return quartiles(self.rounds[side])

    def ratios(self, ours: str, other: str) -> list[float]:
        """Ratio of times in each round."""
        return [a / b for a, b in zip(self.rounds[ours], self.rounds[other], strict=True)]


def quartiles(values: list[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    q = statistics.quantiles(values, n=4, method="inclusive")
    return q[0], q[2]


def sample(call: Callable[[], Any], repeat: int) -> float:
    began = time.perf_counter()
    for _ in itertools.repeat(None, repeat):
        call()
    return (time.perf_counter() - began) / repeat


def repeats(call: Callable[[], Any], shortest: float) -> int:
    """How often to call for a sample that takes at least `shortest` seconds."""
    count = 1
    while True:
        took = sample(call, count) * count
        if took >= shortest or count >= 1_000_000:
            return count
        count = max(count + 1, min(10 * count, int(1.2 * count * shortest / max(took, 1e-9))))


def take_turns(
    sides: Mapping[str, Callable[[], Any]],
    seconds: float = 1.5,
    quick: bool = False,
    before: Callable[[str], Any] | None = None,
    steady: bool = False,
) -> Timing:
    """Times all sides in turns, the first against each other one.

    Args:
        sides: what to call; the first is ours.
        seconds: stop after about this long, after at least 5 rounds (3 if they take far longer).
        quick: three rounds of the shortest samples.
        before: called with a side's name before each of its samples, outside the timed part.
        steady: the sides use several threads (see above).
    """
    shortest = 2e-4 if quick else STEADY_SAMPLE if steady else MIN_SAMPLE
    least = 3 if quick else MIN_ROUNDS
    names = list(sides)
    counts = {}
    for name in names:
        if before:
            before(name)
        sides[name]()  # warm-up: caches, first allocations, lazily chosen kernels
        counts[name] = repeats(sides[name], shortest)
    rounds: dict[str, list[float]] = {name: [] for name in names}
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        began = time.perf_counter()
        for number in range(1, (least if quick else MAX_ROUNDS) + 1):
            for name in names:
                if before:
                    before(name)
                if steady and not quick:
                    wait_until_idle()
                    if counts[name] > 1:  # a long call settles by itself
                        warm_up(sides[name])
                rounds[name].append(sample(sides[name], counts[name]))
            limit = seconds if number >= least else 3 * seconds
            over = number >= 3 and not quick and time.perf_counter() - began > limit
            if over or (number >= 9 and settled(rounds, names)):
                break
    finally:
        if collecting:
            gc.enable()
    return Timing(rounds)


def wait_until_idle(longest: float = 0.5) -> None:
    """Waits for threads of this process that spin: until it uses little of a processor."""
    end = time.perf_counter() + longest
    while time.perf_counter() < end:
        used, began = time.process_time(), time.perf_counter()
        time.sleep(2e-3)
        if time.process_time() - used < 0.2 * (time.perf_counter() - began):
            return


def warm_up(call: Callable[[], Any]) -> None:
    end = time.perf_counter() + STEADY_WARM
    while time.perf_counter() < end:
        call()


def settled(rounds: Mapping[str, list[float]], names: list[str]) -> bool:
    """Whether the median ratio of the first side to each other one is known to `SETTLED`."""
    ours = rounds[names[0]]
    for other in names[1:]:
        ratios = [a / b for a, b in zip(ours, rounds[other], strict=True)]
        low, high = quartiles(ratios)
        # For a normal distribution the quartiles span 1.35 deviations, and a median's standard
        # error is 1.25 deviations over the root of the number of samples.
        error = 1.25 * (high - low) / 1.35 / len(ratios) ** 0.5
        if error > SETTLED * statistics.median(ratios):
            return False
    return True
