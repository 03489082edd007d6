"""The example programs, on little data: they run, and a killed run goes on to the same bits."""

from __future__ import annotations

import json
import os
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

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(
        [str(Path(deeplite.__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")]
    ),
    "OMP_NUM_THREADS": "1",
}
CLASSIFY = [
    sys.executable, str(EXAMPLES / "classify.py"), "--model", "lenet5_modern", "--epochs", "4",
    "--limit", "200", "--lr", "0.02",
]  # fmt: skip


def run(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        arguments, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return done.stdout


def is_png(path: Path) -> bool:
    return path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and path.stat().st_size > 2000


def test_classify_goes_on_after_being_killed(tmp_path: Path) -> None:
    whole = run(*CLASSIFY, "--output", "whole", cwd=tmp_path)
    assert "validation accuracy" in whole and whole.count("epoch ") >= 4
    checkpoint = tmp_path / "killed" / "checkpoint.safetensors"
    process = subprocess.Popen(
        [*CLASSIFY, "--output", "killed", "--workers", "2"],
        cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not checkpoint.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    finally:
        process.wait(30)
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    done = deeplite.load(checkpoint)["epoch"]
    assert 1 <= done < 4
    resumed = run(*CLASSIFY, "--output", "killed", "--resume", cwd=tmp_path)
    assert f"resumed after epoch {done}" in resumed
    for name in ("model.safetensors", "checkpoint.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()
    assert is_png(tmp_path / "killed" / "curve.png")
    assert is_png(tmp_path / "killed" / "confusion.png")
    # A checkpoint of other settings is not taken.
    other = subprocess.run(
        [*CLASSIFY, "--output", "killed", "--resume", "--seed", "1"],
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert other.returncode != 0 and "other settings" in other.stderr


def test_classify_a_folder_of_pictures(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    random = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(12):
            pixels = random.integers(level - 40, level + 40, (20 + i, 30, 3)).astype(np.uint8)
            image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{i}.png")
    out = run(
        sys.executable, str(EXAMPLES / "classify.py"), "--data", "pictures", "--size", "16",
        "--model", "resnet20_cifar", "--epochs", "2", "--batch-size", "8", "--schedule", "step",
        "--option", "norm_layer=null", cwd=tmp_path,
    )  # fmt: skip
    assert "20 pictures of 16 x 16 to train on, 4 to validate, 2 classes" in out
    assert (tmp_path / "classify-output" / "model.safetensors").exists()
    listed = run(sys.executable, str(EXAMPLES / "classify.py"), "--list", cwd=tmp_path)
    assert listed.split() == deeplite.models.list_models()


def test_depth(tmp_path: Path) -> None:
    out = run(
        sys.executable, str(EXAMPLES / "depth.py"), "--depths", "20", "--epochs", "1", "--limit",
        "60", cwd=tmp_path,
    )  # fmt: skip
    assert "plain" in out and "residual" in out
    results = json.loads((tmp_path / "depth-output" / "depth.json").read_text())
    assert set(results) == {"plain 20", "residual 20"}
    assert all(len(r["loss"]) == 1 and r["loss"][0] > 0 for r in results.values())
    assert is_png(tmp_path / "depth-output" / "depth.png")


def test_transfer(tmp_path: Path) -> None:
    out = run(
        sys.executable, str(EXAMPLES / "transfer.py"), "--epochs", "1", "--tuning", "1", "--each",
        "2", cwd=tmp_path,
    )  # fmt: skip
    for way in ("from scratch", "head on frozen features", "fine-tuned", "gradually unfrozen"):
        assert way in out
    assert (tmp_path / "transfer-output" / "features.safetensors").exists()
