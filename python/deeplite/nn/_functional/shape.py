"""Padding, resampling, pixel and channel shuffles."""

from __future__ import annotations

from collections.abc import Sequence

from deeplite import Tensor

from .._core import core


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Adds a border.

    Args:
        input: any shape; the modes other than "constant" pad the last one to three dimensions.
        pad: ``(left, right, top, bottom, ...)``, the last dimension first; negative numbers crop
            (constant and circular modes).
        mode: "constant", "reflect", "replicate" or "circular".
        value: what a constant border holds, 0 by default.

    Raises:
        ShapeError: more padding than the mode or the input allows.
        NotImplementedError: an unknown mode, or a rank that the mode does not take.

    Example:
        >>> F.pad(deeplite.tensor([[1.0, 2.0, 3.0]]), (1, 1), mode="reflect")
        tensor([[2., 1., 2., 3., 2.]])
    """
    return core.pad(input, pad, mode, value)


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """``[*, C r^2, H, W] -> [*, C, H r, W r]`` (Shi et al., 2016).

    Raises:
        ShapeError: the channels are no multiple of ``upscale_factor ** 2``.

    Example:
        >>> tuple(F.pixel_shuffle(deeplite.zeros(1, 8, 3, 3), 2).shape)
        (1, 2, 6, 6)
    """
    return core.pixel_shuffle(input, upscale_factor)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """``[*, C, H r, W r] -> [*, C r^2, H, W]``, the inverse of :func:`pixel_shuffle`.

    Raises:
        ShapeError: height or width is no multiple of ``downscale_factor``.

    Example:
        >>> tuple(F.pixel_unshuffle(deeplite.zeros(1, 2, 6, 6), 2).shape)
        (1, 8, 3, 3)
    """
    return core.pixel_unshuffle(input, downscale_factor)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Deals the channels of ``groups`` groups out in turn (Zhang et al., 2017).

    Shape: input ``[N, C, *]``.

    Raises:
        ShapeError: the channels are no multiple of ``groups``.

    Example:
        >>> F.channel_shuffle(deeplite.arange(4.0).reshape(1, 4, 1), 2).flatten()
        tensor([0., 2., 1., 3.])
    """
    return core.channel_shuffle(input, groups)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 vectors with a 1 at the class and 0 elsewhere.

    Shape: ``[*]`` int64 -> ``[*, num_classes]`` (with -1: one more than the largest class).

    Raises:
        RuntimeError: a class is negative or not below ``num_classes``.

    Example:
        >>> F.one_hot(deeplite.tensor([0, 2]))
        tensor([[1, 0, 0],
                [0, 0, 1]])
    """
    return core.one_hot(tensor, num_classes)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """``x1 . x2 / (max(||x1||, eps) * max(||x2||, eps))`` along ``dim``; shapes broadcast.

    Example:
        >>> F.cosine_similarity(deeplite.tensor([[3.0, 4.0]]), deeplite.tensor([[3.0, 0.0]]))
        tensor([0.6000])
    """
    return core.cosine_similarity(x1, x2, dim, eps)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """``||x1 - x2 + eps||_p`` over the last dimension; shapes broadcast.

    Example:
        >>> F.pairwise_distance(deeplite.tensor([3.0, 4.0]), deeplite.zeros(2))
        tensor(5.0000)
    """
    return core.pairwise_distance(x1, x2, p, eps, keepdim)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of ``weight`` by index.

    Args:
        input: integer indices ``[*]``.
        weight: ``[rows, features]``.
        padding_idx: this row gets no gradient.
        max_norm: rows that are used and have a larger norm are scaled down, in place, first.
        norm_type: the p of that norm.
        scale_grad_by_freq: divide a row's gradient by how often it was used.
        sparse: accepted; gradients are dense.

    Returns:
        ``[*, features]``.

    Raises:
        IndexError: an index is out of range.

    Example:
        >>> F.embedding(deeplite.tensor([1, 0]), deeplite.tensor([[1.0], [2.0]]))
        tensor([[2.],
                [1.]])
    """
    return core.embedding(
        input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
    )


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums, means or maxima of bags of rows of ``weight``.

    Args:
        input: indices ``[B, n]`` (B bags of equal size), or ``[n]`` with ``offsets``.
        weight: ``[rows, features]``.
        offsets: where each bag starts in a 1-d input.
        mode: "sum", "mean" or "max".
        per_sample_weights: factors for the rows (mode "sum").
        include_last_offset: the last offset is the end, not the start of another bag.
        padding_idx: entries of this row do not count.

    Returns:
        ``[B, features]``.

    Raises:
        ValueError: shapes or arguments do not fit together.
        IndexError: an index is out of range.

    Example:
        >>> w = deeplite.tensor([[1.0], [2.0], [4.0]])
        >>> F.embedding_bag(deeplite.tensor([[0, 2]]), w, mode="sum")
        tensor([[5.]])
    """
    return core.embedding_bag(
        input, weight, offsets, max_norm, norm_type, scale_grad_by_freq, mode, sparse,
        per_sample_weights, include_last_offset, padding_idx,
    )  # fmt: skip
