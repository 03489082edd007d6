"""Trains any registered model on real handwritten digits or on a folder of pictures.

    python examples/classify.py --model resnet20_cifar
    python examples/classify.py --model mobilenet_v2 --data pictures/ --size 128 --epochs 30
    python examples/classify.py --list

A folder of pictures holds one folder for each class (``pictures/cat/*.jpg``), or ``train`` and
``val`` folders of that kind; without ``val`` a fifth of the pictures is kept for validation.

After each epoch a checkpoint is written. Started again with the same output folder and
``--resume``, a run that was interrupted, or killed, goes on from there, and ends with the very
weights it would have had otherwise. At the end there are ``model.safetensors``, ``curve.png`` and
``confusion.png``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import deeplite as dl
from deeplite.data import DataLoader, Subset, datasets
from deeplite.data import transforms as T
from deeplite.nn import functional as F


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", default="resnet20_cifar", help="a name of --list")
    add("--list", action="store_true", help="list the models and stop")
    add("--data", default="digits", help="'digits', or a folder of pictures")
    add(
        "--size",
        type=int,
        help="height and width of the pictures (default: the model's, at most 64)",
    )
    add("--epochs", type=int, default=10)
    add("--batch-size", type=int, default=64)
    add("--lr", type=float, default=0.05, help="highest learning rate")
    add("--schedule", choices=["cosine", "step", "constant"], default="cosine")
    add("--weight-decay", type=float, default=5e-4)
    add("--weights", help="a file of weights to start from (.safetensors, .pth)")
    add("--option", action="append", default=[], help="name=value for the model, as JSON")
    add("--output", default="classify-output", help="folder for the results")
    add("--resume", action="store_true", help="go on from the checkpoint in the output folder")
    add("--seed", type=int, default=0)
    add("--threads", type=int)
    add("--workers", type=int, default=1, help="threads that prepare pictures")
    add("--limit", type=int, help="use at most so many pictures of each part")
    return parser.parse_args()


# ---------------------------------------------------------------------- data


def pictures(args: argparse.Namespace, channels: int, size: int) -> tuple[Any, Any, list[str]]:
    """Datasets to train on and to validate on, and the names of the classes."""
    ends = [T.ToTensor(), T.Normalize([0.5] * channels, [0.25] * channels)]
    colours: list[Any] = [T.Grayscale(channels)]
    if args.data == "digits":
        plain = T.Compose([T.Resize((size, size)), *colours, *ends])
        moved = T.RandomAffine(
            10, (0.08, 0.08), (0.85, 1.15), interpolation=T.InterpolationMode.BILINEAR
        )
        augmented = T.Compose([T.Resize((size, size)), moved, *colours, *ends])
        train = datasets.DigitsDataset(True, augmented, seed=args.seed)
        return train, datasets.DigitsDataset(False, plain, seed=args.seed), train.classes
    colours = [] if channels == 3 else colours
    plain = T.Compose([T.Resize(size), T.CenterCrop(size), *colours, *ends])
    crop = T.RandomResizedCrop(size, (0.3, 1.0))
    jitter = T.ColorJitter(0.2, 0.2, 0.2)
    augmented = T.Compose([crop, T.RandomHorizontalFlip(), jitter, *colours, *ends])
    root = Path(args.data)
    if (root / "val").is_dir():
        train = datasets.ImageFolder(root / "train", augmented)
        return train, datasets.ImageFolder(root / "val", plain), train.classes
    every = datasets.ImageFolder(root, augmented)
    order = dl.randperm(len(every), generator=seeded(args.seed)).tolist()
    cut = max(1, len(order) // 5)
    validation = Subset(datasets.ImageFolder(root, plain), order[:cut])
    return Subset(every, order[cut:]), validation, every.classes


def seeded(seed: int) -> Any:
    generator = dl.Generator()
    generator.manual_seed(seed)
    return generator


# ---------------------------------------------------------------------- training


def loss_of(outputs: Any, labels: Any) -> Any:
    """Cross entropy; auxiliary heads (GoogLeNet, Inception v3) count 0.3."""
    if not isinstance(outputs, tuple):
        return F.cross_entropy(outputs, labels)
    main, *others = [F.cross_entropy(o, labels) for o in outputs if o is not None]
    return main + 0.3 * sum(others) if others else main


def factor(args: argparse.Namespace, step: int, steps: int) -> float:
    """The schedule: what the highest rate is multiplied with at a step. It rises over the first
    twentieth of the steps."""
    rise = min(1.0, (step + 1) / max(1, steps // 20))
    part = step / steps
    if args.schedule == "cosine":
        return rise * 0.5 * (1 + float(dl.cos(dl.tensor(part * dl.pi, dtype=dl.float64))))
    if args.schedule == "step":
        return rise * (1.0 if part < 0.5 else 0.1 if part < 0.75 else 0.01)
    return rise


def evaluate(model: Any, loader: Any, classes: int) -> tuple[float, Any]:
    """Accuracy, and the confusion matrix [true, guessed]."""
    model.eval()
    confusion = dl.zeros(classes * classes, dtype=dl.int64)
    with dl.no_grad():
        for images, labels in loader:
            guesses = model(images).argmax(1)
            confusion += dl.bincount(labels * classes + guesses, minlength=classes * classes)
    confusion = confusion.reshape(classes, classes)
    return float(confusion.diagonal().sum()) / float(confusion.sum()), confusion


class Run:
    """All that a checkpoint must hold for a run to go on as if nothing had happened."""

    def __init__(self, args: argparse.Namespace, model: Any, steps: int) -> None:
        self.model = model
        self.sgd = dl.optim.SGD(
            model.parameters(), lr=args.lr, momentum=0.9, weight_decay=args.weight_decay
        )
        self.schedule = dl.optim.lr_scheduler.LambdaLR(
            self.sgd, lambda step: factor(args, step, steps)
        )
        self.epoch = 0
        self.history: list[dict[str, float]] = []

    def save(self, path: Path, settings: str) -> None:
        state = {
            "settings": settings, "epoch": self.epoch, "history": self.history,
            "model": self.model.state_dict(), "sgd": self.sgd.state_dict(),
            "schedule": self.schedule.state_dict(), "random": list(dl.get_rng_state()),
        }  # fmt: skip
        dl.save(state, path)  # replaces the file in one step: a kill leaves the old one or the new

    def load(self, path: Path, settings: str) -> None:
        state = dl.load(path)
        if state["settings"] != settings:
            raise SystemExit(f"{path} is of a run with other settings: {state['settings']}")
        self.model.load_state_dict(state["model"])
        self.sgd.load_state_dict(state["sgd"])
        self.schedule.load_state_dict(state["schedule"])
        self.epoch, self.history = state["epoch"], state["history"]
        dl.set_rng_state(tuple(state["random"]))


def train_epoch(run: Run, loader: Any, advance: Any) -> float:
    """Mean loss over one pass."""
    run.model.train()
    total = count = 0.0
    for images, labels in loader:
        loss = loss_of(run.model(images), labels)
        run.sgd.zero_grad()
        loss.backward()
        run.sgd.step()
        run.schedule.step()
        total += loss.item() * len(labels)
        count += len(labels)
        advance(total / count)
    return total / count


# ---------------------------------------------------------------------- pictures


def figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def draw_curve(path: Path, name: str, history: list[dict[str, float]]) -> None:
    made = figure(7, 4)
    axes = made.add_subplot()
    epochs = range(1, len(history) + 1)
    axes.semilogy(epochs, [h["loss"] for h in history], color="tab:blue", marker=".")
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss", color="tab:blue")
    other = axes.twinx()
    other.plot(epochs, [100 * h["accuracy"] for h in history], color="tab:orange", marker=".")
    other.set_ylabel("validation accuracy, %", color="tab:orange")
    axes.set_title(name)
    made.savefig(path, dpi=120)


def draw_confusion(path: Path, confusion: Any, classes: list[str]) -> None:
    side = max(4.0, min(14.0, 0.5 * len(classes) + 2))
    made = figure(side, side)
    axes = made.add_subplot()
    shares = confusion.double() / confusion.sum(1, keepdim=True).clamp(min=1)
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= 40:
        axes.set_xticks(range(len(classes)), classes, rotation=90)
        axes.set_yticks(range(len(classes)), classes)
    if len(classes) <= 20:
        for i, row in enumerate(confusion.tolist()):
            for j, number in enumerate(row):
                colour = "white" if shares[i, j] > 0.5 else "black"
                axes.text(j, i, number or "", ha="center", va="center", fontsize=7, color=colour)
    axes.set_xlabel("guessed")
    axes.set_ylabel("true")
    made.savefig(path, dpi=120)


# ---------------------------------------------------------------------- the command


def progress_bar() -> Any:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )  # fmt: skip


def main() -> None:
    args = arguments()
    if args.list:
        print("\n".join(dl.models.list_models()))
        return
    if args.threads:
        dl.set_num_threads(args.threads)
    info = dl.models.info(args.model)
    channels, height, _ = info.input_size
    size = args.size or min(height, 64)
    train, validation, classes = pictures(args, channels, size)
    if args.limit:
        train = Subset(train, range(min(args.limit, len(train))))
        validation = Subset(validation, range(min(args.limit, len(validation))))
    output = Path(args.output)
    output.mkdir(parents=True, exist_ok=True)

    dl.manual_seed(args.seed)
    options = {k: json.loads(v) for k, _, v in (o.partition("=") for o in args.option)}
    model = dl.models.build(args.model, num_classes=len(classes), weights=args.weights, **options)
    loader = DataLoader(
        train, args.batch_size, shuffle=True, drop_last=len(train) > args.batch_size,
        num_workers=args.workers,
    )  # fmt: skip
    checking = DataLoader(validation, args.batch_size, num_workers=args.workers)
    run = Run(args, model, args.epochs * len(loader))
    left_out = ("resume", "output", "threads", "workers", "list")  # these change no number
    settings = json.dumps({k: v for k, v in sorted(vars(args).items()) if k not in left_out})
    checkpoint = output / "checkpoint.safetensors"
    if args.resume and checkpoint.exists():
        run.load(checkpoint, settings)
        print(f"resumed after epoch {run.epoch}")
    weights = sum(p.numel() for p in model.parameters())
    print(
        f"{args.model}: {weights:,} weights; {len(train)} pictures of {size} x {size} to train on, "
        f"{len(validation)} to validate, {len(classes)} classes"
    )
    fit(args, run, loader, checking, len(classes), checkpoint, settings)
    accuracy, confusion = evaluate(model, checking, len(classes))
    dl.save(model.state_dict(), output / "model.safetensors")
    draw_curve(output / "curve.png", args.model, run.history)
    draw_confusion(output / "confusion.png", confusion, classes)
    print(f"validation accuracy {100 * accuracy:.2f} %; results in {output}")


def fit(
    args: argparse.Namespace, run: Run, loader: Any, checking: Any, classes: int, checkpoint: Path,
    settings: str,
) -> None:  # fmt: skip
    with progress_bar() as bar:
        task = bar.add_task("training", total=args.epochs * len(loader), note="")
        bar.update(task, completed=run.epoch * len(loader))
        while run.epoch < args.epochs:

            def advance(loss: float) -> None:
                bar.update(task, advance=1, note=f"epoch {run.epoch + 1}: loss {loss:.4f}")

            loss = train_epoch(run, loader, advance)
            accuracy, _ = evaluate(run.model, checking, classes)
            run.epoch += 1
            run.history.append({"loss": loss, "accuracy": accuracy})
            run.save(checkpoint, settings)
            bar.console.print(
                f"epoch {run.epoch}: loss {loss:.4f}, validation {100 * accuracy:.2f} %"
            )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted; --resume goes on from the last checkpoint")
