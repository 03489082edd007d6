"""Convolution layers of well-known networks: forward, input gradient, weight gradient.

torch may keep its tensors in its own order or in `channels_last`; we are compared with the faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.layers_conv import LAYERS, ConvLayer
from benchmarks.library import Library
from benchmarks.runner import time_all
from benchmarks.suites.gradient import backward_of
from benchmarks.work import Call, Options, Work

BATCHES = (1, 8)
PASSES = ("forward", "input gradient", "weight gradient")
# Winograd's F(4x4, 3x3), which the library may choose by itself for windows of several taps, has a
# larger error than a sum of products (docs/numerics.md has the bounds); this is its factor.
WINOGRAD_SLACK = 4.0


def kind(layer: ConvLayer) -> str:
    """The group a layer is summed up in: what its shape asks of an implementation."""
    if layer.transposed:
        return "transposed"
    if len(layer.size) != 2:
        return f"{len(layer.size)}d"
    if layer.groups == layer.channels:
        return "depthwise"
    if layer.groups > 1:
        return "grouped"
    if max(layer.dilation) > 1:
        return "dilated"
    if max(layer.kernel) == 1:
        return "1x1"
    if layer.channels <= 4:
        return "first layer"
    if layer.kernel == (3, 3) and layer.stride == (1, 1):
        return "3x3"
    return "other"


def make(layer: ConvLayer, batch: int, which: str, last: bool, library: Library) -> Call:
    """`last`: tensors in channels_last order (torch only)."""
    rng = np.random.default_rng(7)
    inner = layer.channels // layer.groups
    filters = (layer.filters, inner, *layer.kernel)
    if layer.transposed:
        filters = (layer.channels, layer.filters // layer.groups, *layer.kernel)
    scale = (inner * np.prod(layer.kernel)) ** -0.5
    x_data = rng.standard_normal((batch, layer.channels, *layer.size)).astype(np.float32)
    w_data = (rng.standard_normal(filters) * scale).astype(np.float32)
    order = library.module.channels_last if last else None

    def tensor(data: np.ndarray, grad: bool) -> Any:
        t = library.tensor(data)
        t = t.contiguous(memory_format=order) if last else t
        return t.requires_grad_() if grad else t

    x = tensor(x_data, which == "input gradient")
    w = tensor(w_data, which == "weight gradient")
    name = f"conv{'_transpose' if layer.transposed else ''}{len(layer.size)}d"
    function = getattr(library.functional, name)
    more = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
    call = partial(function, x, w, None, groups=layer.groups, **more)
    if which == "forward":
        return call
    return backward_of(library, call(), [x if which == "input gradient" else w], order)


def terms(layer: ConvLayer, batch: int, which: str) -> int:
    """Length of the sums of one pass."""
    window = int(np.prod(layer.kernel))
    if which == "weight gradient":
        return batch * int(np.prod(layer.size if layer.transposed else layer.output))
    forward = (which == "forward") != layer.transposed
    return (layer.channels if forward else layer.filters) * window // layer.groups


def work(layer: ConvLayer, batch: int, which: str) -> Work:
    making: Callable[[bool], Any] = partial(partial, make, layer, batch, which)
    sizes = layer.channels * np.prod(layer.size) + layer.filters * np.prod(layer.output)
    weights = layer.channels * layer.filters // layer.groups * np.prod(layer.kernel)
    winograd = max(layer.kernel) > 1 and kind(layer) != "depthwise"
    return Work(
        f"{layer.network} {layer.name}, batch {batch}, {which}",
        f"{kind(layer)}, {which}",
        making(False),
        {"channels_last": making(True)} if len(layer.size) == 2 else {},
        flops=float(layer.flops(batch)),
        traffic=float(4 * (batch * sizes + weights)),
        terms=terms(layer, batch, which),
        slack=WINOGRAD_SLACK if winograd else 1.0,
    )


def works(options: Options) -> list[Work]:
    batches = options.batches or BATCHES
    return [work(layer, b, p) for layer in LAYERS for b in batches for p in PASSES]


def rows(options: Options) -> Iterator[dict[str, Any]]:
    return time_all(works(options), options)
