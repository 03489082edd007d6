"""How a tensor prints: torch's layout, number formats and summaries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from . import _C


@dataclass
class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_options = _Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Sets how tensors print: digits after the point, number of elements above which a tensor is
    summarized, elements shown at each end then, line width, scientific notation (None: by need).
    `profile` is "default", "short" or "full"."""
    if profile is not None:
        values = {
            "default": (4, 1000, 3, 80),
            "short": (2, 1000, 2, 80),
            "full": (4, math.inf, 3, 80),
        }
        if profile not in values:
            raise ValueError(f"set_printoptions: unknown profile {profile!r}")
        _options.precision, _options.threshold, _options.edgeitems, _options.linewidth = values[
            profile
        ]
    for name, value in (
        ("precision", precision),
        ("threshold", threshold),
        ("edgeitems", edgeitems),
        ("linewidth", linewidth),
    ):
        if value is not None:
            setattr(_options, name, value)
    _options.sci_mode = sci_mode


class _Formatter:
    """One number format for all elements of a tensor, chosen from those that will be shown."""

    def __init__(self, values: list[Any], dtype: Any) -> None:
        self.floating = dtype.is_floating_point
        self.int_mode = True
        self.sci_mode = False
        self.width = 1
        if not self.floating:
            self.width = max((len(str(v)) for v in values), default=1)
            return
        finite = [abs(v) for v in values if math.isfinite(v) and v != 0]
        if not finite:
            return
        low, high = min(finite), max(finite)
        self.int_mode = all(v == math.ceil(v) for v in finite)
        if self.int_mode:
            self.sci_mode = high / low > 1000.0 or high > 1.0e8
        else:
            self.sci_mode = high / low > 1000.0 or high > 1.0e8 or low < 1.0e-4
        if _options.sci_mode is not None:
            self.sci_mode = _options.sci_mode
        # Zeros, inf and nan do not widen the columns, in torch either.
        self.width = max(len(self.format(v)) for v in values if math.isfinite(v) and v != 0)

    def format(self, value: Any) -> str:
        if not self.floating:
            return str(value)
        if self.sci_mode:
            return f"{value:.{_options.precision}e}"
        if self.int_mode:
            text = f"{value:.0f}"
            return text if math.isnan(value) or math.isinf(value) else text + "."
        return f"{value:.{_options.precision}f}"

    def padded(self, value: Any) -> str:
        return self.format(value).rjust(self.width)


def _edges(n: int, summarize: bool) -> list[int | None]:
    """Indices shown along a dimension of size n; None stands for '...'."""
    e = _options.edgeitems
    if not summarize or n <= 2 * e:
        return list(range(n))
    return [*range(e), None, *range(n - e, n)]


def _shown(data: Any, summarize: bool) -> list[Any]:
    if not isinstance(data, list):
        return [data]
    return [
        v for i in _edges(len(data), summarize) if i is not None for v in _shown(data[i], summarize)
    ]


def _vector(data: list[Any], indent: int, formatter: _Formatter, summarize: bool) -> str:
    per_line = max(1, (_options.linewidth - indent) // (formatter.width + 2))
    cells = [
        " ..." if i is None else formatter.padded(data[i]) for i in _edges(len(data), summarize)
    ]
    lines = [", ".join(cells[k : k + per_line]) for k in range(0, len(cells), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _nested(data: Any, dim: int, indent: int, formatter: _Formatter, summarize: bool) -> str:
    if dim == 0:
        return formatter.padded(data)
    if dim == 1:
        return _vector(data, indent, formatter, summarize)
    slices = [
        "..." if i is None else _nested(data[i], dim - 1, indent + 1, formatter, summarize)
        for i in _edges(len(data), summarize)
    ]
    separator = "," + "\n" * (dim - 1) + " " * (indent + 1)
    return "[" + separator.join(slices) + "]"


def tensor_str(self: Any) -> str:
    """``repr`` of a tensor."""
    prefix = "Parameter containing:\n" if type(self).__name__ == "Parameter" else ""
    x = self.detach()
    suffixes = []
    if self.device.type != "cpu":
        suffixes.append(f"device='{self.device}'")
        x = x.cpu()
    default = _C.get_default_dtype()
    implied = self.dtype in (default, _C.int64, _C.bool)
    if self.numel() == 0:
        if self.dim() != 1:
            suffixes.append(f"size={tuple(self.shape)}")
        if self.dtype != default:
            suffixes.append(f"dtype={self.dtype}")
        body = "[]"
    else:
        if not implied:
            suffixes.append(f"dtype={self.dtype}")
        summarize = self.numel() > _options.threshold
        if summarize:
            x = _corners(x)
        data = x.float().tolist() if x.dtype in (_C.float16, _C.bfloat16) else x.tolist()
        formatter = _Formatter(_shown(data, summarize), self.dtype)
        body = _nested(data, self.dim(), len("tensor("), formatter, summarize)
    if self.grad_fn is not None:
        suffixes.append(f"grad_fn=<{self.grad_fn.name()}>")
    elif self.requires_grad:
        suffixes.append("requires_grad=True")
    return prefix + _join("tensor(" + body, suffixes)


def _corners(x: Any) -> Any:
    """x without what a summary leaves out (one more element stays, so that '...' still shows)."""
    e = _options.edgeitems
    for d in range(x.dim()):
        n = x.shape[d]
        if n > 2 * e + 1:
            x = _C.cat([x.narrow(d, 0, e + 1), x.narrow(d, n - e, e)], d)
    return x


def _join(text: str, suffixes: list[str]) -> str:
    last = len(text) - text.rfind("\n") - 1 if "\n" in text else len(text)
    for suffix in suffixes:
        if last + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * len("tensor(") + suffix
            last = len("tensor(") + len(suffix)
        else:
            text += ", " + suffix
            last += len(suffix) + 2
    return text + ")"
