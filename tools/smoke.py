#!/usr/bin/env python3
"""Tries an installed wheel with nothing but its run-time dependencies: loads it, runs every
instruction set this machine has, and trains a small network until the loss has fallen."""

from __future__ import annotations

import deeplite
from deeplite import nn


def train() -> tuple[float, float]:
    """First and last loss of a small convolutional network told to tell two textures apart."""
    deeplite.manual_seed(0)
    x = deeplite.randn(32, 1, 8, 8)
    y = deeplite.arange(32) % 2
    x[::2] += 1.0
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 2)
    )
    optimizer = deeplite.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]


def main() -> None:
    cpu = deeplite.backends.cpu
    for isa in (*cpu.capability(), "reference"):
        cpu.set_isa(isa)
        first, last = train()
        assert last < 0.5 * first, f"{isa}: the loss went from {first:.4f} to {last:.4f}"
        print(f"deeplite {deeplite.__version__}, {isa}: loss {first:.4f} -> {last:.4f}")


if __name__ == "__main__":
    main()
