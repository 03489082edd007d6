#!/usr/bin/env python3
"""Measures the wheel's size and the time `import deeplite` adds to `import numpy`, and holds both
against their budgets.

    tools/check_budgets.py WHEEL          (run it with the Python that has the wheel installed)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

WHEEL_MB = 10.0
IMPORT_MS = 60.0
RUNS = 9

PROBE = """
import sys, time
import numpy
start = time.perf_counter()
import deeplite
print((time.perf_counter() - start) * 1e3)
heavy = {"torch", "sklearn", "matplotlib", "rich", "scipy"} & set(sys.modules)
assert not heavy, f"import deeplite pulls in {sorted(heavy)}"
"""


def import_times() -> list[float]:
    """Milliseconds in fresh interpreters, started where no source tree is on the path."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    times = []
    with tempfile.TemporaryDirectory() as cwd:
        for _ in range(RUNS):
            run = subprocess.run(
                [sys.executable, "-c", PROBE], cwd=cwd, env=env, capture_output=True, text=True
            )
            if run.returncode != 0:
                sys.exit(f"import deeplite failed:\n{run.stderr}")
            times.append(float(run.stdout))
    return times


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    size = Path(sys.argv[1]).stat().st_size / 1e6
    best = min(import_times())
    ok = size <= WHEEL_MB and best <= IMPORT_MS
    print(f"wheel: {size:.2f} MB (budget {WHEEL_MB:g} MB)")
    print(f"import deeplite: {best:.1f} ms beyond numpy, best of {RUNS} (budget {IMPORT_MS:g} ms)")
    if not ok:
        print("over budget")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
