"""Initial values, for the families that set them layer by layer."""

from __future__ import annotations

from collections.abc import Callable

from deeplite import Tensor, nn

__all__ = ["reset_weights"]

Reset = Callable[[Tensor], object]


def reset_weights(
    model: nn.Module,
    conv: Reset | None = None,
    linear: Reset | None = None,
    conv_bias: bool = True,
) -> None:
    """Draws the weights of all 2d convolutions and linear layers anew and sets their biases to
    zero; None leaves that kind of layer as it is. (Norm layers begin with weight 1 and bias 0.)
    ``conv_bias=False`` leaves the biases of convolutions as they are."""
    for m in model.modules():
        is_conv = isinstance(m, nn.Conv2d)
        reset = conv if is_conv else linear if isinstance(m, nn.Linear) else None
        if reset is not None:
            reset(m.weight)  # type: ignore[arg-type]
            if m.bias is not None and (conv_bias or not is_conv):
                nn.init.zeros_(m.bias)  # type: ignore[arg-type]
