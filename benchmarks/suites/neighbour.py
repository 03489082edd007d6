"""Beside a busy process: how much slower work becomes when one core is taken away.

The neighbour is started here and stopped again in turns with the undisturbed samples. With fair
scheduling on two cores a program of two threads loses up to half of its time; a library whose
threads spin while they wait for each other loses far more. The ratio of a row is disturbed over
undisturbed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from benchmarks import timing
from benchmarks.library import Library
from benchmarks.runner import build, chosen, library_of, row_of
from benchmarks.suites import gemm, models, train
from benchmarks.work import Options, Work

BESIDE, ALONE = "beside a busy process", "alone"


def works(options: Options) -> list[Work]:
    lenet = train.work("lenet5", 64)
    found = [Work("LeNet-5 training step, batch 64", "neighbour", lenet.make)]
    found.append(Work("small convolutional network, inference", "neighbour", partial(small_net)))
    if "squeezenet1_0" in models.available():
        make = models.work("squeezenet1_0", 1).make
        found.append(Work("SqueezeNet inference, batch 1", "neighbour", make))
    return [*found, gemm.square(512)]


def small_net(library: Library) -> Any:
    """Many short parallel regions, as networks for small devices have them."""
    nn = library.nn
    layers = [nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU()]
    for _ in range(8):
        layers += [nn.Conv2d(32, 16, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 1, 1), nn.ReLU()]
    model = nn.Sequential(*layers)
    images = library.module.ones(1, 3, 112, 112)

    def call() -> Any:
        with library.module.no_grad():
            return model(images)

    return call


@contextmanager
def neighbour() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing but compute, held still to begin with."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        os.kill(busy.pid, signal.SIGSTOP)
        yield busy
    finally:
        busy.kill()
        busy.wait()


def disturb(busy: subprocess.Popen[bytes], library: Library, threads: int, name: str) -> None:
    library.set_threads(threads)
    os.kill(busy.pid, signal.SIGCONT if name == BESIDE else signal.SIGSTOP)
    time.sleep(0.02)  # until it has settled on a core, or left it


def rows(options: Options) -> Iterator[dict[str, Any]]:
    threads = max(options.threads)
    for work in chosen(works(options), options):
        libraries, sides = build(work, options.vs)
        for side, call in sides.items():
            library = library_of(side, libraries)
            with neighbour() as busy:
                found = timing.take_turns(
                    {BESIDE: call, ALONE: call},
                    options.seconds,
                    options.quick,
                    partial(disturb, busy, library, threads),
                )
            yield row_of(f"{work.name}: {library.name}", work.group, threads, found)
