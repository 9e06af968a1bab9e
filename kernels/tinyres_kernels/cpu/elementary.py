"""exp, expm1, log1p and the normal distribution in instructions that vectors have: the C library's come one by
one.

    exp(x) = 2^n e^r    with n = x / ln 2, rounded, and r = x - n ln 2, so that |r| <= ln 2 / 2

e^r is its Taylor polynomial; ln 2 is taken away in two parts, the first with so few digits that n times it is exact
(Cody & Waite 1980 [cody1980software], "Software manual for the elementary functions"). NaN and infinity stay what they
are; results that are too small for a normal number lose digits as they should, down to 0.

Error: at most 2 units in the last place in float32 and float64. That of `phi` is 2e-7 in float32 and 4
units in float64 (measured: see `tests/kernels/test_elementary.py` and `test_activations.py`).
"""

from collections.abc import Sequence
from math import factorial, log
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils

from tinyres_kernels.cpu.emit import emitted


class Format(NamedTuple):
    """Of a type of numbers: bits of the mantissa, bias of the exponent, terms that the series need, and ln 2 as a sum.

    Outside of `low` and `high`, the exponential is 0 or infinity.
    """

    bits: int
    mantissa: int
    bias: int
    powers: int
    odd_powers: int
    ln2: tuple[float, float]
    low: float
    high: float


def _split(digits: int) -> tuple[float, float]:
    """ln 2 as so many binary digits and what is left."""
    first = round(log(2) * 2.0**digits) / 2.0**digits
    return first, _LN2_TAIL + (log(2) - first)


_LN2_TAIL = 2.3190468138462996e-17  # ln 2 less its nearest float64
FORMATS = {
    types.float32: Format(32, 23, 127, 7, 5, _split(15), -104.0, 89.0),
    types.float64: Format(64, 52, 1023, 13, 11, _split(32), -746.0, 710.0),
}


# For float32, (Phi(x) - 1/2) / x as a polynomial in x^2 / 15.125 - 1, for |x| <= 5.5. For float64, (4 + a) Phi(-a)
# exp(a^2 / 2) in 1 - 8 / (4 + a), for a >= 0. Both are interpolated at the zeros of Chebyshev's polynomials.
REACH = 5.5  # beyond, Phi(-x) is less than float32 sees beside 1
CENTRE = (
    0.128551933,
    -0.064172315,
    0.0477373513,
    -0.0387937808,
    0.0320765586,
    -0.0260362935,
    0.0203101361,
    -0.0150618453,
    0.0104575211,
    -0.00665234269,
    0.00409791575,
    -0.00265651798,
    0.00137924308,
    -0.000358214071,
    0.00020129872,
    -0.000285286397,
    0.000113726127,
)
TAIL = (
    0.7552851304157514,
    -0.6078966419718921,
    0.3871374007422264,
    -0.18652185795965234,
    0.060396574890371514,
    -0.007540188966970493,
    -0.0034796923568707495,
    0.0016308184623106898,
    0.00013334421136007284,
    -0.00023109498250193337,
    -1.9076884149896035e-06,
    3.5144965940724414e-05,
    7.146443574560791e-07,
    -5.92121795088683e-06,
    -6.250453526929998e-07,
    1.0240906244904367e-06,
    2.648553499251278e-07,
    -1.5897395986021902e-07,
    -7.888376964075041e-08,
    1.7266561072187954e-08,
    1.6113380526902386e-08,
    -3.492432239782222e-10,
    -1.697673000057793e-09,
    -1.6254980552729322e-10,
)


