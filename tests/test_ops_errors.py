"""Bad input to every op: the promised exception, a message that helps, nothing changed."""

from __future__ import annotations

import builtins
import re

import numpy as np
import pytest
from op_cases import Error, Maker, OpCase
from op_testing import lib, rows, seed_of, to_numpy

pytestmark = pytest.mark.skipif(lib.__name__ == "torch", reason="our exceptions, not torch's")


def exception_class(error: Error) -> type[BaseException]:
    if isinstance(error.exception, type):
        return error.exception
    return getattr(lib, error.exception, None) or getattr(builtins, error.exception)


@rows("errors", lambda case: case.errors is not None)
def test_errors(case: OpCase) -> None:
    short = case.name.rpartition(".")[2].strip("_")
    for number, error in enumerate(case.errors()):  # type: ignore[misc]
        what = f"{case.id}{error!r}"
        dtype = "float32" if "float32" in case.dtypes else case.dtypes[0]
        maker = Maker(lib, dtype)
        args, kwargs = maker(error, seed_of(case.id, number))
        before = [to_numpy(t).copy() for t in maker.made]
        function = case.resolve(lib)
        try:
            result = function(*args, **kwargs)
        except exception_class(error) as e:
            message = str(e)
        except Exception as e:
            raise AssertionError(f"{what}: {type(e).__name__} ({e}), not {error.exception}") from e
        else:
            raise AssertionError(f"{what}: returned {result!r}, should raise {error.exception}")
        assert re.search(error.match, message), f"{what}: {message!r} does not match {error.match}"
        if error.names_op:
            assert short in message, f"{what}: the message does not name {short!r}: {message!r}"
        for t, b in zip(maker.made, before, strict=True):
            np.testing.assert_array_equal(to_numpy(t), b, err_msg=f"{what}: input changed")
