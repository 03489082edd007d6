"""Architectures, each as its paper describes it, under torchvision's names where it has them.

``models.resnet50(num_classes=10)`` makes a network, and so does ``models.build("resnet50",
num_classes=10)``; ``models.list_models()`` tells what there is.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from deeplite.models.alexnet import *
from deeplite.models.convnext import *
from deeplite.models.densenet import *
from deeplite.models.efficientnet import *
from deeplite.models.fractalnet import *
from deeplite.models.googlenet import *
from deeplite.models.inception import *
from deeplite.models.inception_v4 import *
from deeplite.models.lenet import *
from deeplite.models.mnasnet import *
from deeplite.models.mobilenetv1 import *
from deeplite.models.mobilenetv2 import *
from deeplite.models.mobilenetv3 import *
from deeplite.models.nin import *
from deeplite.models.preact_resnet import *
from deeplite.models.registry import *
from deeplite.models.regnet import *
from deeplite.models.resnet import *
from deeplite.models.shufflenetv2 import *
from deeplite.models.squeezenet import *
from deeplite.models.vgg import *
from deeplite.models.xception import *

if TYPE_CHECKING:
    from deeplite.models import transfer
    from deeplite.models._weights import *
    from deeplite.models.ensemble import *

# What works on models but is none: imported when first touched, and no part of the files that are
# executed over other libraries (_twin.py).
_LAZY = {
    "LoadedKeys": "_weights",
    "load_weights": "_weights",
    "read_state_dict": "_weights",
    "Ensemble": "ensemble",
    "Snapshots": "ensemble",
    "TestTimeAugmentation": "ensemble",
    "crop_views": "ensemble",
    "flip_views": "ensemble",
    "snapshot_lr": "ensemble",
}


def __getattr__(name: str) -> Any:
    if name == "transfer":
        return importlib.import_module("deeplite.models.transfer")
    if name in _LAZY:
        return getattr(importlib.import_module(f"deeplite.models.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
