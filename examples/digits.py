"""A small convolutional network on the handwritten digits of scikit-learn: data loading, training,
saving and loading. `python examples/digits.py --help` shows the options; 10 s on two cores."""

from __future__ import annotations

import argparse

import deeplite as dl
from deeplite import nn
from deeplite.data import DataLoader, TensorDataset
from sklearn.datasets import load_digits


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(32)
        self.head = nn.Linear(32 * 2 * 2, 10)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x: dl.Tensor) -> dl.Tensor:  # x [N, 1, 8, 8] -> [N, 10]
        x = nn.functional.max_pool2d(self.norm1(self.conv1(x)).relu(), 2)
        x = nn.functional.max_pool2d(self.norm2(self.conv2(x)).relu(), 2)
        return self.head(self.dropout(x.flatten(1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--weights", default="digits.safetensors")
    args = parser.parse_args()

    dl.manual_seed(0)
    digits = load_digits()
    x = dl.tensor(digits.images, dtype=dl.float32).unsqueeze(1) / 16
    y = dl.tensor(digits.target)
    order = dl.randperm(len(x))
    train, test = order[:1437], order[1437:]
    loader = DataLoader(TensorDataset(x[train], y[train]), batch_size=64, shuffle=True)

    model = Net()
    optimizer = dl.optim.AdamW(model.parameters(), lr=3e-3)
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for images, labels in loader:
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / len(loader):.4f}, test {score(model, x, y, test)}")

    dl.save(model.state_dict(), args.weights)
    again = Net()
    again.load_state_dict(dl.load(args.weights))
    print(f"reloaded from {args.weights}: test {score(again, x, y, test)}")


def score(model: nn.Module, x: dl.Tensor, y: dl.Tensor, which: dl.Tensor) -> str:
    model.eval()
    with dl.no_grad():
        right = (model(x[which]).argmax(1) == y[which]).float().mean().item()
    return f"{100 * right:.2f} %"


if __name__ == "__main__":
    main()
