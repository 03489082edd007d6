"""Facts about the machine, and what it can do at best: FMA peak and copy bandwidth."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.library import PEERS, Library

SOURCE = Path(__file__).with_name("peak.c")
FMA_STEPS = 20_000_000  # long enough for the threads to find a core each
COPY_BYTES = 128 << 20  # far beyond the last cache


def read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def processor() -> str:
    found = re.search(r"model name\s*: (.*)", read("/proc/cpuinfo") or "")
    return found.group(1) if found else platform.processor() or platform.machine()


def caches() -> dict[str, str]:
    """Sizes by level, as the kernel tells them: ``{"L1 data": "48K", "L2": "1024K"}``."""
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (read(str(folder / f)) for f in ("level", "type", "size"))
        if level and size and kind != "Instruction":
            found[f"L{level}" + (" data" if kind == "Data" else "")] = size
    return found


def facts(vs: str) -> dict[str, Any]:
    """What a reader needs to place the figures: hardware, load, versions."""
    import deeplite

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return {
        "processor": processor(),
        "cores": usable,
        "caches": caches(),
        "instruction set": deeplite.backends.cpu.isa(),
        "governor": governor or "not readable",
        "load average": [round(v, 2) for v in os.getloadavg()],
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {
            "deeplite": f"{deeplite.__version__} ({revision()})",
            "numpy": np.__version__,
            **({vs: Library(vs).version()} if vs in PEERS else {}),
        },
    }


def revision() -> str:
    """The commit that was measured, with a + when files differ from it."""
    git = ["git", "-C", str(SOURCE.parent)]
    try:
        run = lambda *a: subprocess.run([*git, *a], capture_output=True, check=True, text=True)  # noqa: E731
        changed = run("status", "--porcelain", "--untracked-files=no").stdout.strip()
        return run("rev-parse", "--short", "HEAD").stdout.strip() + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "no repository"


@lru_cache(maxsize=1)
def peak_library() -> ctypes.CDLL | None:
    """peak.c, compiled for this very machine; None without a compiler."""
    compiler = next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None)
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        built = os.path.join(folder, "peak.so")
        native = "-mcpu=native" if platform.machine() == "aarch64" else "-march=native"
        flags = ["-O3", native, "-ffp-contract=fast", "-shared", "-fPIC", "-w"]
        run = subprocess.run([compiler, *flags, "-o", built, str(SOURCE)], capture_output=True)
        if run.returncode:
            return None
        library = ctypes.CDLL(built)
    library.fma_round.argtypes = [ctypes.c_long, ctypes.c_void_p]
    library.fma_round.restype = ctypes.c_long
    library.copy.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    return library


def together(work: list[Callable[[], Any]]) -> float:
    """Seconds until all of `work` is done, one thread each (ctypes lets go of the GIL)."""
    threads = [threading.Thread(target=w) for w in work[1:]]
    began = time.perf_counter()
    for t in threads:
        t.start()
    work[0]()
    for t in threads:
        t.join()
    return time.perf_counter() - began


def peaks(threads: int, rounds: int = 5) -> dict[str, float]:
    """Best of a few: ``{"fma": FLOP/s, "copy": bytes/s read and written}`` with that many threads;
    empty where nothing could be compiled."""
    library = peak_library()
    if library is None:
        return {}
    outs = [np.zeros(16, np.float32) for _ in range(threads)]
    fma = [lambda o=o: library.fma_round(FMA_STEPS, o.ctypes.data) for o in outs]
    flops = library.fma_round(1, outs[0].ctypes.data) * FMA_STEPS * threads
    share = COPY_BYTES // threads
    buffers = [(np.ones(share, np.uint8), np.ones(share, np.uint8)) for _ in range(threads)]
    copy = [lambda a=a, b=b: library.copy(a.ctypes.data, b.ctypes.data, share) for a, b in buffers]
    best_fma = min(together(fma) for _ in range(rounds))
    best_copy = min(together(copy) for _ in range(rounds))
    return {"fma": flops / best_fma, "copy": 2 * share * threads / best_copy}
