"""A steady training step asks the system for no memory: neither blocks nor page faults."""

from __future__ import annotations

import gc
import sys

import deeplite as dl
import pytest
from deeplite import nn

resource = pytest.importorskip("resource")


class Net(nn.Module):
    """Every kind of kernel that keeps scratch memory or large results."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(32, 64, 1),
            nn.GELU(),
            nn.Conv2d(64, 64, 3, padding=1, groups=64),
            nn.GroupNorm(8, 64),
            nn.SiLU(),
            nn.Dropout(0.1),
        )
        self.head = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 100))

    def forward(self, x: dl.Tensor) -> dl.Tensor:
        y = self.features(x)
        y = nn.functional.interpolate(y, scale_factor=2.0, mode="bilinear")
        return self.head(y.mean((2, 3)))


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_a_steady_training_step_takes_no_memory(optimizer: str) -> None:
    model = Net()
    options = {"SGD": {"lr": 0.01, "momentum": 0.9}, "AdamW": {"lr": 1e-3}}[optimizer]
    update = getattr(dl.optim, optimizer)(model.parameters(), **options)
    x, target = dl.randn(8, 3, 64, 64), dl.randint(0, 100, (8,))

    def step() -> None:
        loss = nn.functional.cross_entropy(model(x), target)
        update.zero_grad()
        loss.backward()
        update.step()

    for _ in range(5):
        step()
    gc.collect()
    blocks = dl.memory_stats()["system_allocations"]
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        step()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    assert dl.memory_stats()["system_allocations"] == blocks
    if sys.platform == "linux":
        # A step holds about 100 MB, 25,000 pages: what is left is the interpreter's own.
        assert faults < 200
