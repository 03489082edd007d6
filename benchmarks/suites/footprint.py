"""Peak memory of training steps, each side in a process of its own.

A row holds the highest resident size of the process, less what it was after importing the library:
weights, gradients, momenta, activations and whatever the library keeps for itself.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.library import Library
from benchmarks.networks import Training, title
from benchmarks.runner import OURS
from benchmarks.suites import children
from benchmarks.suites.train import SMALL, batches
from benchmarks.work import Options

NETWORKS = (*SMALL, "resnet18", "resnet50", "mobilenet_v2", "vgg16")
STEPS = 3  # the second allocates momenta, the third is steady


def rows(options: Options) -> Iterator[dict[str, Any]]:
    names = [OURS] + ([options.vs] if options.vs != "none" else [])
    for network in NETWORKS:
        for batch in options.batches or batches(network)[-1:]:
            name = f"{title(network)}, batch {batch}"
            if not re.search(options.pattern, f"memory: {name}"):
                continue
            for threads in options.threads:
                yield measured(name, network, batch, threads, names)


def measured(name: str, network: str, batch: int, threads: int, names: list[str]) -> dict[str, Any]:
    sides = {}
    for lib in names:
        arguments = ["-m", __name__, lib, network, str(batch), str(threads)]
        sides[lib] = record.number(float(children.run(arguments, threads)))
    peer = names[1] if len(names) > 1 else None
    ratio = sides[OURS]["median"] / sides[peer]["median"] if peer else None
    return record.row(
        name,
        "peak memory of a training step",
        threads,
        sides,
        unit="bytes",
        peer=peer,
        ratio=record.number(ratio) if ratio else None,
    )


def resident(field: str) -> float:
    """``VmRSS`` (now) or ``VmHWM`` (highest so far) of this process, in bytes."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise RuntimeError(f"/proc/self/status has no {field}")
    return 1024.0 * int(found.group(1))


def main(lib: str, network: str, batch: str, threads: str) -> None:
    library = Library(lib)
    library.set_threads(int(threads))
    if lib == "torch":
        Training(library, "mlp", 1).step()  # loads what torch leaves for the first call
    before = resident("VmRSS")
    training = Training(library, network, int(batch))
    for _ in range(STEPS):
        training.step()
    print(resident("VmHWM") - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
