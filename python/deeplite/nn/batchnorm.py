"""Batch and instance normalisation: layers with (optional) running statistics."""

from __future__ import annotations

from typing import Any

import deeplite
from deeplite import Tensor

from . import functional as F
from . import init
from ._joining import End, Joined, followers
from .activation import cut_of
from .module import Module
from .parameter import Parameter

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
]


class _NormBase(Module):
    """Weight and bias for each channel, and running statistics."""

    # Version 2 has num_batches_tracked; an older state_dict lacks it.
    _version = 2
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
        bias: bool,
    ) -> None:
        super().__init__()
        if num_features < 0:
            raise ValueError(
                f"{type(self).__name__}: num_features must not be negative, got {num_features}"
            )
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        place = {"device": device, "dtype": dtype}
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            param = Parameter(deeplite.empty(num_features, **place)) if wanted else None
            self.register_parameter(name, param)
        if track_running_stats:
            self.register_buffer("running_mean", deeplite.zeros(num_features, **place))
            self.register_buffer("running_var", deeplite.ones(num_features, **place))
            count = deeplite.tensor(0, dtype=deeplite.int64, device=device)
            self.register_buffer("num_batches_tracked", count)
        else:
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                self.register_buffer(name, None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Sets the running mean to 0, the running variance to 1 and the count to 0."""
        if self.track_running_stats:
            assert self.running_mean is not None and self.running_var is not None
            assert self.num_batches_tracked is not None
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Sets the statistics back, the weight to 1 and the bias to 0."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check_input_dim(self, input: Tensor) -> None:
        raise NotImplementedError

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_NormBase):
    _joins_next = True
    _ranks: tuple[int, ...]  # of inputs

    def _check_input_dim(self, input: Tensor) -> None:
        _check_rank(self, input, self._ranks)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        key = prefix + "num_batches_tracked"
        if local_metadata.get("version", 1) < 2 and self.track_running_stats:
            if key not in state_dict and self.num_batches_tracked is not None:
                state_dict[key] = deeplite.tensor(0, dtype=deeplite.int64)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def followed_by(
        self, activation: Any, input: Tensor, residual: Tensor | None = None
    ) -> Tensor | None:
        """``activation(self(input) + residual)`` in one pass over memory, forward and backward
        (:func:`deeplite.nn.functional.fused_batch_norm`), or None where the layers have to be
        called one by one: the activation (a layer, a function of these names, or None) is not
        ReLU, ReLU6 or Hardtanh, or one of them is hooked.

        Raises:
            ShapeError, TypeError: the residual is not like the input.

        Example:
            >>> norm = nn.BatchNorm1d(1, affine=False)
            >>> norm.followed_by(nn.ReLU(), deeplite.tensor([[1.0], [3.0]]))
            tensor([[0.0000],
                    [1.0000]])
            >>> norm.followed_by(nn.Tanh(), deeplite.zeros(2, 1)) is None
            True
        """
        cut = cut_of(activation)
        if cut is None or not self._is_plain(_BatchNorm.forward):
            return None
        return self(input, cut, residual)

    def _joined(self, layers: Any, i: int, input: Any, end: End | None) -> Joined | None:
        activation, residual, used, ended = followers(layers, i + 1, end)
        if activation is None and residual is None:
            return None
        y = self.followed_by(activation, input, residual)
        return None if y is None else (y, 1 + used, ended)

    def _as_finish(self, rank: int) -> tuple[Any, ...] | None:
        """running_mean, running_var, norm_weight, norm_bias and eps for
        :func:`deeplite.nn.functional.fused_conv` in evaluation; None where that is not what a call
        computes of a tensor of this rank."""
        if self.training or rank not in self._ranks or not self._is_plain(_BatchNorm.forward):
            return None
        mean, var = self.running_mean, self.running_var
        if mean is None or var is None:
            return None
        return mean, var, self.weight, self.bias, self.eps

    def forward(
        self,
        input: Tensor,
        _cut: tuple[float, float | None] | None = None,
        _residual: Tensor | None = None,
    ) -> Tensor:
        self._check_input_dim(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        counted = self.num_batches_tracked if self.training else None
        if counted is not None and self.momentum is None:
            momentum = 1.0 / (float(counted) + 1)  # a plain average over all batches so far
        # Without running statistics evaluation too uses the batch's.
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        update = not self.training or self.track_running_stats
        arguments = (
            input,
            self.running_mean if update else None,
            self.running_var if update else None,
            self.weight,
            self.bias,
            by_batch,
            momentum,
            self.eps,
        )
        if _cut is None:
            result = F.batch_norm(*arguments)
        else:
            result = F.fused_batch_norm(*arguments, _residual, *_cut)
        if counted is not None:
            counted.add_(1)  # last: a call that fails counts nothing
        return result


def _check_rank(layer: Module, input: Tensor, allowed: tuple[int, ...]) -> None:
    if input.dim() not in allowed:
        wanted = " or ".join(f"{n}-d" for n in allowed)
        raise ValueError(
            f"{type(layer).__name__}: expected {wanted} input, got {input.dim()}-d of shape "
            f"{tuple(input.shape)}"
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of ``[N, C]`` or ``[N, C, L]``; see :class:`BatchNorm2d`.

    Example:
        >>> tuple(nn.BatchNorm1d(3)(deeplite.ones(2, 3)).shape)
        (2, 3)
    """

    _ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of ``[N, C, H, W]`` (Ioffe and Szegedy, 2015).

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: how fast the running statistics follow; None averages all batches.
        affine: whether there are a weight and a bias, ``[C]``.
        track_running_stats: whether there are running statistics, used in evaluation.

    Raises:
        ValueError: an input of another rank, or training with one value for each channel.

    Example:
        >>> tuple(nn.BatchNorm2d(3)(deeplite.ones(2, 3, 4, 4)).shape)
        (2, 3, 4, 4)
    """

    _ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of ``[N, C, D, H, W]``; see :class:`BatchNorm2d`.

    Example:
        >>> tuple(nn.BatchNorm3d(3)(deeplite.ones(2, 3, 2, 2, 2)).shape)
        (2, 3, 2, 2, 2)
    """

    _ranks = (5,)


class _InstanceNorm(_NormBase):
    _ndim: int

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    def _check_input_dim(self, input: Tensor) -> None:
        _check_rank(self, input, (self._ndim + 1, self._ndim + 2))

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        batched = input.dim() == self._ndim + 2
        channels = input.shape[1 if batched else 0]
        if channels != self.num_features and self.affine:
            raise ValueError(
                f"{type(self).__name__}: expected {self.num_features} channels, got {channels} "
                f"in input of shape {tuple(input.shape)}"
            )
        result = F.instance_norm(
            input if batched else input.unsqueeze(0),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return result if batched else result.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of ``[N, C, L]`` or ``[C, L]``; see :class:`InstanceNorm2d`.

    Example:
        >>> nn.InstanceNorm1d(1)(deeplite.tensor([[[1.0, 3.0]]]))
        tensor([[[-1.0000,  1.0000]]])
    """

    _ndim = 1


class InstanceNorm2d(_InstanceNorm):
    """Normalises each channel of each sample of ``[N, C, H, W]`` or ``[C, H, W]``
    (Ulyanov et al., 2016). By default it has neither weights nor running statistics.

    Raises:
        ValueError: an input of another rank or, with ``affine``, of other channels.

    Example:
        >>> tuple(nn.InstanceNorm2d(3)(deeplite.ones(2, 3, 4, 4)).shape)
        (2, 3, 4, 4)
    """

    _ndim = 2


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of ``[N, C, D, H, W]`` or ``[C, D, H, W]``; see
    :class:`InstanceNorm2d`.

    Example:
        >>> tuple(nn.InstanceNorm3d(3)(deeplite.ones(2, 3, 2, 2, 2)).shape)
        (2, 3, 2, 2, 2)
    """

    _ndim = 3
