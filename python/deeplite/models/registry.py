"""All architectures by name: what each is called, who makes it, and what is known of it."""

from __future__ import annotations

import difflib
import fnmatch
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from deeplite import nn

__all__ = ["ModelInfo", "build", "get_model", "get_model_builder", "info", "list_models"]

M = TypeVar("M", bound=nn.Module)
Weights = str | os.PathLike[str]


@dataclass(frozen=True)
class ModelInfo:
    """What is known of an architecture without making it.

    Attributes:
        name: the name for :func:`build`.
        family: the file it lives in.
        parameters: how many it has with its defaults.
        multiply_adds: of one image of ``input_size``, in convolutions and linear layers.
        input_size: ``(channels, height, width)`` of the paper.
        paper: authors, title, where to find it.
        builder: the function of that name in ``deeplite.models``.
    """

    name: str
    family: str
    parameters: int
    multiply_adds: int
    input_size: tuple[int, int, int]
    paper: str
    builder: Callable[..., Any]


_models: dict[str, ModelInfo] = {}


def register(
    name: str,
    make: Callable[..., M],
    *,
    family: str,
    parameters: int,
    multiply_adds: int,
    paper: str,
    input_size: tuple[int, int, int] = (3, 224, 224),
) -> Callable[..., M]:
    """Enters an architecture and returns its function, with torchvision's signature.

    ``make`` makes the network from options; ``functools.partial`` of a class holds what sets this
    member of the family apart.
    """
    if name in _models:
        raise ValueError(f"register: there is a model {name!r} already")

    def builder(*, weights: Weights | None = None, progress: bool = True, **options: Any) -> M:
        model = make(**options)
        if weights is not None:
            from deeplite.models._weights import load_weights

            load_weights(model, weights, replace_head="num_classes" in options)
        return model

    made = getattr(make, "func", make).__name__
    builder.__name__ = builder.__qualname__ = name
    builder.__module__ = f"deeplite.models.{family}"
    builder.__doc__ = (
        f"{name}: a :class:`{made}` of {parameters:,} parameters (with {made}'s defaults).\n\n"
        f"{paper}\n\n"
        f"Args:\n"
        f"    weights: a file to load, or None for fresh ones.\n"
        f"    progress: taken for torchvision's sake; nothing is downloaded.\n"
        f"    options: as for :class:`{made}`, num_classes for instance.\n"
    )
    _models[name] = ModelInfo(name, family, parameters, multiply_adds, input_size, paper, builder)
    return builder


def info(name: str) -> ModelInfo:
    """What is known of the architecture ``name``.

    Raises:
        ValueError: there is none of that name; the message lists near ones.

    Example:
        >>> from deeplite import models
        >>> models.info("resnet50").parameters
        25557032
    """
    found = _models.get(name.lower())
    if found is None:
        near = difflib.get_close_matches(name.lower(), _models, n=5, cutoff=0.5)
        hint = f"near ones: {', '.join(near)}" if near else "list_models() lists all"
        raise ValueError(f"models: unknown model {name!r}; {hint}")
    return found


def build(
    name: str, num_classes: int | None = None, weights: Weights | None = None, **options: Any
) -> nn.Module:
    """Makes a network by name.

    Args:
        name: one of :func:`list_models`.
        num_classes: how many scores an image gets; the paper's number when None.
        weights: a file to load (safetensors, or torch's .pth), or None for fresh ones. With
            ``num_classes`` given, a head for another number of classes keeps its fresh values;
            see :func:`load_weights`.
        options: handed to the architecture's class, see there.

    Raises:
        ValueError: there is none of that name; the message lists near ones.
        TypeError: an option that the architecture does not have.

    Example:
        >>> from deeplite import models
        >>> net = models.build("resnet18", num_classes=10)
        >>> tuple(net(deeplite.zeros(1, 3, 64, 64)).shape)
        (1, 10)
        >>> models.build("resnet17")
        Traceback (most recent call last):
            ...
        ValueError: models: unknown model 'resnet17'; near ones: resnet18, ...
    """
    if num_classes is not None:
        options["num_classes"] = num_classes
    return info(name).builder(weights=weights, **options)


def get_model(name: str, **options: Any) -> nn.Module:
    """:func:`build` under torchvision's name."""
    return build(name, **options)


def get_model_builder(name: str) -> Callable[..., nn.Module]:
    """The function that makes the architecture ``name``.

    Raises:
        ValueError: there is none of that name; the message lists near ones.
    """
    return info(name).builder


def list_models(
    family: str | None = None,
    include: str | list[str] | None = None,
    exclude: str | list[str] | None = None,
) -> list[str]:
    """The names of all architectures, or of one family, in alphabetical order.

    Args:
        include: only names that match this pattern (``"resnet*"``), or one of these.
        exclude: no names that match this pattern, or one of these.

    Raises:
        ValueError: there is no such family.

    Example:
        >>> from deeplite import models
        >>> models.list_models(family="vgg", include="*_bn")
        ['vgg11_bn', 'vgg13_bn', 'vgg16_bn', 'vgg19_bn']
    """
    families = sorted({m.family for m in _models.values()})
    if family is not None and family not in families:
        raise ValueError(f"list_models: unknown family {family!r}; there are {', '.join(families)}")

    def matches(name: str, patterns: str | list[str] | None, otherwise: bool) -> bool:
        if patterns is None:
            return otherwise
        several = [patterns] if isinstance(patterns, str) else patterns
        return any(fnmatch.fnmatchcase(name, p) for p in several)

    return sorted(
        m.name
        for m in _models.values()
        if family in (None, m.family)
        and matches(m.name, include, True)
        and not matches(m.name, exclude, False)
    )
