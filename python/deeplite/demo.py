"""The demonstration behind ``python -m deeplite demo``: LeNet-5 learns handwritten digits.

The data are the 1,797 digits of 8x8 pixels that ship inside scikit-learn. They are brought to the
32x32 that LeNet-5 expects by linear interpolation, a little larger, smaller or off centre each time
a digit is seen in training. The weights of the epoch that does best on the validation digits are
kept, written as safetensors, read back, and judged on the test digits.

All data preparation is NumPy and depends on nothing but the seed, so that the very same batches can
be given to torch.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

NEEDS = {"sklearn": "scikit-learn", "rich": "rich", "matplotlib": "matplotlib"}
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY, WARM_UP = 0.05, 0.9, 5e-4, 40
CHECK_EPOCHS = 3  # of the float64 comparison with torch


@dataclasses.dataclass
class Digits:
    """images [N, 8, 8] in 0..1, labels [N], and the indices of the three parts."""

    images: np.ndarray
    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    mean: float
    std: float

    def prepared(self, which: np.ndarray) -> np.ndarray:
        """[n, 1, 32, 32], centred and scaled by the statistics of the training digits."""
        ones, zeros = np.ones((2, len(which))), np.zeros((2, len(which)))
        return self.normalised(enlarge(self.images[which], ones, zeros))

    def normalised(self, images: np.ndarray) -> np.ndarray:
        return ((images - self.mean) / self.std)[:, None]


def load_digits(seed: int) -> Digits:
    """70 % of the digits to train on, 10 % to choose the epoch, 20 % to judge."""
    from sklearn import datasets

    bunch = datasets.load_digits()
    images, labels = bunch.images / 16.0, bunch.target.astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(images))
    first, second = int(0.7 * len(order)), int(0.8 * len(order))
    digits = Digits(
        images, labels, order[:first], order[first:second], order[second:], mean=0.0, std=1.0
    )
    seen = digits.prepared(digits.train)
    digits.mean, digits.std = float(seen.mean()), float(seen.std())
    return digits


def enlarge(images: np.ndarray, scale: np.ndarray, shift: np.ndarray, size: int = 32) -> np.ndarray:
    """[N, 8, 8] -> [N, size, size] by linear interpolation. scale and shift [2, N] stretch and move
    each image along its rows and columns; shifts are in pixels of the small image."""
    n = images.shape[1]
    middle = (n - 1) / 2
    at = (np.arange(size) + 0.5) * n / size - 0.5 - middle  # pixel centres, from the middle
    at = at * scale[..., None] + middle + shift[..., None]  # [2, N, size]
    weights = np.maximum(0.0, 1.0 - np.abs(at[..., None] - np.arange(n)))  # [2, N, size, n]
    return weights[0] @ images @ weights[1].transpose(0, 2, 1)


def batches(
    digits: Digits, epoch: int, seed: int, size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The shuffled, distorted batches of one epoch: images [size, 1, 32, 32] and labels [size].
    What does not fill a batch is left out, until the next shuffle."""
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(digits.train)
    size = min(size, len(order))
    for start in range(0, len(order) - size + 1, size):
        which = order[start : start + size]
        scale = np.exp(rng.uniform(-0.15, 0.15, (2, size)))
        shift = rng.uniform(-0.6, 0.6, (2, size))
        images = enlarge(digits.images[which], scale, shift)
        yield digits.normalised(images), digits.labels[which]


# ---------------------------------------------------------------------- training, in any library


@dataclasses.dataclass
class Curves:
    """What a training run leaves behind."""

    losses: list[float] = dataclasses.field(default_factory=list)  # one per step
    train: list[float] = dataclasses.field(default_factory=list)  # mean loss, one per epoch
    validation: list[float] = dataclasses.field(default_factory=list)  # accuracy, one per epoch
    best_epoch: int = 0
    best_state: dict[str, Any] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0  # in the training steps alone
    images: int = 0


def learning_rate(step: int, steps: int) -> float:
    """Rises over the first steps, then falls along half a cosine."""
    return LEARNING_RATE * min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + np.cos(np.pi * step / steps))


def tensor(lib: Any, array: np.ndarray, dtype: str | None = None) -> Any:
    made = lib.from_numpy(np.ascontiguousarray(array))
    return made if dtype is None else made.to(getattr(lib, dtype))


