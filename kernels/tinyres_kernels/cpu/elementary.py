"""exp and log1p in instructions that vectors have, for compiled loops: the C library's come one by one.

    exp(x) = 2^n e^r    with n = x / ln 2, rounded, and r = x - n ln 2, so that |r| <= ln 2 / 2

e^r is its Taylor polynomial; ln 2 is taken away in two parts, the first with so few digits that n times it is exact
(Cody & Waite 1980 [cody1980software], "Software manual for the elementary functions"). NaN and infinity stay what they
are; results that are too small for a normal number lose digits as they should, down to 0.

Error: at most 2 units in the last place in float32 and float64 (measured: see `tests/kernels/test_elementary.py`).
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


class Elementary:
    """What exp and log1p are made of, for numbers or for vectors of them."""

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
        x = self.either("<", self.number(f.high), self.either(">", self.number(f.low), x))
        # Beside a number this large there are no digits behind the point left, and the last ones are n.
        large = self.number(1.5 * 2.0**f.mantissa)
        shifted = self.fma(x, self.number(1 / log(2)), large)
        n = b.fsub(shifted, large)
        r = self.fma(n, self.number(-f.ln2[1]), self.fma(n, self.number(-f.ln2[0]), x))
        value = self.polynomial(r, [1 / factorial(k) for k in range(f.powers + 1)])
        exponent = b.sub(b.bitcast(shifted, self.int), b.bitcast(large, self.int))
        half = b.ashr(exponent, self.whole(1))  # 2^n itself may be too large or too small for a normal number
        return b.fmul(b.fmul(value, self.power_of_2(half)), self.power_of_2(b.sub(exponent, half)))

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
