"""Exchange with NumPy beyond what the core offers."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _C
from ._C import Tensor


def frombuffer(
    buffer: Any,
    *,
    dtype: Any,
    count: int = -1,
    offset: int = 0,
    requires_grad: bool = False,
) -> Tensor:
    """A 1-d tensor over the memory of a writable `buffer` (bytearray, memoryview, mmap, ...).

    Takes `count` elements (-1: all) from byte `offset` on, without copying. Raises ValueError when
    the buffer is too small, empty, or its size is no multiple of the element size.

    >>> import deeplite as dl
    >>> dl.frombuffer(bytearray(b"\\x01\\x02"), dtype=dl.uint8)
    tensor([1, 2], dtype=deeplite.uint8)
    """
    flat = np.frombuffer(buffer, dtype=np.dtype(dtype.name), count=count, offset=offset)
    return _C.from_numpy(flat).requires_grad_(requires_grad)


def result_type(tensor1: Any, tensor2: Any) -> Any:
    """The dtype an arithmetic op of the two (tensors or numbers) gives.

    >>> import deeplite as dl
    >>> dl.result_type(dl.ones(1, dtype=dl.int32), 1.5)
    deeplite.float32
    """
    first, second = (
        x.flatten()[:0] if isinstance(x, Tensor) and x.dim() else x for x in (tensor1, tensor2)
    )
    if isinstance(first, Tensor) or isinstance(second, Tensor):
        return _C.add(first, second).dtype
    return _C.add(_C.tensor(first), _C.tensor(second)).dtype
