"""What automatic differentiation offers: gradients, gradients of gradients, rules of your own."""

from __future__ import annotations

import deeplite as dl

# Gradients of anything that is computed with tensors.
x = dl.tensor([1.0, 2.0, 3.0], requires_grad=True)
y = (x.sin() * x).sum()
y.backward()
print("gradient            ", x.grad)
print("cos(x) x + sin(x)   ", x.detach().cos() * x.detach() + x.detach().sin())

# Gradients of gradients: Newton's method finds the minimum of a polynomial in a few steps.
t = dl.tensor(2.0, dtype=dl.float64, requires_grad=True)
for _ in range(8):
    f = t**4 - 3 * t**3 + 2
    (slope,) = dl.autograd.grad(f, t, create_graph=True)
    (curvature,) = dl.autograd.grad(slope, t)
    with dl.no_grad():
        t -= slope / curvature
print("minimum at 9/4      ", t.item())


# A rule of our own: round in the forward pass, identity in the backward one.
class RoundThrough(dl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, dy):
        return dy


w = dl.tensor([0.4, 1.6], requires_grad=True)
RoundThrough.apply(w * 3).sum().backward()
print("straight through    ", w.grad)

# The graph behind a result, recorded and replayed on other numbers.
graph = dl.capture(lambda v: (v * v).sum().sqrt(), dl.zeros(2))
print(graph)
print("length of (3, 4)    ", graph(dl.tensor([3.0, 4.0])).item())
