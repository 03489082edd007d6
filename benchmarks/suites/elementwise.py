"""Elementwise functions, forward and backward: contiguous, broadcast, strided, small and large."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.runner import time_all
from benchmarks.suites import memory
from benchmarks.work import Options, Work


def works(options: Options) -> list[Work]:
    return memory.works_of({"elementwise"})


def rows(options: Options) -> Iterator[dict[str, Any]]:
    return time_all(works(options), options)
