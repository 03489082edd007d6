"""Transfer learning: what is kept frozen, what learns how fast, and features computed only once.

The recipes of Yosinski et al., "How transferable are features in deep neural networks?", 2014, and
Howard and Ruder, "Universal language model fine-tuning for text classification", 2018: early layers
are general and late ones particular, so early layers learn slowly, late, or not at all.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deeplite
from deeplite import Tensor, nn

__all__ = [
    "GradualUnfreezing", "cached_features", "features", "find_head", "freeze", "layers",
    "parameter_groups", "replace_head", "slanted_triangular", "unfreeze",
]  # fmt: skip


def layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The parts of a model that have parameters, from the input to the output: its children, with
    plain containers (``features``, ``layer1``) replaced by their own children.

    Example:
        >>> from deeplite import models
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Sequential(nn.Linear(2, 2)))
        >>> [name for name, _ in models.transfer.layers(net)]
        ['0', '2.0']
    """
    found = []
    for name, child in model.named_children():
        if next(child.parameters(), None) is None:
            continue
        if isinstance(child, (nn.Sequential, nn.ModuleList)):
            found += [(f"{name}.{inner}", part) for inner, part in layers(child)]
        else:
            found.append((name, child))
    return found


def _chosen(model: nn.Module, prefixes: tuple[str, ...], depth: int | None) -> list[str]:
    """The names of the modules and parameters that prefixes, or the first layers, stand for."""
    if bool(prefixes) == (depth is not None):
        raise ValueError("give prefixes of names, or a depth")
    if depth is not None:
        names = [name for name, _ in layers(model)]
        if not -len(names) <= depth <= len(names):
            raise ValueError(f"the model has {len(names)} layers, got depth {depth}")
        return names[:depth]
    known = [name for name, _ in (*model.named_modules(), *model.named_parameters())]
    for prefix in prefixes:
        if not any(_below(name, prefix) for name in known):
            raise ValueError(f"{type(model).__name__} has nothing called {prefix!r}")
    return list(prefixes)


def _below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def _stay_in_eval(module: nn.Module, args: Any) -> None:
    """Hook of a frozen BatchNorm: training mode would move its running statistics."""
    module.training = False


def _set_frozen(model: nn.Module, names: list[str], frozen: bool) -> int:
    count = 0
    for name, parameter in model.named_parameters():
        if any(_below(name, prefix) for prefix in names):
            parameter.requires_grad_(not frozen)
            count += parameter.numel()
    for name, module in model.named_modules():
        if not any(_below(name, prefix) for prefix in names):
            continue
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            handle = module.__dict__.pop("_frozen_hook", None)
            if handle is not None:
                handle.remove()
                module.train(model.training)
            if frozen:
                module.__dict__["_frozen_hook"] = module.register_forward_pre_hook(_stay_in_eval)
    return count


def freeze(model: nn.Module, *prefixes: str, depth: int | None = None) -> int:
    """Makes parameters not learn, and keeps BatchNorm layers among them as in evaluation, so that
    their statistics stay as well.

    Args:
        prefixes: names of modules or parameters (``"layer1"``, ``"features.0"``); or
        depth: the first so many of :func:`layers`; -1 is all but the last.

    Returns: how many numbers are frozen by it.

    Raises:
        ValueError: the model has nothing of that name, or not so many layers.

    Example:
        >>> from deeplite import models
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
        >>> models.transfer.freeze(net, depth=-1)
        9
        >>> [p.requires_grad for p in net.parameters()]
        [False, False, True, True]
    """
    return _set_frozen(model, _chosen(model, prefixes, depth), True)


def unfreeze(model: nn.Module, *prefixes: str, depth: int | None = None) -> int:
    """Undoes :func:`freeze` for the same choice of parameters; without any, for all of them."""
    if not prefixes and depth is None:
        prefixes = tuple(name for name, _ in model.named_children())
        for parameter in model.parameters(recurse=False):
            parameter.requires_grad_()
    return _set_frozen(model, _chosen(model, prefixes, depth), False)


def find_head(model: nn.Module) -> tuple[str, nn.Module]:
    """Name and layer of the last linear layer (or convolution, where there is none): what gives the
    scores of the classes.

    Raises:
        ValueError: the model has neither.
    """
    for kind in (nn.Linear, nn.Conv2d):
        found = [(n, m) for n, m in model.named_modules() if isinstance(m, kind)]
        if found:
            return found[-1]
    raise ValueError(f"{type(model).__name__} has no linear layer and no convolution")


