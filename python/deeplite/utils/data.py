"""deeplite.data under torch's name; ``deeplite.utils.data`` is that very module."""

from __future__ import annotations

import sys

from deeplite import data

sys.modules[__name__] = data
