"""Stochastic depth: Huang, Sun, Liu, Sedra and Weinberger, "Deep networks with stochastic depth",
ECCV 2016, arXiv 1603.09382."""

from __future__ import annotations

from deeplite import Tensor, empty, nn

__all__ = ["StochasticDepth", "stochastic_depth"]


def stochastic_depth(input: Tensor, p: float, mode: str, training: bool = True) -> Tensor:
    """Sets a residual branch to zero with probability ``p``; where it stays, it is scaled by
    ``1 / (1 - p)``, so that its expectation is the branch itself. The identity outside training.

    Args:
        input: the output of the branch, ``[N, ...]``.
        mode: "batch" decides once for all samples, "row" for each sample.

    Raises:
        ValueError: ``p`` is not in [0, 1], or an unknown mode.

    Example:
        >>> from deeplite.ops import stochastic_depth
        >>> stochastic_depth(deeplite.ones(2, 3), 1.0, "batch")
        tensor([[0., 0., 0.],
                [0., 0., 0.]])
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"stochastic_depth: p must be between 0 and 1, got {p}")
    if mode not in ("batch", "row"):
        raise ValueError(f"stochastic_depth: mode must be 'batch' or 'row', got {mode!r}")
    if not training or p == 0.0:
        return input
    rows = input.shape[0] if mode == "row" else 1
    shape = [rows] + [1] * (input.dim() - 1)
    keep = empty(shape, dtype=input.dtype, device=input.device).bernoulli_(1.0 - p)
    if p < 1.0:
        keep.div_(1.0 - p)
    return input * keep


class StochasticDepth(nn.Module):
    """:func:`stochastic_depth` as a layer.

    Example:
        >>> from deeplite.ops import StochasticDepth
        >>> StochasticDepth(0.2, "row").eval()(deeplite.ones(2))
        tensor([1., 1.])
    """

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, input: Tensor) -> Tensor:
        return stochastic_depth(input, self.p, self.mode, self.training)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p}, mode={self.mode})"