class Elementary:
    """What they are made of, for numbers or for vectors of them."""

    def __init__(self, builder: ir.IRBuilder, scalar: Any, lanes: int = 0) -> None:
        self.b, self.format, self.lanes = builder, FORMATS[scalar], lanes
        element = ir.FloatType() if scalar == types.float32 else ir.DoubleType()
        whole = ir.IntType(self.format.bits)
        self.real, self.int = ((ir.VectorType(t, lanes) if lanes else t) for t in (element, whole))
        kind = f"v{lanes}f{self.format.bits}" if lanes else f"f{self.format.bits}"
        signature = ir.FunctionType(self.real, [self.real] * 3)
        self._fma = cgutils.get_or_insert_function(builder.module, signature, f"llvm.fma.{kind}")

    def number(self, value: float) -> Any:
        return ir.Constant(self.real, [value] * self.lanes if self.lanes else value)

    def whole(self, value: int) -> Any:
        return ir.Constant(self.int, [value] * self.lanes if self.lanes else value)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        return self.b.call(self._fma, [a, b, c])

    def polynomial(self, x: Any, coefficients: Sequence[float]) -> Any:
        """By Horner's rule; the first coefficient is the constant."""
        value = self.number(coefficients[-1])
        for c in reversed(coefficients[:-1]):
            value = self.fma(value, x, self.number(c))
        return value

    def either(self, sign: str, a: Any, b: Any) -> Any:
        """a where a < b, or b where not (sign "<"); a NaN in b stays."""
        return self.b.select(self.b.fcmp_ordered(sign, a, b), a, b)

    def power_of_2(self, n: Any) -> Any:
        f = self.format
        return self.b.bitcast(self.b.shl(self.b.add(n, self.whole(f.bias)), self.whole(f.mantissa)), self.real)

    def exp(self, x: Any) -> Any:
        b, f = self.b, self.format
        exponent, r = self._reduced(self.either("<", self.number(f.high), self.either(">", self.number(f.low), x)))
        value = self.polynomial(r, [1 / factorial(k) for k in range(f.powers + 1)])
        half = b.ashr(exponent, self.whole(1))  # 2^n itself may be too large or too small for a normal number
        return b.fmul(b.fmul(value, self.power_of_2(half)), self.power_of_2(b.sub(exponent, half)))

    def _reduced(self, x: Any) -> tuple[Any, Any]:
        """n as an integer, and r."""
        b, f = self.b, self.format
        # Beside a number this large there are no digits behind the point left, and the last ones are n.
        large = self.number(1.5 * 2.0**f.mantissa)
        shifted = self.fma(x, self.number(1 / log(2)), large)
        n = b.fsub(shifted, large)
        r = self.fma(n, self.number(-f.ln2[1]), self.fma(n, self.number(-f.ln2[0]), x))
        return b.sub(b.bitcast(shifted, self.int), b.bitcast(large, self.int)), r

    def expm1(self, x: Any) -> Any:
        """For x <= 0: e^x - 1 = 2^n (e^r - 1) + (2^n - 1), in which nothing is lost where x is small and n is 0."""
        b, f = self.b, self.format
        exponent, r = self._reduced(self.either(">", self.number(-2.0 * f.mantissa), x))  # below, it is -1
        rest = self.polynomial(r, [1 / factorial(k) for k in range(2, f.powers + 1)])
        power = self.power_of_2(exponent)
        return self.fma(power, self.fma(b.fmul(r, r), rest, r), b.fsub(power, self.number(1.0)))

    def size(self, x: Any) -> Any:
        """|x|"""
        return self.b.select(self.b.fcmp_ordered("<", x, self.number(0.0)), self.b.fneg(x), x)

    def signed(self, size: Any, sign: Any) -> Any:
        """A number with the sign of another, which may be -0."""
        b, top, rest = self.b, self.whole(-1 << (self.format.bits - 1)), self.whole((1 << (self.format.bits - 1)) - 1)
        bits = b.or_(b.and_(b.bitcast(size, self.int), rest), b.and_(b.bitcast(sign, self.int), top))
        return b.bitcast(bits, self.real)

    def bell(self, x: Any) -> Any:
        """exp(-x^2 / 2); what rounding takes from x^2 is given back."""
        b, half = self.b, self.number(-0.5)
        x = self.either("<", self.number(40.0), self.either(">", self.number(-40.0), x))  # there it is 0
        square = b.fmul(x, x)
        lost = self.fma(x, x, b.fneg(square))
        power = self.exp(b.fmul(square, half))
        return self.fma(power, b.fmul(lost, half), power)

    def phi(self, x: Any) -> Any:
        """The normal distribution function."""
        b, one = self.b, self.number(1.0)
        if self.format.bits == 32:
            near = self.either("<", self.number(REACH), self.either(">", self.number(-REACH), x))
            place = self.fma(b.fmul(near, near), self.number(2 / REACH**2), self.number(-1.0))
            area = self.fma(self.polynomial(place, CENTRE), near, self.number(0.5))
            return b.select(b.fcmp_ordered("<", x, self.number(-REACH)), self.number(0.0), area)
        a = self.size(x)
        t = b.fdiv(one, b.fadd(a, self.number(4.0)))
        rest = self.polynomial(self.fma(t, self.number(-8.0), one), TAIL)
        tail = b.fmul(b.fmul(self.bell(a), t), rest)
        return b.select(b.fcmp_ordered("<", x, self.number(0.0)), tail, b.fsub(one, tail))

    def log1p(self, x: Any) -> Any:
        """For 0 <= x <= 1: log(1 + f) = 2 artanh(s) with s = f / (2 + f), where f is x, or makes 1 + f the half of
        1 + x where x is large. 2 s is taken as f - s f, in which the larger part is exact."""
        b = self.b
        large = b.fcmp_ordered(">", x, self.number(2**0.5 - 1))
        halved = b.fmul(b.fsub(x, self.number(1.0)), self.number(0.5))
        f = b.select(large, halved, x)
        s = b.fdiv(f, b.fadd(f, self.number(2.0)))
        square = b.fmul(s, s)
        series = b.fmul(square, self.polynomial(square, [2 / (2 * k + 3) for k in range(self.format.odd_powers)]))
        value = self.fma(b.fneg(s), b.fsub(f, series), f)
        return b.fadd(value, b.select(large, self.number(log(2)), self.number(0.0)))


@emitted
def exp(typing, x):
    return x(x), lambda context, b, signature, args: Elementary(b, signature.args[0]).exp(args[0])


@emitted
def log1p(typing, x):
    """For 0 <= x <= 1."""
    return x(x), lambda context, b, signature, args: Elementary(b, signature.args[0]).log1p(args[0])
