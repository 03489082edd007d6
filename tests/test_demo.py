"""`python -m deeplite demo`: what it prints and writes, its options, and being interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import deeplite
import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("rich")
pytest.importorskip("matplotlib")
PACKAGE = str(Path(deeplite.__file__).resolve().parent.parent)
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([PACKAGE, os.environ.get("PYTHONPATH", "")]),
    "COLUMNS": "120",
    "PYTHONUNBUFFERED": "1",
}


def demo(*arguments: str, cwd: Path, timeout: float = 400) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deeplite", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=timeout
    )


def test_whole_demo(tmp_path: Path) -> None:
    done = demo("demo", "--no-torch", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    accuracy = float(re.search(r"test accuracy ([\d.]+) %", done.stdout).group(1))  # type: ignore[union-attr]
    assert accuracy >= 98.0
    assert f"read back: {accuracy:.2f} % again" in done.stdout
    assert re.search(r"[\d,]+ images/s", done.stdout)
    picture = tmp_path / "demo-output" / "lenet5.png"
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 20_000
    weights = deeplite.load(str(tmp_path / "demo-output" / "lenet5.safetensors"))
    assert sum(w.numel() for w in weights.values()) == 61_750


def test_comparison_with_torch(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    done = demo("demo", "--epochs", "2", "--output", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r"[\d.]+x the time of torch", done.stdout)
    found = re.search(r"float64 loss curves differ by at most (\S+)", done.stdout)
    assert found and float(found.group(1)) <= 1e-9, done.stdout


def test_seeds_decide_everything(tmp_path: Path) -> None:
    outputs = []
    for seed in ("1", "1", "2"):
        where = tmp_path / f"run{len(outputs)}"
        done = demo(
            "demo", "--no-torch", "--epochs", "1", "--seed", seed, "--output", str(where),
            cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        outputs.append(deeplite.load(str(where / "lenet5.safetensors")))
    for key in outputs[0]:
        np.testing.assert_array_equal(outputs[0][key].numpy(), outputs[1][key].numpy())
    assert any((outputs[0][k] != outputs[2][k]).any().item() for k in outputs[0])


@pytest.mark.parametrize(
    "arguments",
    [("demo", "--epochs", "0"), ("demo", "--epochs", "x"), ("demo", "--seed", "-1"), ("typo",), ()],
)
def test_bad_arguments(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = demo(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and "usage:" in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_help_and_info(tmp_path: Path) -> None:
    done = demo("demo", "--help", cwd=tmp_path)
    assert done.returncode == 0
    for option in ("--epochs", "--seed", "--output", "--no-torch"):
        assert option in done.stdout
    done = demo("info", cwd=tmp_path)
    assert done.returncode == 0 and deeplite.__version__ in done.stdout


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = demo("demo", "--epochs", "1", "--no-torch", "--output", "file", cwd=tmp_path)
    assert done.returncode == 1 and "file" in done.stderr and "Traceback" not in done.stderr
    assert (tmp_path / "file").read_text() == "in the way"


def test_interrupt(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "deeplite", "demo", "--epochs", "500", "--no-torch"],
        cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # As at a terminal: a shell's background job, CI's for one, hands down an ignored Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stdout is not None
    assert "LeNet-5" in process.stdout.readline()  # training starts now
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130, (out, error)
    assert "interrupted" in error and "Traceback" not in error
    assert not list((tmp_path / "demo-output").iterdir())