def replace_head(model: nn.Module, num_classes: int) -> nn.Module:
    """Puts a fresh layer for ``num_classes`` in the place of the head, and of auxiliary heads for
    the same number of classes; returns the new head.

    Example:
        >>> from deeplite import models
        >>> net = models.build("resnet18", num_classes=10)
        >>> models.transfer.replace_head(net, 3)
        Linear(in_features=512, out_features=3, bias=True)
    """
    if num_classes < 1:
        raise ValueError(f"replace_head: num_classes must be positive, got {num_classes}")
    name, head = find_head(model)
    before = _outputs(head)
    for other, module in list(model.named_modules()):
        auxiliary = "aux" in other.lower() and isinstance(module, nn.Linear)
        if other == name or (auxiliary and _outputs(module) == before):
            model.set_submodule(other, _fresh(module, num_classes))
    if getattr(model, "num_classes", None) == before:
        model.num_classes = num_classes
    return model.get_submodule(name)


def _outputs(layer: Any) -> int:
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def _fresh(layer: Any, outputs: int) -> nn.Module:
    dtype = layer.weight.dtype
    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        made: nn.Module = nn.Linear(layer.in_features, outputs, bias=bias, dtype=dtype)
    else:
        made = nn.Conv2d(
            layer.in_channels, outputs, layer.kernel_size, layer.stride, layer.padding,
            layer.dilation, bias=bias, dtype=dtype,
        )  # fmt: skip
    return made.train(layer.training)


def parameter_groups(
    model: nn.Module, lr: float, *, decay: float = 0.5, weight_decay: float | None = None
) -> list[dict[str, Any]]:
    """Groups for an optimizer, one for each of :func:`layers`, with lower rates for early layers:
    the last has ``lr``, each one before it ``decay`` times the rate of the next.

    Args:
        decay: 1 gives all the same rate; ULMFiT's is 1 / 2.6.
        weight_decay: if given, for weights of two and more dimensions; biases and the weights of
            normalisations then get none, in groups of their own.

    Example:
        >>> from deeplite import models
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
        >>> [g["lr"] for g in models.transfer.parameter_groups(net, 0.1)]
        [0.05, 0.1]
    """
    if not 0 < decay <= 1:
        raise ValueError(f"parameter_groups: decay must be in (0, 1], got {decay}")
    parts = layers(model)
    seen: set[int] = set()
    groups: list[dict[str, Any]] = []

    def add(name: str, rate: float, parameters: list[Tensor]) -> None:
        fresh = [p for p in parameters if id(p) not in seen]
        seen.update(map(id, fresh))
        if weight_decay is None:
            split: list[tuple[list[Tensor], dict[str, float]]] = [(fresh, {})]
        else:
            split = [
                ([p for p in fresh if p.dim() > 1], {"weight_decay": weight_decay}),
                ([p for p in fresh if p.dim() <= 1], {"weight_decay": 0.0}),
            ]
        groups.extend({"params": p, "lr": rate, "name": name, **o} for p, o in split if p)

    for i, (name, part) in enumerate(parts):
        add(name, lr * decay ** (len(parts) - 1 - i), list(part.parameters()))
    # What lies outside of all layers (a class token, say) comes first in the network.
    add("", lr * decay ** max(len(parts) - 1, 0), list(model.parameters()))
    return groups


