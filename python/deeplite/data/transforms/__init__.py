"""Preparing and augmenting pictures, under the names of ``torchvision.transforms``.

Pictures are arrays ``[H, W, C]`` (or Pillow images) until :class:`ToTensor`, tensors ``[C, H, W]``
after it; most transforms take both. The pixels are worked on by the core without the interpreter's
lock, so that the threads of a DataLoader augment side by side.
"""

from __future__ import annotations

from . import functional
from .augment import *
from .basic import *
from .batch import *
from .functional import InterpolationMode
