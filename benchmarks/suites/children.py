"""Fresh interpreters, for what can only be measured once in a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(arguments: list[str], threads: int = 1) -> str:
    """Standard output of ``python *arguments`` that can import both packages."""
    import deeplite

    package = str(Path(deeplite.__file__).resolve().parent.parent)
    paths = os.pathsep.join([str(ROOT), package])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, check=True, text=True
    ).stdout
