"""Transfer learning: what a net has learnt from some digits helps to tell others apart.

    python examples/transfer.py

A small residual net first learns the digits 0 to 4, of which there are many pictures. Then the
digits 5 to 9 are to be told apart with only a few pictures of each, in four ways:

* from scratch;
* a new head on the frozen features, which are computed once and kept in a file;
* fine-tuning everything, early layers with lower rates;
* the same with layers unfrozen one by one from the last, and Polyak's average of the weights.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import deeplite as dl
from deeplite import models, nn
from deeplite.data import DataLoader, TensorDataset, datasets
from deeplite.models import transfer
from deeplite.nn import functional as F
from deeplite.optim.swa_utils import AveragedModel, update_bn

MODEL = "resnet20_cifar"


def digits(train: bool, low: int, each: int | None = None) -> TensorDataset:
    """The digits low .. low + 4 as classes 0 .. 4; at most ``each`` pictures of a class."""
    data = datasets.DigitsDataset(train)
    chosen = []
    for digit in range(low, low + 5):
        chosen.append((data.targets == digit).nonzero().flatten()[:each])
    which = dl.cat(chosen)
    images = (data.data[which].float() / 255 - 0.3) / 0.35
    images = F.interpolate(images.unsqueeze(1), size=(16, 16), mode="bilinear")
    return TensorDataset(images.expand(-1, 3, -1, -1).contiguous(), data.targets[which] - low)


def accuracy(model: nn.Module, data: Any) -> float:
    model.eval()
    right = 0.0
    with dl.no_grad():
        for images, labels in DataLoader(data, 256):
            right += float((model(images).argmax(1) == labels).sum())
    return right / len(data)


def fit(
    model: nn.Module, groups: Any, data: Any, epochs: int, unfreezing: Any = None,
    average: AveragedModel | None = None,
) -> None:  # fmt: skip
    loader = DataLoader(data, 16, shuffle=True)
    sgd = dl.optim.SGD(groups, lr=0.05, momentum=0.9, weight_decay=5e-4)
    slanted = transfer.slanted_triangular(epochs * len(loader))
    schedule = dl.optim.lr_scheduler.LambdaLR(sgd, slanted)
    for epoch in range(epochs):
        model.train()
        for images, labels in loader:
            loss = F.cross_entropy(model(images), labels)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            schedule.step()
            if average is not None and epoch >= epochs // 2:
                average.update_parameters(model)
        if unfreezing is not None:
            unfreezing.step()


def adapted(weights: Path) -> nn.Module:
    """The pretrained net with a fresh head."""
    model = models.build(MODEL, num_classes=5, weights=weights)
    transfer.replace_head(model, 5)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--each", type=int, default=5, help="pictures of each new digit to learn from")
    add("--epochs", type=int, default=8, help="of pretraining")
    add("--tuning", type=int, default=20, help="epochs on the new digits")
    add("--seed", type=int, default=0)
    add("--output", default="transfer-output")
    args = parser.parse_args()
    output = Path(args.output)
    output.mkdir(parents=True, exist_ok=True)
    dl.manual_seed(args.seed)

    model = models.build(MODEL, num_classes=5)
    fit(model, model.parameters(), digits(True, 0), args.epochs)
    print(f"digits 0-4, many pictures: {100 * accuracy(model, digits(False, 0)):.1f} %")
    weights = output / "pretrained.safetensors"
    dl.save(model.state_dict(), weights)
    few, test = digits(True, 5, args.each), digits(False, 5)

    def report(name: str, score: float, began: float) -> None:
        seconds = time.perf_counter() - began
        print(
            f"digits 5-9, {args.each} pictures each, {name}: {100 * score:.1f} % ({seconds:.1f} s)"
        )

    began = time.perf_counter()
    scratch = models.build(MODEL, num_classes=5)
    fit(scratch, scratch.parameters(), few, args.tuning)
    report("from scratch", accuracy(scratch, test), began)

    began = time.perf_counter()
    model = adapted(weights)
    _, head = transfer.find_head(model)
    cached = transfer.cached_features(model, few, output / "features.safetensors")
    fit(head, head.parameters(), cached, args.tuning)
    report("head on frozen features", accuracy(model, test), began)

    began = time.perf_counter()
    model = adapted(weights)
    fit(model, transfer.parameter_groups(model, 0.05, decay=0.8), few, args.tuning)
    report("fine-tuned", accuracy(model, test), began)

    began = time.perf_counter()
    model = adapted(weights)
    unfreezing = transfer.GradualUnfreezing(model)
    average = AveragedModel(model)
    groups = transfer.parameter_groups(model, 0.05, decay=0.8)
    fit(model, groups, few, args.tuning, unfreezing, average)
    transfer.unfreeze(average.module)  # copied while frozen: its statistics must move again
    update_bn(DataLoader(few, 16), average.module)
    report("gradually unfrozen, averaged", accuracy(average, test), began)


if __name__ == "__main__":
    main()
