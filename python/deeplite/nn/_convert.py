"""How a module's tensors change their dtype or device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, overload

import deeplite
from deeplite import Tensor

T = TypeVar("T", bound="Convertible")


class Convertible:
    """The part of Module that converts and moves."""

    _parameters: dict[str, Any]
    _buffers: dict[str, Any]

    def modules(self) -> Iterator[Any]:
        raise NotImplementedError

    def _apply(self: T, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> T:
        """Replaces every parameter's data, gradient and buffer ``t`` by ``fn(t)``.

        All results are computed before any is stored, so a failure changes nothing.
        """
        steps: list[Callable[[], None]] = []
        done: dict[int, Tensor] = {}
        with deeplite.no_grad():
            for module in self.modules() if recurse else [self]:
                for param in module._parameters.values():
                    if param is not None and id(param) not in done:
                        done[id(param)] = param
                        steps.append(_replacement(param, fn))
                for name, buffer in module._buffers.items():
                    if buffer is not None:
                        if id(buffer) not in done:
                            done[id(buffer)] = fn(buffer)
                        steps.append(_set_item(module._buffers, name, done[id(buffer)]))
        for step in steps:
            step()
        return self

    @overload
    def to(
        self: T,
        device: Any = ...,
        dtype: Any = ...,
        non_blocking: bool = ...,
        *,
        memory_format: Any = ...,
    ) -> T: ...
    @overload
    def to(self: T, dtype: Any, non_blocking: bool = ..., *, memory_format: Any = ...) -> T: ...
    @overload
    def to(self: T, tensor: Tensor, non_blocking: bool = ..., *, memory_format: Any = ...) -> T: ...
    def to(self: T, *args: Any, **kwargs: Any) -> T:
        """Moves all parameters and buffers to a device and/or a floating dtype, in place.

        ``to(device)``, ``to(dtype)``, ``to(device, dtype)`` or ``to(tensor)``. Integer buffers
        change their device only. With ``memory_format`` the parameters and buffers of 4 and 5
        dimensions are laid out anew: ``to(memory_format=deeplite.channels_last)`` is for networks
        of pictures whose input comes in that format.

        Raises:
            TypeError: the dtype is not a floating one, or the arguments make no sense.
            ShapeError: ``channels_last`` with a parameter of 5 dimensions, ``channels_last_3d``
                with one of 4.

        >>> conv = deeplite.nn.Conv2d(3, 8, 5).to(memory_format=deeplite.channels_last)
        >>> conv.weight.stride()
        (75, 1, 15, 3)
        """
        memory_format = kwargs.pop("memory_format", None)
        if memory_format is not None and not isinstance(memory_format, deeplite.memory_format):
            raise TypeError(f"Module.to: expected a memory_format, got {memory_format!r}")
        device, dtype = _parse_to(*args, **kwargs)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"Module.to only accepts floating point dtypes, got {dtype}")

        def convert(t: Tensor) -> Tensor:
            wanted = dtype if dtype is not None and t.is_floating_point() else t.dtype
            layout = memory_format if t.dim() in (4, 5) else None
            return t.to(t.device if device is None else device, wanted, memory_format=layout)

        return self._apply(convert)

    def type(self: T, dst_type: Any) -> T:
        """Converts all parameters and buffers, integer ones too, to ``dst_type``."""
        return self._apply(lambda t: t.to(dst_type))

    def _to_floating(self: T, dtype: Any) -> T:
        return self._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)

    def float(self: T) -> T:
        """All floating parameters and buffers to float32."""
        return self._to_floating(deeplite.float32)

    def double(self: T) -> T:
        """All floating parameters and buffers to float64."""
        return self._to_floating(deeplite.float64)

    def half(self: T) -> T:
        """All floating parameters and buffers to float16."""
        return self._to_floating(deeplite.float16)

    def bfloat16(self: T) -> T:
        """All floating parameters and buffers to bfloat16."""
        return self._to_floating(deeplite.bfloat16)

    def cpu(self: T) -> T:
        """All parameters and buffers to the CPU."""
        return self._apply(lambda t: t.to("cpu"))

    def cuda(self: T, device: Any = None) -> T:
        """All parameters and buffers to a CUDA device."""
        place = "cuda" if device is None else device
        place = f"cuda:{place}" if isinstance(place, int) else place
        return self._apply(lambda t: t.to(place))


def _set_item(table: dict[str, Any], name: str, value: Tensor) -> Callable[[], None]:
    def step() -> None:
        table[name] = value

    return step


def _replacement(param: Tensor, fn: Callable[[Tensor], Tensor]) -> Callable[[], None]:
    """Applies ``fn`` to a parameter and its gradient; the returned call stores the results."""
    data = fn(param.detach())
    grad = None if param.grad is None else fn(param.grad.detach())

    def step() -> None:
        param.grad = None
        param.data = data
        if grad is not None:
            param.grad = grad

    return step


def _parse_to(
    *args: Any,
    device: Any = None,
    dtype: Any = None,
    non_blocking: bool = False,
    tensor: Tensor | None = None,
) -> tuple[Any, Any]:
    for arg in args:
        if isinstance(arg, Tensor):
            tensor = arg
        elif isinstance(arg, deeplite.dtype):
            dtype = arg
        elif isinstance(arg, (str, int, deeplite.device)) and not isinstance(arg, bool):
            device = arg
        elif arg is not None and not isinstance(arg, bool):
            raise TypeError(f"Module.to: got {arg!r}, expected a device, a dtype or a Tensor")
    if tensor is not None:
        return tensor.device, tensor.dtype
    return device, dtype
