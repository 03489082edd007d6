"""Several answers in place of one: ensembles of models and of snapshots, and several views of one
picture (test-time augmentation)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence

import deeplite
from deeplite import Tensor, nn
from deeplite.data.transforms import functional as T

__all__ = [
    "Ensemble", "Snapshots", "TestTimeAugmentation", "crop_views", "flip_views", "snapshot_lr",
]  # fmt: skip


def _mean_probability(scores: Sequence[Tensor]) -> Tensor:
    """``log(mean_i softmax(scores_i))``: scores again, whose softmax is the mean probability."""
    logs = deeplite.stack([nn.functional.log_softmax(s, 1) for s in scores])
    return deeplite.logsumexp(logs, 0) - math.log(len(scores))


class Ensemble(nn.Module):
    """The mean of the probabilities of several models, as scores (their logarithm).

    Args:
        members: models that give scores ``[N, classes]``.

    Example:
        >>> from deeplite import models
        >>> one, two = nn.Linear(2, 3), nn.Linear(2, 3)
        >>> x = deeplite.ones(1, 2)
        >>> mean = (one(x).softmax(1) + two(x).softmax(1)) / 2
        >>> deeplite.allclose(models.Ensemble([one, two])(x).exp(), mean)
        True
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        if not len(self.members):
            raise ValueError("Ensemble: no members")

    def forward(self, x: Tensor) -> Tensor:
        return _mean_probability([member(x) for member in self.members])


class Snapshots:
    """Models of one training run, taken where the learning rate has come down (Huang et al.,
    "Snapshot ensembles: train 1, get M for free", 2017).

    Args:
        keep: how many of the last ones are kept.

    Example:
        >>> from deeplite import models
        >>> snapshots = models.Snapshots(keep=2)
        >>> for _ in range(3):
        ...     snapshots.add(nn.Linear(2, 2))
        >>> len(snapshots.ensemble().members)
        2
    """

    def __init__(self, keep: int = 5) -> None:
        if keep < 1:
            raise ValueError(f"Snapshots: keep must be positive, got {keep}")
        self.keep, self.models = keep, list[nn.Module]()

    def add(self, model: nn.Module) -> None:
        """Takes a copy of the model as it is now."""
        self.models = [*self.models, copy.deepcopy(model).eval()][-self.keep :]

    def ensemble(self) -> Ensemble:
        """The ensemble of what has been taken, in evaluation mode."""
        return Ensemble(self.models).eval()


def snapshot_lr(steps: int, cycles: int) -> Callable[[int], float]:
    """The factor on the rate at each of ``steps``: half a cosine from 1 towards 0 in each of
    ``cycles``. For ``lr_scheduler.LambdaLR``; a snapshot is due where it starts again.

    Example:
        >>> from deeplite import models
        >>> factor = models.snapshot_lr(100, 2)
        >>> [round(factor(i), 3) for i in (0, 25, 49, 50)]
        [1.0, 0.5, 0.001, 1.0]
    """
    if not 1 <= cycles <= steps:
        raise ValueError(f"snapshot_lr: {cycles} cycles in {steps} steps")
    length = math.ceil(steps / cycles)
    return lambda step: 0.5 * (1 + math.cos(math.pi * (step % length) / length))


Views = Callable[[Tensor], Sequence[Tensor]]


def flip_views(x: Tensor) -> Sequence[Tensor]:
    """A batch ``[N, C, H, W]`` and its mirror image."""
    return x, T.hflip(x)


def crop_views(size: int | Sequence[int], flip: bool = True) -> Views:
    """Corners and middle of a batch, ``[N, C, *size]`` each, and their mirror images (the ten crops
    of AlexNet)."""
    return lambda x: T.ten_crop(x, size) if flip else T.five_crop(x, size)


class TestTimeAugmentation(nn.Module):
    """The mean of a model's probabilities over several views of each picture, as scores.

    Args:
        model: gives scores ``[N, classes]``.
        views: a batch ``[N, C, H, W]`` to several batches: :func:`flip_views`,
            :func:`crop_views`, or any function.

    Example:
        >>> from deeplite import models
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
        >>> model = models.TestTimeAugmentation(net, models.crop_views(4))
        >>> model(deeplite.rand(2, 1, 8, 8)).shape
        deeplite.Size([2, 3])
    """

    __test__ = False  # pytest: no class of tests

    def __init__(self, model: nn.Module, views: Views = flip_views) -> None:
        super().__init__()
        self.model, self.views = model, views

    def forward(self, x: Tensor) -> Tensor:
        return _mean_probability([self.model(view) for view in self.views(x)])
