"""The layers under the paths of ``torch.nn.modules`` (``nn.modules.batchnorm._BatchNorm``, say)."""

from __future__ import annotations

import sys

from .. import (
    activation,
    batchnorm,
    container,
    conv,
    distance,
    dropout,
    linear,
    loss,
    module,
    normalization,
    padding,
    pooling,
    sparse,
)
from ..module import Module

instancenorm = batchnorm

for _name in (
    "activation batchnorm container conv distance dropout instancenorm linear loss module "
    "normalization padding pooling sparse"
).split():
    sys.modules[f"{__name__}.{_name}"] = globals()[_name]
