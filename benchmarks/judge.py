"""Results against float64: a fast wrong answer is no answer.

The rule is the one of the tests: an error against float64 passes when it is at most three times
the peer's own error in the same dtype, or ``c * eps * sqrt(K) * scale`` with K the length of the
longest sum and the scale that of the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np

C = 8.0
EPS = {"float32": 2.0**-23, "float64": 2.0**-52, "bfloat16": 2.0**-7, "float16": 2.0**-10}


def error_of(values: list[np.ndarray], exact: list[np.ndarray]) -> float:
    """Largest error, each result relative to its own scale (its largest finite magnitude)."""
    worst = 0.0
    for value, right in zip(values, exact, strict=True):
        if value.shape != right.shape:
            raise ValueError(f"a result of shape {value.shape} where the judge has {right.shape}")
        right = right.astype(np.float64)
        odd = ~np.isfinite(right)
        if not np.array_equal(odd, ~np.isfinite(value.astype(np.float64))):
            return float("inf")
        if right.size == 0:
            continue
        right = np.where(odd, 0.0, right)
        scale = max(float(np.max(np.abs(right))), 1e-30)
        gap = np.abs(np.where(odd, 0.0, value.astype(np.float64)) - right)
        worst = max(worst, float(np.max(gap)) / scale)
    return worst


def verdict(
    results: dict[str, list[np.ndarray]], exact: list[np.ndarray], terms: int, slack: float = 1.0
) -> dict[str, Any]:
    """Errors of all sides (the first is ours), the bound, and whether ours is within it."""
    errors = {side: error_of(values, exact) for side, values in results.items()}
    first, *others = errors
    dtype = str(results[first][0].dtype)
    bound = C * EPS.get(dtype, 2.0**-23) * max(terms, 1) ** 0.5 * slack
    if others:
        bound = max(bound, 3 * min(errors[o] for o in others))
    return {"errors": errors, "bound": bound, "ok": errors[first] <= bound}
