"""Why networks have shortcuts: deep plain nets learn worse than shallow ones, residual nets do not.

    python examples/depth.py

The experiment of He et al., "Deep residual learning for image recognition", 2015 (figure 6), on the
real handwritten digits that come with scikit-learn: nets of the paper's CIFAR family, plain and
residual, of growing depth, trained alike. What matters is the training loss: a deeper plain net
could represent what a shallower one does, but gradient descent does not find it. Writes
``depth.png`` and ``depth.json``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import deeplite as dl
from deeplite.data import datasets
from deeplite.nn import functional as F

KINDS = {"plain": "plain{}_cifar", "residual": "resnet{}_cifar"}


def digits(train: bool, limit: int | None) -> tuple[Any, Any]:
    """Pictures [N, 3, 8, 8] and labels [N]."""
    data = datasets.DigitsDataset(train)
    images = (data.data[:limit].float() / 255 - 0.3) / 0.35
    return images.unsqueeze(1).expand(-1, 3, -1, -1).contiguous(), data.targets[:limit]


def train(name: str, args: argparse.Namespace) -> dict[str, list[float]]:
    """Trains a net; its training loss and test accuracy after each epoch."""
    images, labels = digits(True, args.limit)
    test_images, test_labels = digits(False, args.limit)
    dl.manual_seed(args.seed)
    model = dl.models.build(name, num_classes=10)
    sgd = dl.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=1e-4)
    schedule = dl.optim.lr_scheduler.OneCycleLR(
        sgd, args.lr, total_steps=args.epochs * -(-len(labels) // args.batch_size)
    )
    history: dict[str, list[float]] = {"loss": [], "accuracy": []}
    for _ in range(args.epochs):
        model.train()
        total = 0.0
        for which in dl.randperm(len(labels)).split(args.batch_size):
            loss = F.cross_entropy(model(images[which]), labels[which])
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            schedule.step()
            total += loss.item() * len(which)
        model.eval()
        with dl.no_grad():
            right = (model(test_images).argmax(1) == test_labels).float().mean()
        history["loss"].append(total / len(labels))
        history["accuracy"].append(right.item())
    return history


def draw(path: Path, results: dict[str, dict[str, list[float]]]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(made)
    left, right = made.subplots(1, 2)
    for kind, style in (("plain", "--"), ("residual", "-")):
        mine = {int(k.split()[1]): v for k, v in results.items() if k.startswith(kind)}
        for colour, (depth, history) in zip(("C0", "C1", "C2", "C3"), sorted(mine.items())):
            epochs = range(1, len(history["loss"]) + 1)
            left.semilogy(epochs, history["loss"], style, color=colour, label=f"{kind} {depth}")
        last = [history["loss"][-1] for _, history in sorted(mine.items())]
        right.semilogy(sorted(mine), last, style + "o", color="black", label=kind)
    left.set_xlabel("epoch")
    left.set_ylabel("training loss")
    left.legend(ncols=2, fontsize=8)
    right.set_xlabel("layers")
    right.set_ylabel("training loss at the end")
    right.legend()
    made.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--depths", type=int, nargs="+", default=[20, 32, 44, 56])
    add("--epochs", type=int, default=8)
    add("--batch-size", type=int, default=64)
    add("--lr", type=float, default=0.1)
    add("--seed", type=int, default=0)
    add("--limit", type=int, help="use at most so many digits")
    add("--output", default="depth-output")
    args = parser.parse_args()
    output = Path(args.output)
    output.mkdir(parents=True, exist_ok=True)
    results = {}
    print("layers  kind      training loss  test accuracy")
    for depth in args.depths:
        for kind, name in KINDS.items():
            history = train(name.format(depth), args)
            results[f"{kind} {depth}"] = history
            print(
                f"{depth:6}  {kind:8}  {history['loss'][-1]:13.4f}  "
                f"{100 * history['accuracy'][-1]:11.2f} %",
                flush=True,
            )
    (output / "depth.json").write_text(json.dumps(results, indent=1))
    draw(output / "depth.png", results)
    print(f"figure in {output / 'depth.png'}")


if __name__ == "__main__":
    main()