def train(
    lib: Any, model: Any, digits: Digits, args: argparse.Namespace, *, dtype: str = "float32",
    epochs: int | None = None, report: Callable[[int, Curves], None] = lambda epoch, curves: None,
) -> Curves:  # fmt: skip
    """Trains `model` of library `lib` (deeplite or torch: the same lines run on both)."""
    sgd = lib.optim.SGD(
        model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
    )
    curves = Curves()
    per_epoch = max(1, len(digits.train) // args.batch_size)
    for epoch in range(args.epochs if epochs is None else epochs):
        model.train()
        for images, labels in batches(digits, epoch, args.seed, args.batch_size):
            x, target = tensor(lib, images, dtype), tensor(lib, labels)
            rate = learning_rate(len(curves.losses), args.epochs * per_epoch)
            for group in sgd.param_groups:
                group["lr"] = rate
            began = time.perf_counter()
            loss = lib.nn.functional.cross_entropy(model(x), target)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            curves.losses.append(loss.item())
            curves.seconds += time.perf_counter() - began
            curves.images += len(labels)
        curves.train.append(float(np.mean(curves.losses[-per_epoch:])))
        curves.validation.append(accuracy(lib, model, digits, digits.validation, dtype))
        if curves.validation[-1] >= max(curves.validation):
            curves.best_epoch = epoch
            curves.best_state = {k: v.detach().clone() for k, v in model.state_dict().items()}
        report(epoch, curves)
    return curves


def scores(lib: Any, model: Any, digits: Digits, which: np.ndarray, dtype: str) -> np.ndarray:
    """Class scores [len(which), 10] of undistorted digits."""
    model.eval()
    with lib.no_grad():
        return model(tensor(lib, digits.prepared(which), dtype)).numpy()


def accuracy(
    lib: Any, model: Any, digits: Digits, which: np.ndarray, dtype: str = "float32"
) -> float:
    guesses = scores(lib, model, digits, which, dtype).argmax(1)
    return float((guesses == digits.labels[which]).mean())


# ---------------------------------------------------------------------- beside torch


def twin_model(torch: Any, ours: Any) -> Any:
    """LeNet-5 over torch.nn, from the very source of deeplite.models.lenet, with our weights."""
    from deeplite.models import _twin

    model = _twin.build(torch, "lenet5")
    state = {k: torch.from_numpy(v.numpy().copy()) for k, v in ours.items()}
    model.to(next(iter(state.values())).dtype).load_state_dict(state)
    return model


def compare_with_torch(
    digits: Digits, args: argparse.Namespace, initial: dict[str, Any], ours: Curves, say: Any
) -> None:
    """The same training in torch: time ratio in float32, difference of the losses in float64."""
    import deeplite
    from deeplite.models import LeNet5

    torch = importlib.import_module("torch")
    torch.set_num_threads(deeplite.get_num_threads())
    theirs = train(torch, twin_model(torch, initial), digits, args)
    say(
        f"torch {torch.__version__}: {theirs.images / theirs.seconds:,.0f} images/s; "
        f"deeplite takes {ours.seconds / theirs.seconds:.2f}x the time of torch"
    )
    difference = np.abs(np.subtract(ours.losses, theirs.losses))
    say(f"float32 loss curves differ by at most {difference.max():.1e} ({len(difference)} steps)")

    epochs = min(CHECK_EPOCHS, args.epochs)
    model = LeNet5().to(deeplite.float64)
    model.load_state_dict({k: v.to(deeplite.float64) for k, v in initial.items()})
    twin = twin_model(torch, model.state_dict())
    curves = [
        train(lib, m, digits, args, dtype="float64", epochs=epochs).losses
        for lib, m in ((deeplite, model), (torch, twin))
    ]
    first, second = map(np.asarray, curves)
    difference = np.abs(first - second)
    verdict = "ok" if difference.max() <= 1e-9 else "MORE THAN 1e-9"
    say(
        f"float64 loss curves differ by at most {difference.max():.1e} "
        f"({len(difference)} steps from the same weights): {verdict}"
    )


# ---------------------------------------------------------------------- pictures


def draw(path: Path, curves: Curves, digits: Digits, guesses: np.ndarray, test: float) -> None:
    """Learning curve above, sample predictions below; mistakes come first, in red."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 8), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(6, 12)
    draw_curves(figure.add_subplot(grid[:3, :]), curves, test)
    wrong = guesses != digits.labels[digits.test]
    for place, i in enumerate(np.argsort(~wrong, kind="stable")[:36]):
        axes = figure.add_subplot(grid[3 + place // 12, place % 12])
        axes.imshow(digits.prepared(digits.test[i : i + 1])[0, 0], cmap="gray_r")
        label = digits.labels[digits.test[i]]
        text, colour = (f"{guesses[i]} not {label}", "red") if wrong[i] else (f"{label}", "black")
        axes.set_title(text, fontsize=8, color=colour)
        axes.set_axis_off()
    partial = path.with_suffix(".tmp.png")
    figure.savefig(partial, dpi=100)
    os.replace(partial, path)


def draw_curves(axes: Any, curves: Curves, test: float) -> None:
    epochs = np.arange(1, len(curves.train) + 1)
    axes.semilogy(epochs, curves.train, color="tab:blue", marker="o", markersize=3)
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss", color="tab:blue")
    other = axes.twinx()
    other.plot(epochs, 100 * np.array(curves.validation), color="tab:orange")
    other.plot(curves.best_epoch + 1, 100 * test, "*", color="tab:green", markersize=12)
    other.set_ylabel("validation accuracy, % (star: test)", color="tab:orange")
    axes.set_title(f"LeNet-5 on handwritten digits: {100 * test:.2f} % of the test digits right")


# ---------------------------------------------------------------------- the command


def main(args: argparse.Namespace) -> int:
    """Runs the demonstration; returns the exit status."""
    missing = [p for module, p in NEEDS.items() if importlib.util.find_spec(module) is None]
    if missing:
        print(
            f"The demo also needs {', '.join(missing)}: pip install 'deeplite[train]'",
            file=sys.stderr,
        )
        return 1
    try:
        run(args)
    except KeyboardInterrupt:
        print("\ninterrupted; stopped cleanly", file=sys.stderr)
        return 130
    except OSError as e:
        print(f"could not write to {args.output!r}: {e}", file=sys.stderr)
        return 1
    return 0


def run(args: argparse.Namespace) -> None:
    import deeplite
    from deeplite.models import LeNet5

    began = time.perf_counter()
    output = Path(args.output)
    output.mkdir(parents=True, exist_ok=True)
    if args.threads is not None:
        deeplite.set_num_threads(args.threads)
    digits = load_digits(args.seed)
    deeplite.manual_seed(args.seed)
    model = LeNet5()
    initial = {k: v.detach().clone() for k, v in model.state_dict().items()}
    print(
        f"LeNet-5, {sum(p.numel() for p in model.parameters()):,} weights; "
        f"{len(digits.train)} digits to train on, {len(digits.validation)} to validate, "
        f"{len(digits.test)} to test; {deeplite.get_num_threads()} threads, "
        f"{deeplite.backends.cpu.isa()}"
    )
    curves = train_with_bar(model, digits, args)
    print(
        f"trained {args.epochs} epochs in {curves.seconds:.1f} s: "
        f"{curves.images / curves.seconds:,.0f} images/s"
    )

    model.load_state_dict(curves.best_state)
    test = accuracy(deeplite, model, digits, digits.test)
    print(f"test accuracy {100 * test:.2f} % (weights of epoch {curves.best_epoch + 1})")
    weights = output / "lenet5.safetensors"
    deeplite.save(model.state_dict(), str(weights))
    fresh = LeNet5()
    fresh.load_state_dict(deeplite.load(str(weights)))
    guesses = scores(deeplite, fresh, digits, digits.test, "float32").argmax(1)
    again = float((guesses == digits.labels[digits.test]).mean())
    if again != test:
        raise RuntimeError(f"reloaded weights give {again}, not {test}")
    print(f"weights saved to {weights} and read back: {100 * again:.2f} % again")
    picture = output / "lenet5.png"
    draw(picture, curves, digits, guesses, test)
    print(f"learning curve and sample predictions in {picture}")

    if args.no_torch:
        return
    if importlib.util.find_spec("torch") is None:
        print("torch is not installed: no comparison")
        return
    with bar() as progress:
        progress.add_task("the same in torch", total=None, note="")
        compare_with_torch(digits, args, initial, curves, progress.console.print)
    print(f"all done in {time.perf_counter() - began:.0f} s")


def bar() -> Any:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )  # fmt: skip


def train_with_bar(model: Any, digits: Digits, args: argparse.Namespace) -> Curves:
    import deeplite

    with bar() as progress:
        task = progress.add_task("training", total=args.epochs, note="")

        def report(epoch: int, curves: Curves) -> None:
            note = f"loss {curves.train[-1]:.4f}  validation {100 * curves.validation[-1]:.2f} %"
            progress.update(task, completed=epoch + 1, note=note)

        return train(deeplite, model, digits, args, report=report)
