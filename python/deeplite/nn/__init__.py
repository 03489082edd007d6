"""Layers and networks, under the names of ``torch.nn``."""

from __future__ import annotations

from . import functional, init, modules, utils
from .activation import *
from .batchnorm import *
from .container import *
from .conv import *
from .distance import *
from .dropout import *
from .linear import *
from .loss import *
from .module import Module
from .normalization import *
from .padding import *
from .parameter import Buffer, Parameter
from .pooling import *
from .shape import *
from .sparse import *
