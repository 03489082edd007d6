#!/usr/bin/env python3
"""What a newcomer notices first, beside torch: size, import time, small calls, a training step.

    benchmarks/first_contact.py [--wheel dist/deeplite-*.whl] [--save]

Prints a table in Markdown; --save also writes benchmarks/results/<date>-first-contact.json with
facts about the machine. Times are the best of several rounds in which both libraries take turns,
with the same number of threads, so noise of the machine hits both.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deeplite
import numpy as np
import torch
from deeplite.models import lenet

ROOT = Path(__file__).resolve().parent.parent


def import_milliseconds(statement: str, rounds: int = 7) -> float:
    """Best time of `statement` after `import numpy`, in fresh interpreters."""
    code = (
        f"import numpy, time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    )
    package = str(Path(deeplite.__file__).resolve().parent.parent)
    environment = {**os.environ, "PYTHONPATH": package}
    runs = [
        float(
            subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, check=True
            ).stdout
        )
        for _ in range(rounds)
    ]
    return 1e3 * min(runs)


def installed_megabytes(distribution: str) -> float:
    files = importlib.metadata.files(distribution) or []
    sizes = (Path(str(f.locate())) for f in files)
    return sum(p.stat().st_size for p in sizes if p.is_file()) / 2**20


def take_turns(functions: list[Callable[[], Any]], rounds: int = 15) -> list[float]:
    """Best seconds per call of each function, measured in turns."""
    repeat = []
    for f in functions:
        f()
        began = time.perf_counter()
        f()
        repeat.append(max(1, int(0.02 / (time.perf_counter() - began + 1e-9))))
    best = [float("inf")] * len(functions)
    for _ in range(rounds):
        for i, f in enumerate(functions):
            began = time.perf_counter()
            for _ in range(repeat[i]):
                f()
            best[i] = min(best[i], (time.perf_counter() - began) / repeat[i])
    return best


def small_add(lib: Any) -> Callable[[], Any]:
    x = lib.ones(4)
    return lambda: x + x


def small_add_with_grad(lib: Any) -> Callable[[], Any]:
    x = lib.ones(4, requires_grad=True)
    return lambda: x + x


def lenet_over(lib: Any) -> Any:
    if lib is deeplite:
        return lenet.LeNet5()
    source = Path(lenet.__file__).read_text()
    module = types.ModuleType("lenet_over_torch")
    exec(re.sub(r"(?m)^from deeplite import", "from torch import", source), module.__dict__)
    return module.LeNet5()


def lenet_step(lib: Any, batch: int) -> Callable[[], Any]:
    model = lenet_over(lib)
    sgd = lib.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    rng = np.random.default_rng(0)
    x = lib.from_numpy(rng.standard_normal((batch, 1, 32, 32)).astype(np.float32))
    y = lib.from_numpy(rng.integers(0, 10, batch))

    def step() -> float:
        sgd.zero_grad()
        loss = lib.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        sgd.step()
        return loss.item()

    return step


def lenet_inference(lib: Any, batch: int) -> Callable[[], Any]:
    model = lenet_over(lib)
    model.eval()
    x = lib.ones(batch, 1, 32, 32)

    def run() -> Any:
        with lib.no_grad():
            return model(x)

    return run


def matmul(lib: Any, n: int) -> Callable[[], Any]:
    a, b = lib.ones(n, n), lib.ones(n, n)
    return lambda: a @ b


TIMES: dict[str, Callable[[Any], Callable[[], Any]]] = {
    "`x + x` on 4 elements, no gradient": small_add,
    "`x + x` on 4 elements, recorded for backward": small_add_with_grad,
    "LeNet-5, training step, batch 1": lambda lib: lenet_step(lib, 1),
    "LeNet-5, training step, batch 32": lambda lib: lenet_step(lib, 32),
    "LeNet-5, inference, batch 32": lambda lib: lenet_inference(lib, 32),
    "matrix product 512 x 512": lambda lib: matmul(lib, 512),
}


def human(seconds: float) -> str:
    return f"{seconds * 1e6:.2f} us" if seconds < 1e-4 else f"{seconds * 1e3:.2f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheel", type=Path, help="the wheel of deeplite, to state its size")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    deeplite.set_num_threads(args.threads)
    torch.set_num_threads(args.threads)

    rows: list[tuple[str, str, str, str]] = []
    record: dict[str, Any] = {"machine": machine(args.threads), "results": {}}

    def add(what: str, ours: float, theirs: float, show: Callable[[float], str]) -> None:
        rows.append((what, show(ours), show(theirs), f"{ours / theirs:.3g}"))
        record["results"][what] = {"deeplite": ours, "torch": theirs}

    if args.wheel:
        size = args.wheel.stat().st_size / 2**20
        add("wheel / installed size", size, installed_megabytes("torch"), lambda v: f"{v:.1f} MB")
    add(
        "import, beyond numpy",
        import_milliseconds("import deeplite"),
        import_milliseconds("import torch", rounds=3),
        lambda v: f"{v:.0f} ms",
    )
    for what, make in TIMES.items():
        ours, theirs = take_turns([make(deeplite), make(torch)])
        add(what, ours, theirs, human)

    print(f"| | deeplite | torch {torch.__version__} | ratio |\n|---|--:|--:|--:|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    times = [v for k, v in record["results"].items() if k in TIMES]
    ratios = [v["deeplite"] / v["torch"] for v in times]
    print(f"\ngeometric mean of the ratios of times: {statistics.geometric_mean(ratios):.2f}")
    if args.save:
        day = datetime.date.today().isoformat()
        path = ROOT / "benchmarks" / "results" / f"{day}-first-contact.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(record, indent=2) + "\n")
        print(f"saved to {path.relative_to(ROOT)}")


def machine(threads: int) -> dict[str, Any]:
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"model name\s*: (.*)", cpuinfo.read_text())
        processor = found.group(1) if found else processor
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "threads": threads,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "deeplite": deeplite.__version__,
        "instruction set": deeplite.backends.cpu.isa(),
    }


if __name__ == "__main__":
    main()
