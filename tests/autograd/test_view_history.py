"""Gradients through views whose base was written to in place: their history is made anew."""

from __future__ import annotations

import deeplite as dl
import numpy as np
import pytest


@pytest.mark.parametrize(
    "after",
    [lambda v: v * 2, lambda v: v.exp(), lambda v: v.clone(), lambda v: v.view(4) + 1],
)
def test_an_op_on_a_written_view_reaches_what_was_written(after) -> None:
    x = dl.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    base = dl.zeros(4)
    view = base.view(2, 2)
    view.copy_(x)
    (written,) = dl.autograd.grad((after(view).sum(),), (x,))
    y = x.detach().requires_grad_(True)
    (direct,) = dl.autograd.grad((after(y).sum(),), (y,))
    np.testing.assert_allclose(written.numpy(), direct.numpy())


def test_second_derivative_through_a_written_view() -> None:
    x = dl.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    dy = dl.tensor([[5.0, 6.0], [7.0, 8.0]], requires_grad=True)
    y = x.clone()
    y.view(-1).mul_(x.reshape(-1))  # y = x ** 2
    (first,) = dl.autograd.grad((y,), (x,), (dy,), create_graph=True)
    np.testing.assert_allclose(first.detach().numpy(), 2 * (x * dy).detach().numpy())
    by_x, by_dy = dl.autograd.grad((first.sum(),), (x, dy))
    np.testing.assert_allclose(by_x.numpy(), 2 * dy.detach().numpy())
    np.testing.assert_allclose(by_dy.numpy(), 2 * x.detach().numpy())
