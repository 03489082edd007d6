"""The built-in CPU backend: choice of instruction set, threads, fork, denormals, idle workers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings

import deeplite
import numpy as np
import pytest
from deeplite.backends import cpu

BIG = 1 << 18  # elements: enough for several chunks of any elementwise kernel


def run_python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def threads():
    """Lets a test set the number of threads; restores it."""
    before = deeplite.get_num_threads()
    yield deeplite.set_num_threads
    deeplite.set_num_threads(before)


def busy_sum() -> float:
    x = deeplite.arange(BIG, dtype=deeplite.float64)
    return float((x * 0.5 + 1.0).sum().item())


EXPECTED = 0.5 * (BIG - 1) * BIG / 2 + BIG


def test_the_best_set_is_chosen():
    code = "import deeplite; print(deeplite.backends.cpu.isa())"
    run = run_python(code, DEEPLITE_CPU_ISA="", DEEPLITE_REFERENCE="")
    assert run.stdout.strip() == cpu.capability()[-1]


@pytest.mark.parametrize("name", [*cpu.capability(), "reference"])
def test_every_set_computes(name):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((33, 47)), rng.standard_normal((47, 29))
    with cpu.using_isa(name):
        assert cpu.isa() == name
        product = (deeplite.from_numpy(a) @ deeplite.from_numpy(b)).numpy()
        assert busy_sum() == EXPECTED
    np.testing.assert_allclose(product, a @ b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [*cpu.capability(), "reference"])
def test_environment_chooses_the_set(name):
    code = "import deeplite; print(deeplite.backends.cpu.isa())"
    run = run_python(code, DEEPLITE_CPU_ISA=name)
    assert run.stdout.strip() == name, run.stderr


def test_environment_chooses_the_reference():
    code = "import deeplite; print(deeplite.backends.cpu.isa())"
    assert run_python(code, DEEPLITE_REFERENCE="1").stdout.strip() == "reference"


def test_a_wish_that_cannot_be_met_fails_the_import():
    run = run_python("import deeplite", DEEPLITE_CPU_ISA="avx99")
    assert run.returncode != 0
    assert "ImportError: DEEPLITE_CPU_ISA=avx99" in run.stderr
    assert "offers baseline" in run.stderr or "offers neon" in run.stderr


def test_unknown_set_changes_nothing():
    before = cpu.isa()
    with pytest.raises(ValueError, match="avx99"):
        cpu.set_isa("avx99")
    assert cpu.isa() == before


@pytest.mark.parametrize("n", [0, -1, 100_000])
def test_bad_number_of_threads(n):
    before = deeplite.get_num_threads()
    with pytest.raises(ValueError, match=str(n)):
        deeplite.set_num_threads(n)
    assert deeplite.get_num_threads() == before


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "DEEPLITE_NUM_THREADS"])
def test_environment_sets_the_number_of_threads(variable):
    env = {"OMP_NUM_THREADS": "", "DEEPLITE_NUM_THREADS": "", variable: "3"}
    run = run_python("import deeplite; print(deeplite.get_num_threads())", **env)
    assert run.stdout.strip() == "3", run.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks here")
def test_default_number_of_threads_respects_affinity():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import deeplite; print(deeplite.get_num_threads())"
    )
    run = run_python(code, OMP_NUM_THREADS="", DEEPLITE_NUM_THREADS="")
    assert run.stdout.strip() == "1", run.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_computes_with_threads(threads):
    threads(4)
    assert busy_sum() == EXPECTED  # the parent's pool is running
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        children = [os.fork() for _ in range(1)]
    if children == [0]:
        ok = all(busy_sum() == EXPECTED for _ in range(20))
        os._exit(0 if ok else 1)
    deadline = time.monotonic() + 60
    while (status := os.waitpid(children[0], os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(children[0], 9)
            os.waitpid(children[0], 0)
            pytest.fail("the child hangs")
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(status[1]) == 0
    assert busy_sum() == EXPECTED  # and the parent's pool still is


def test_many_python_threads_at_once(threads):
    threads(4)
    wrong = []

    def work() -> None:
        wrong.extend(s for s in (busy_sum() for _ in range(10)) if s != EXPECTED)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


@pytest.mark.parametrize("n", [1, 4])
def test_denormals_are_flushed_inside_and_kept_outside(threads, n):
    threads(n)
    tiny = np.float32(1e-40)
    x = deeplite.full((BIG,), float(tiny))
    y = (x * 0.5).numpy()
    assert not y.any()
    assert tiny * np.float32(0.5) != 0


def test_denormals_are_flushed_in_calls_too_short_to_share():
    """Elementwise work is shared from 32768 elements on; an eighth of that is too little for
    denormals to matter, and keeps them."""
    for n, flushed in ((5000, True), (500, False)):
        x = deeplite.full((n,), 1e-40)
        assert bool((x * 0.5).numpy().any()) != flushed
        assert bool((x + deeplite.zeros(n)).numpy().any()) != flushed
    row, square = deeplite.ones(1, 128), deeplite.full((128, 128), 1e-40)
    assert not (row @ square).numpy().any()


def test_idle_workers_sleep(threads):
    threads(4)
    busy_sum()
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1