class GradualUnfreezing:
    """All layers but the last are frozen at first; each ``every`` epochs one more learns, from the
    last to the first.

    Args:
        model: is frozen up to its last layer at once.
        every: epochs between two layers.

    Example:
        >>> from deeplite import models
        >>> net = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1))
        >>> schedule = models.transfer.GradualUnfreezing(net)
        >>> learning = []
        >>> for epoch in range(4):
        ...     learning.append(sum(p.requires_grad for p in net.parameters()))
        ...     schedule.step()
        >>> learning
        [2, 4, 6, 6]
    """

    def __init__(self, model: nn.Module, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"GradualUnfreezing: every must be positive, got {every}")
        self.model, self.every, self.epoch = model, every, 0
        self.names = [name for name, _ in layers(model)]
        self._apply()

    @property
    def learning(self) -> list[str]:
        """The names of the layers that learn now."""
        return self.names[max(0, len(self.names) - 1 - self.epoch // self.every) :]

    def _apply(self) -> None:
        learning = self.learning
        _set_frozen(self.model, [n for n in self.names if n not in learning], True)
        _set_frozen(self.model, learning, False)

    def step(self) -> None:
        """After each epoch."""
        self.epoch += 1
        self._apply()

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.epoch = int(state_dict["epoch"])
        self._apply()


def slanted_triangular(steps: int, cut: float = 0.1, ratio: float = 32.0) -> Callable[[int], float]:
    """The factor on the rate at each step: up to 1 over the first ``cut`` of the steps, down to
    ``1 / ratio`` over the rest (ULMFiT's). For ``lr_scheduler.LambdaLR``.

    Example:
        >>> from deeplite import models
        >>> factor = models.transfer.slanted_triangular(100)
        >>> [round(factor(i), 3) for i in (0, 10, 100)]
        [0.031, 1.0, 0.031]
    """
    if steps < 1 or not 0 < cut < 1 or ratio < 1:
        raise ValueError(f"slanted_triangular: steps {steps}, cut {cut}, ratio {ratio}")
    top = max(1.0, steps * cut)

    def factor(step: int) -> float:
        part = step / top if step < top else max(0.0, 1 - (step - top) / max(steps - top, 1.0))
        return (1 + part * (ratio - 1)) / ratio

    return factor


# ---------------------------------------------------------------------- features


def features(model: nn.Module, x: Tensor) -> Tensor:
    """What the head of the model gets to see of a batch, in evaluation mode and without gradient:
    ``head(features(model, x))`` is ``model(x)``.

    Raises:
        ValueError: something comes after the head, so that this would not hold.
    """
    _, head = find_head(model)
    seen: list[Any] = []
    handle = head.register_forward_hook(lambda module, args, output: seen.append((args[0], output)))
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with deeplite.no_grad():
            result = model(x)
    finally:
        handle.remove()
        for module, mode in modes.items():
            module.training = mode
    if len(seen) != 1 or seen[0][1] is not result:
        raise ValueError(
            f"features: the head of {type(model).__name__} is not its last step, so there are no "
            "features that it alone turns into scores"
        )
    return seen[0][0]


def cached_features(
    model: nn.Module, dataset: Any, path: str | os.PathLike[str], *, batch_size: int = 64,
    num_workers: int = 0, fingerprint: str | None = None,
) -> deeplite.data.TensorDataset:  # fmt: skip
    """The :func:`features` of a whole dataset, computed once and kept in a file.

    Training a new head then costs a fraction: the frozen part never runs again. The file (of
    safetensors) belongs to the weights of the frozen part and to the pictures: their contents are
    hashed, and when either has changed, or the file is damaged, it is computed anew.

    Args:
        model: its head does not matter; what comes before it does.
        dataset: of ``(picture tensor, class number)``; without random transforms, which would make
            every pass a dataset of its own.
        path: of the file.
        fingerprint: stands for the content of the dataset, if reading it all for its hash costs too
            much.

    Returns: a dataset of ``(features, class number)``.
    """
    loader = deeplite.data.DataLoader(dataset, batch_size, num_workers=num_workers)
    body = _hash_of_body(model)
    cached = _read_cache(Path(path))
    if cached is not None:
        seen = _Content(body, fingerprint)
        for images, labels in loader if fingerprint is None else ():
            seen.add(images, labels)
        if cached["key"] == seen.key():
            return deeplite.data.TensorDataset(cached["features"], cached["labels"])
    parts, labels_of = [], []
    seen = _Content(body, fingerprint)
    for images, labels in loader:
        seen.add(images, labels)
        parts.append(features(model, images))
        labels_of.append(labels)
    if not parts:
        raise ValueError("cached_features: the dataset is empty")
    made: dict[str, Any] = {
        "features": deeplite.cat(parts), "labels": deeplite.cat(labels_of), "key": seen.key(),
    }  # fmt: skip
    deeplite.save(made, path)
    return deeplite.data.TensorDataset(made["features"], made["labels"])


class _Content:
    """A hash of weights and of all samples, however these are cut into batches."""

    def __init__(self, body: str, fingerprint: str | None) -> None:
        self.body, self.fingerprint = body, fingerprint
        self.images, self.labels, self.kind = hashlib.sha256(), hashlib.sha256(), ""

    def add(self, images: Tensor, labels: Tensor) -> None:
        if self.fingerprint is None:
            self.kind = f"{images.dtype} {tuple(images.shape[1:])}"
            self.images.update(images._to_bytes())
            self.labels.update(labels._to_bytes())

    def key(self) -> str:
        if self.fingerprint is not None:
            return f"{self.body} {self.fingerprint}"
        return f"{self.body} {self.kind} {self.images.hexdigest()} {self.labels.hexdigest()}"


def _hash_of_body(model: nn.Module) -> str:
    digest = hashlib.sha256(repr(model).encode())
    head, _ = find_head(model)
    for name, value in model.state_dict().items():
        if not _below(name, head):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
            digest.update(value._to_bytes())
    return digest.hexdigest()


def _read_cache(path: Path) -> dict[str, Any] | None:
    try:
        cached = deeplite.load(path)
    except (FileNotFoundError, RuntimeError):
        return None
    names = {"features", "labels", "key"}
    return cached if isinstance(cached, dict) and set(cached) == names else None
