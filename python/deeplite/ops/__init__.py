"""Building blocks of vision models, under the names of ``torchvision.ops``."""

from deeplite.ops.misc import (
    Conv2dNormActivation,
    Permute,
    SqueezeExcitation,
    branch_act,
    conv_norm_act,
    norm_act,
)
from deeplite.ops.stochastic_depth import StochasticDepth, stochastic_depth

__all__ = [
    "Conv2dNormActivation",
    "Permute",
    "SqueezeExcitation",
    "StochasticDepth",
    "branch_act",
    "conv_norm_act",
    "norm_act",
    "stochastic_depth",
]
