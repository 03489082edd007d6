"""Linear algebra under torch.linalg's names."""

from __future__ import annotations

from ._C import _linalg

globals().update(
    {name: getattr(_linalg, name) for name in dir(_linalg) if not name.startswith("_")}
)
__all__ = sorted(name for name in dir(_linalg) if not name.startswith("_"))  # noqa: PLE0605
