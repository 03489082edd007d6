"""What ``help()`` says of the native functions.

A native function asks here for its text when somebody reads its ``__doc__``, so that none of it is
loaded or kept before. The signatures in front of the text come from the function itself.
"""

from __future__ import annotations

import importlib

# One module for each family, with a dict DOCS from names to texts. "deeplite" and "dl" are there in
# the examples, and NumPy as "np".
FAMILIES = (
    "creation",
    "elementwise_arithmetic",
    "elementwise_logic",
    "elementwise_math",
    "gemm",
    "index",
    "join",
    "linalg",
    "order",
    "random",
    "reduce",
    "tensor",
    "view",
    "windows",
)


def text(name: str) -> str | None:
    """The text for the function or method ``name``, or None. ``name_`` is described by ``name``
    where it has no text of its own.

    >>> from deeplite import _docs
    >>> _docs.text("exp_").splitlines()[0]
    'Like `exp`, but the result is written into the tensor itself, which is returned.'
    """
    for family in FAMILIES:
        found = importlib.import_module(f"deeplite._docs.{family}").DOCS.get(name)
        if found is not None:
            return str(found)
    base = text(name[:-1]) if name.endswith("_") and not name.startswith("_") else None
    if base is None:
        return None
    return (
        f"Like `{name[:-1]}`, but the result is written into the tensor itself, which is returned."
        f"\n\n{base}"
    )
