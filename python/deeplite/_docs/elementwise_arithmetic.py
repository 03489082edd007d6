"""Functions of two or three numbers, element by element."""

DOCS = {
    "add": """input + alpha * other. Operands broadcast, and their types promote.

>>> dl.add(dl.tensor([1.0, 2.0]), 10)
tensor([11., 12.])
>>> dl.add(dl.tensor([1.0]), dl.tensor([2.0]), alpha=3)
tensor([7.])
""",
    "addcdiv": """input + value * tensor1 / tensor2. The shapes broadcast.

Raises RuntimeError when all are integers.

>>> dl.addcdiv(dl.tensor([1.0]), dl.tensor([3.0]), dl.tensor([2.0]), value=10)
tensor([16.])
""",
    "addcmul": """input + value * tensor1 * tensor2. The shapes broadcast.

>>> dl.addcmul(dl.tensor([1.0]), dl.tensor([3.0]), dl.tensor([2.0]), value=10)
tensor([61.])
""",
    "bitwise_and": """The bits that are set in both operands; logical "and" for booleans. For
integers and booleans; operands broadcast.

>>> dl.tensor([12, 10]).bitwise_and(6)
tensor([4, 2])
""",
    "bitwise_left_shift": """The bits moved to the left by other places: input * 2^other. For
integers and booleans; operands broadcast.

>>> dl.tensor([1, 3]).bitwise_left_shift(2)
tensor([ 4, 12])
""",
    "bitwise_not": """All bits turned over; logical "not" for booleans. For integers and
booleans; operands broadcast.

>>> dl.tensor([0, 5]).bitwise_not()
tensor([-1, -6])
""",
    "bitwise_or": """The bits that are set in either operand; logical "or" for booleans. For
integers and booleans; operands broadcast.

>>> dl.tensor([12, 10]).bitwise_or(1)
tensor([13, 11])
""",
    "bitwise_right_shift": """The bits moved to the right by other places; the sign stays. For
integers and booleans; operands broadcast.

>>> dl.tensor([8, -8]).bitwise_right_shift(1)
tensor([ 4, -4])
""",
    "bitwise_xor": """The bits that are set in just one operand; logical "xor" for booleans.
For integers and booleans; operands broadcast.

>>> dl.tensor([12, 10]).bitwise_xor(6)
tensor([10, 12])
""",
    "clamp": """min where x is less, max where it is more, else x. Either limit may be None, a
number or a tensor; if min is more than max, the result is max. NaN stays.

>>> dl.tensor([-2.0, 0.5, 3.0]).clamp(-1, 1)
tensor([-1.0000,  0.5000,  1.0000])
""",
    "clamp_max": """min(x, max), element by element. NaN stays.

>>> dl.tensor([0.5, 3.0]).clamp_max(1)
tensor([0.5000, 1.0000])
""",
    "clamp_min": """max(x, min), element by element. NaN stays.

>>> dl.tensor([-2.0, 0.5]).clamp_min(0)
tensor([0.0000, 0.5000])
""",
    "copysign": """The absolute value of input with the sign of other (-0.0 counts as
negative). Operands broadcast, and their types promote.

>>> dl.copysign(dl.tensor([1.0, -2.0]), dl.tensor([-1.0, 1.0]))
tensor([-1.,  2.])
""",
    "div": """input / other: the quotient as a floating-point number, or with rounding_mode
"trunc" or "floor" rounded towards zero or down. Operands broadcast, and their types
promote.

Raises RuntimeError for another rounding_mode, ZeroDivisionError semantics are IEEE's: x / 0
is infinite.

>>> dl.tensor([7.0, -7.0]).div(2)
tensor([ 3.5000, -3.5000])
>>> dl.tensor([7, -7]).div(2, rounding_mode="floor")
tensor([ 3, -4])
""",
    "float_power": """Power, computed in float64. Operands broadcast, and their types promote.

>>> dl.tensor([2, 3]).float_power(2)
tensor([4., 9.], dtype=deeplite.float64)
""",
    "floor_divide": """The quotient rounded down. Operands broadcast, and their types promote.

>>> dl.tensor([7, -7]).floor_divide(2)
tensor([ 3, -4])
""",
    "fmax": """The greater element; where one of them is NaN, the other. Operands broadcast,
and their types promote.

>>> dl.fmax(dl.tensor([1.0, float("nan")]), dl.tensor([2.0, 3.0]))
tensor([2., 3.])
""",
    "fmin": """The lesser element; where one of them is NaN, the other. Operands broadcast, and
their types promote.

>>> dl.fmin(dl.tensor([1.0, float("nan")]), dl.tensor([2.0, 3.0]))
tensor([1., 3.])
""",
    "fmod": """Remainder of the quotient rounded towards zero: it has the sign of input.
Operands broadcast, and their types promote.

>>> dl.tensor([7.0, -7.0]).fmod(3)
tensor([ 1., -1.])
""",
    "gcd": """Greatest common divisor, never negative. For integers and booleans; operands
broadcast.

>>> dl.tensor([12, -9]).gcd(dl.tensor([18, 6]))
tensor([6, 3])
""",
    "heaviside": """0 where input is negative, 1 where it is positive, values where it is 0.

>>> dl.heaviside(dl.tensor([-1.0, 0.0, 2.0]), dl.tensor([0.5]))
tensor([0.0000, 0.5000, 1.0000])
""",
    "hypot": """sqrt(input^2 + other^2). Operands broadcast, and their types promote.

>>> dl.hypot(dl.tensor([3.0]), dl.tensor([4.0]))
tensor([5.])
""",
    "lcm": """Least common multiple, never negative. For integers and booleans; operands
broadcast.

>>> dl.tensor([4, 6]).lcm(dl.tensor([6, 9]))
tensor([12, 18])
""",
    "ldexp": """input * 2^other. Operands broadcast, and their types promote.

>>> dl.ldexp(dl.tensor([1.5]), dl.tensor([3]))
tensor([12.])
""",
    "lerp": """input + weight * (end - input): the way from input (weight 0) to end (weight 1).
The shapes broadcast.

>>> dl.lerp(dl.tensor([0.0]), dl.tensor([10.0]), 0.3)
tensor([3.])
""",
    "logaddexp": """ln(exp(input) + exp(other)) without overflow. Operands broadcast, and their
types promote.

>>> dl.logaddexp(dl.tensor([1000.0]), dl.tensor([1000.0]))
tensor([1000.6932])
""",
    "logaddexp2": """log2(2^input + 2^other) without overflow. Operands broadcast, and their
types promote.

>>> dl.logaddexp2(dl.tensor([2.0]), dl.tensor([2.0]))
tensor([3.])
""",
    "maximum": """The greater element; NaN if one of them is NaN. Equal ones share the
gradient. Operands broadcast, and their types promote.

>>> dl.maximum(dl.tensor([1.0, 5.0]), dl.tensor([2.0, 3.0]))
tensor([2., 5.])
""",
    "minimum": """The lesser element; NaN if one of them is NaN. Equal ones share the gradient.
Operands broadcast, and their types promote.

>>> dl.minimum(dl.tensor([1.0, 5.0]), dl.tensor([2.0, 3.0]))
tensor([1., 3.])
""",
    "mul": """input times other. Operands broadcast, and their types promote.

>>> dl.tensor([1.0, 2.0]).mul(10)
tensor([10., 20.])
""",
    "nextafter": """The floating-point number next to input on the way to other. Operands
broadcast, and their types promote.

>>> dl.nextafter(dl.tensor([1.0]), dl.tensor([2.0])) > 1
tensor([True])
""",
    "pow": """input to the power of exponent; either may be a number. NaN for a negative base
with an exponent that is no integer. Operands broadcast, and their types promote.

Raises RuntimeError for integers to negative integer powers.

>>> dl.tensor([2.0, 3.0]).pow(2)
tensor([4., 9.])
>>> dl.pow(2, dl.tensor([1.0, 3.0]))
tensor([2., 8.])
""",
    "remainder": """Remainder of the quotient rounded down: it has the sign of other, as
Python's %. Operands broadcast, and their types promote.

>>> dl.tensor([7.0, -7.0]).remainder(3)
tensor([1., 2.])
""",
    "rsub": """other - alpha * input. Operands broadcast, and their types promote.

>>> dl.rsub(dl.tensor([1.0, 2.0]), 10)
tensor([9., 8.])
""",
    "sub": """input - alpha * other. Operands broadcast, and their types promote.

Raises RuntimeError for booleans.

>>> dl.tensor([1.0, 2.0]).sub(dl.tensor([0.5]))
tensor([0.5000, 1.5000])
""",
    "xlogy": """input * ln(other), and 0 where input is 0 (unless other is NaN). Operands
broadcast, and their types promote.

>>> dl.xlogy(dl.tensor([0.0, 2.0]), dl.tensor([0.0, 1.0]))
tensor([0., 0.])
""",
}
