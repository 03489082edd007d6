"""Functions of one number, element by element."""

DOCS = {
    "abs": """Absolute value of each element. Shape and dtype stay; its gradient at 0 is 0.

>>> dl.tensor([-1.5, 2.0]).abs()
tensor([1.5000, 2.0000])
""",
    "acos": """Inverse cosine in radians, in [0, pi]; NaN outside of [-1, 1]. Integers and
booleans give the default floating-point type.

>>> dl.tensor([1.0, 0.0]).acos()
tensor([0.0000, 1.5708])
""",
    "acosh": """Inverse hyperbolic cosine, ln(x + sqrt(x^2 - 1)); NaN below 1. Integers and
booleans give the default floating-point type.

>>> dl.tensor([1.0, 2.0]).acosh()
tensor([0.0000, 1.3170])
""",
    "asin": """Inverse sine in radians, in [-pi/2, pi/2]; NaN outside of [-1, 1]. Integers and
booleans give the default floating-point type.

>>> dl.tensor([0.0, 1.0]).asin()
tensor([0.0000, 1.5708])
""",
    "asinh": """Inverse hyperbolic sine, ln(x + sqrt(x^2 + 1)). Integers and booleans give the
default floating-point type.

>>> dl.tensor([0.0, 1.0]).asinh()
tensor([0.0000, 0.8814])
""",
    "atan": """Inverse tangent in radians, in (-pi/2, pi/2). Integers and booleans give the
default floating-point type.

>>> dl.tensor([0.0, 1.0]).atan()
tensor([0.0000, 0.7854])
""",
    "atan2": """Angle of the point (x, y) = (other, input) in radians, in [-pi, pi], by the
signs of both. Operands broadcast, and their types promote.

>>> dl.atan2(dl.tensor([1.0, -1.0]), dl.tensor([-1.0, -1.0]))
tensor([ 2.3562, -2.3562])
""",
    "atanh": """Inverse hyperbolic tangent, ln((1 + x) / (1 - x)) / 2; infinite at -1 and 1,
NaN outside. Integers and booleans give the default floating-point type.

>>> dl.tensor([0.0, 0.5]).atanh()
tensor([0.0000, 0.5493])
""",
    "ceil": """The least integer that is not less than each element. The gradient is 0.

>>> dl.tensor([-1.2, 1.2]).ceil()
tensor([-1.,  2.])
""",
    "celu": """max(0, x) + min(0, alpha (exp(x / alpha) - 1)): Barron, 2017, arXiv 1704.07483.

>>> dl.celu(dl.tensor([-1.0, 2.0]))
tensor([-0.6321,  2.0000])
""",
    "cos": """Cosine of an angle in radians. Integers and booleans give the default
floating-point type.

>>> dl.tensor([0.0, 1.0]).cos()
tensor([1.0000, 0.5403])
""",
    "cosh": """Hyperbolic cosine, (exp(x) + exp(-x)) / 2. Integers and booleans give the
default floating-point type.

>>> dl.tensor([0.0, 1.0]).cosh()
tensor([1.0000, 1.5431])
""",
    "deg2rad": """Degrees to radians, x pi / 180. Integers and booleans give the default
floating-point type.

>>> dl.tensor([180.0, 90.0]).deg2rad()
tensor([3.1416, 1.5708])
""",
    "digamma": """Derivative of the logarithm of the gamma function. Integers and booleans give
the default floating-point type.

>>> dl.tensor([1.0, 2.0]).digamma()
tensor([-0.5772,  0.4228])
""",
    "erf": """Error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.
Integers and booleans give the default floating-point type.

>>> dl.tensor([0.0, 1.0]).erf()
tensor([0.0000, 0.8427])
""",
    "erfc": """1 - erf(x), exact also where erf(x) is almost 1. Integers and booleans give the
default floating-point type.

>>> dl.tensor([0.0, 1.0]).erfc()
tensor([1.0000, 0.1573])
""",
    "erfinv": """Inverse of the error function; infinite at -1 and 1, NaN outside. Integers and
booleans give the default floating-point type.

>>> dl.tensor([0.0, 0.5]).erfinv()
tensor([0.0000, 0.4769])
""",
    "exp": """e to the power of each element. Integers and booleans give the default
floating-point type.

>>> dl.tensor([0.0, 1.0]).exp()
tensor([1.0000, 2.7183])
""",
    "exp2": """2 to the power of each element. Integers and booleans give the default
floating-point type.

>>> dl.tensor([0.0, 3.0]).exp2()
tensor([1., 8.])
""",
    "expm1": """exp(x) - 1, exact also for small x. Integers and booleans give the default
floating-point type.

>>> dl.tensor([0.0, 1e-6]).expm1()
tensor([0.0000e+00, 1.0000e-06])
""",
    "floor": """The greatest integer that is not more than each element. The gradient is 0.

>>> dl.tensor([-1.2, 1.2]).floor()
tensor([-2.,  1.])
""",
    "frac": """What is left of a number without its integer part, x - trunc(x), with the sign
of x.

>>> dl.tensor([1.25, -1.25]).frac()
tensor([ 0.2500, -0.2500])
""",
    "hardshrink": """x where its absolute value is more than lambd, else 0.

>>> dl.tensor([0.3, -0.7]).hardshrink()
tensor([ 0.0000, -0.7000])
""",
    "lgamma": """Logarithm of the absolute value of the gamma function. Integers and booleans
give the default floating-point type.

>>> dl.tensor([1.0, 4.0]).lgamma()
tensor([0.0000, 1.7918])
""",
    "log": """Natural logarithm; minus infinity at 0, NaN below. Integers and booleans give the
default floating-point type.

>>> dl.tensor([1.0, 10.0]).log()
tensor([0.0000, 2.3026])
""",
    "log10": """Logarithm to base 10; minus infinity at 0, NaN below. Integers and booleans
give the default floating-point type.

>>> dl.tensor([1.0, 1000.0]).log10()
tensor([0., 3.])
""",
    "log1p": """ln(1 + x), exact also for small x; minus infinity at -1, NaN below. Integers
and booleans give the default floating-point type.

>>> dl.tensor([0.0, 1e-6]).log1p()
tensor([0.0000e+00, 1.0000e-06])
""",
    "log2": """Logarithm to base 2; minus infinity at 0, NaN below. Integers and booleans give
the default floating-point type.

>>> dl.tensor([1.0, 8.0]).log2()
tensor([0., 3.])
""",
    "logit": """ln(x / (1 - x)), the inverse of sigmoid. With eps, x is first brought into
[eps, 1 - eps]; without, it is NaN outside of [0, 1]. Integers and booleans give the default
floating-point type.

>>> dl.tensor([0.5, 0.9]).logit()
tensor([0.0000, 2.1972])
""",
    "nan_to_num": """Replaces NaN by nan (0 when None) and the infinities by posinf and neginf
(the limits of the dtype when None).

>>> dl.tensor([float("nan"), float("inf")]).nan_to_num(posinf=9.0)
tensor([0., 9.])
""",
    "neg": """-x. Booleans are refused with a RuntimeError.

>>> dl.tensor([1.0, -2.0]).neg()
tensor([-1.,  2.])
""",
    "polygamma": """The n-th derivative of digamma, n >= 0. Integers and booleans give the
default floating-point type.

Raises RuntimeError for a negative n.

>>> dl.polygamma(1, dl.tensor([1.0]))
tensor([1.6449])
""",
    "positive": """The tensor itself; booleans are refused.

>>> dl.tensor([1.0]).positive()
tensor([1.])
""",
    "prelu": """x where it is positive, else weight times x.

weight has one number, or one for each channel (dimension 1 of input).

>>> dl.tensor([-2.0, 3.0]).prelu(dl.tensor([0.25]))
tensor([-0.5000,  3.0000])
""",
    "rad2deg": """Radians to degrees, 180 x / pi. Integers and booleans give the default
floating-point type.

>>> dl.tensor([3.1415927]).rad2deg()
tensor([180.])
""",
    "reciprocal": """1 / x. Integers and booleans give the default floating-point type.

>>> dl.tensor([2.0, 4.0]).reciprocal()
tensor([0.5000, 0.2500])
""",
    "relu": """max(x, 0). The gradient at 0 is 0.

>>> dl.tensor([-1.0, 2.0]).relu()
tensor([0., 2.])
""",
    "round": """The nearest integer, of two equally near ones the even one; with decimals, the
nearest multiple of 10^-decimals. The gradient is 0.

>>> dl.tensor([0.5, 1.5, -1.2]).round()
tensor([ 0.,  2., -1.])
>>> dl.tensor([1.2345]).round(decimals=2)
tensor([1.2300])
""",
    "rrelu": """x where it is not negative, else a x, with a drawn uniformly from [lower,
upper) for each element in training, and their mean otherwise.

>>> dl.rrelu(dl.tensor([-2.0, 3.0]), 0.5, 0.5)
tensor([-1.,  3.])
""",
    "rsqrt": """1 / sqrt(x). Integers and booleans give the default floating-point type.

>>> dl.tensor([4.0]).rsqrt()
tensor([0.5000])
""",
    "selu": """scale (max(0, x) + min(0, alpha (exp(x) - 1))) with the constants of
self-normalising networks: Klambauer et al., 2017, arXiv 1706.02515.

>>> dl.selu(dl.tensor([-1.0, 2.0]))
tensor([-1.1113,  2.1014])
""",
    "sgn": """The sign of each element; the same as `sign` for real numbers.

>>> dl.tensor([-3.0, 0.0, 2.0]).sgn()
tensor([-1.,  0.,  1.])
""",
    "sigmoid": """1 / (1 + exp(-x)). Integers and booleans give the default floating-point
type.

>>> dl.tensor([0.0, 2.0]).sigmoid()
tensor([0.5000, 0.8808])
""",
    "sign": """-1, 0 or 1 by the sign of each element; NaN stays.

>>> dl.tensor([-3.0, 0.0, 2.0]).sign()
tensor([-1.,  0.,  1.])
""",
    "signbit": """Whether the sign bit is set: True below 0 and for -0.0.

>>> dl.tensor([-1.0, -0.0, 0.0]).signbit()
tensor([ True,  True, False])
""",
    "sin": """Sine of an angle in radians. Integers and booleans give the default
floating-point type.

>>> dl.tensor([0.0, 1.0]).sin()
tensor([0.0000, 0.8415])
""",
    "sinc": """sin(pi x) / (pi x), and 1 at 0. Integers and booleans give the default
floating-point type.

>>> dl.tensor([0.0, 0.5]).sinc()
tensor([1.0000, 0.6366])
""",
    "sinh": """Hyperbolic sine, (exp(x) - exp(-x)) / 2. Integers and booleans give the default
floating-point type.

>>> dl.tensor([0.0, 1.0]).sinh()
tensor([0.0000, 1.1752])
""",
    "sqrt": """Square root; NaN below 0. Integers and booleans give the default floating-point
type.

>>> dl.tensor([4.0, 2.0]).sqrt()
tensor([2.0000, 1.4142])
""",
    "square": """x times x.

>>> dl.tensor([3.0, -2.0]).square()
tensor([9., 4.])
""",
    "tan": """Tangent of an angle in radians. Integers and booleans give the default
floating-point type.

>>> dl.tensor([0.0, 1.0]).tan()
tensor([0.0000, 1.5574])
""",
    "tanh": """Hyperbolic tangent. Integers and booleans give the default floating-point type.

>>> dl.tensor([0.0, 1.0]).tanh()
tensor([0.0000, 0.7616])
""",
    "threshold": """x where it is more than threshold, else value.

>>> dl.threshold(dl.tensor([0.5, 2.0]), 1.0, -1.0)
tensor([-1.,  2.])
""",
    "trunc": """The integer part: each element without its decimals. The gradient is 0.

>>> dl.tensor([1.7, -1.7]).trunc()
tensor([ 1., -1.])
""",
}
