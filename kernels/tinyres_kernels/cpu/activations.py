"""Smooth activation functions and their derivatives, in vectors: one pass through memory each."""

from collections.abc import Callable, Sequence
from math import pi, prod, sqrt
from typing import Any

from llvmlite import ir
from numba import types

from tinyres_kernels.cpu.elementary import Elementary
from tinyres_kernels.cpu.emit import I64, Emitter, emitted
from tinyres_kernels.cpu.host import threads
from tinyres_kernels.cpu.jit import kernel
from tinyres_kernels.cpu.memory import flat
from tinyres_kernels.cpu.plan import PLANNERS, by_loop
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import ACTIVATIONS, GELU_CUBE, GELU_SCALE, Activation

COST = 40  # multiplications that one is worth

PLANNERS |= dict.fromkeys(("activation", "activation_dx"), by_loop(lambda x, *_: COST * prod(x)))


class Smooth(Elementary):
    """What a function's name says, of a vector; and behind `d_`, its derivative."""

    def halves(self, x: Any) -> tuple[Any, Any]:
        """sigmoid(x) and sigmoid(-x), of which neither is 1 less the other: digits would be lost."""
        b, one = self.b, self.number(1.0)
        power = self.exp(b.fneg(self.size(x)))
        negative = b.fcmp_ordered("<", x, self.number(0.0))
        more = b.fdiv(one, b.fadd(one, power))
        less = b.fmul(power, more)
        return b.select(negative, less, more), b.select(negative, more, less)

    def sigmoid(self, x: Any) -> Any:
        return self.halves(x)[0]

    def d_sigmoid(self, y: Any) -> Any:
        return self.b.fmul(y, self.b.fsub(self.number(1.0), y))

    def tanh(self, x: Any) -> Any:
        less = self.expm1(self.b.fmul(self.size(x), self.number(-2.0)))
        return self.signed(self.b.fdiv(self.b.fneg(less), self.b.fadd(less, self.number(2.0))), x)

    def d_tanh(self, y: Any) -> Any:
        return self.fma(self.b.fneg(y), y, self.number(1.0))

    def softplus(self, x: Any) -> Any:
        above = self.either(">", self.number(0.0), x)
        return self.b.fadd(above, self.log1p(self.exp(self.b.fneg(self.size(x)))))

    d_softplus = sigmoid

    def silu(self, x: Any) -> Any:
        return self.b.fmul(x, self.sigmoid(x))

    def d_silu(self, x: Any) -> Any:
        """s + x s (1 - s)"""
        yes, no = self.halves(x)
        return self.fma(self.b.fmul(x, no), yes, yes)

    def gelu(self, x: Any) -> Any:
        return self.b.fmul(x, self.phi(x))

    def d_gelu(self, x: Any) -> Any:
        """Phi(x) + x Phi'(x)"""
        return self.fma(x, self.b.fmul(self.bell(x), self.number(1 / sqrt(2 * pi))), self.phi(x))

    def _gate(self, x: Any) -> tuple[Any, Any]:
        """x limited to where its cube is finite and the gate is not yet 0 or 1, and its square."""
        x = self.either(">", self.number(-1e4), self.either("<", self.number(1e4), x))
        return x, self.b.fmul(x, x)

    def gelu_tanh(self, x: Any) -> Any:
        near, square = self._gate(x)
        inner = self.b.fmul(
            near, self.fma(square, self.number(2 * GELU_SCALE * GELU_CUBE), self.number(2 * GELU_SCALE))
        )
        return self.b.fmul(x, self.sigmoid(inner))

    def d_gelu_tanh(self, x: Any) -> Any:
        """s + x s (1 - s) u' of s = sigmoid(u)"""
        b = self.b
        near, square = self._gate(x)
        scale = 2 * GELU_SCALE
        inner = b.fmul(near, self.fma(square, self.number(scale * GELU_CUBE), self.number(scale)))
        slope = self.fma(square, self.number(3 * scale * GELU_CUBE), self.number(scale))
        yes, no = self.halves(inner)
        return self.fma(b.fmul(b.fmul(x, yes), no), slope, yes)


def _each(b: ir.IRBuilder, e: Emitter, which: Any, count: Any, body: Callable[[str, Any, Any], None]) -> None:
    """Of the loops over a line, one for each function, the one whose number is `which`: one kernel to compile."""
    for number, name in enumerate(ACTIVATIONS):
        with b.if_then(b.icmp_signed("==", which, ir.Constant(I64, number))), e.vectors(count) as (first, mask):
            body(name, first, mask)


@emitted
def _forward(typing, which, x, x0, count, out):
    number = types.intp

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        which, x0, count = args[0], args[2], args[3]
        e = Emitter(b, signature.args[1].dtype)
        functions = Smooth(b, signature.args[1].dtype, e.lanes)
        start, end = (e.at(e.data(context, signature.args[i], args[i]), x0) for i in (1, 4))

        def one(name: str, first: Any, mask: Any) -> None:
            e.store(getattr(functions, name)(e.load(e.at(start, first), mask)), e.at(end, first), mask)

        _each(b, e, which, count, one)
        return context.get_dummy_value()

    return types.void(number, x, number, number, x), generate


@emitted
def _backward(typing, which, g, x, x0, count, out):
    number = types.intp

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        which, x0, count = args[0], args[3], args[4]
        e = Emitter(b, signature.args[1].dtype)
        functions = Smooth(b, signature.args[1].dtype, e.lanes)
        above, start, end = (e.at(e.data(context, signature.args[i], args[i]), x0) for i in (1, 2, 5))

        def one(name: str, first: Any, mask: Any) -> None:
            slope = getattr(functions, f"d_{name}")(e.load(e.at(start, first), mask))
            e.store(b.fmul(e.load(e.at(above, first), mask), slope), e.at(end, first), mask)

        _each(b, e, which, count, one)
        return context.get_dummy_value()

    return types.void(number, g, x, number, number, g), generate


@kernel
def _activation(t, threads, which, x, out):
    first = len(x) * t // threads
    _forward(which, x, first, len(x) * (t + 1) // threads - first, out)


@kernel
def _activation_dx(t, threads, which, g, x, out):
    first = len(x) * t // threads
    _backward(which, g, x, first, len(x) * (t + 1) // threads - first, out)


def activation(x: Array, out: Array, s: Activation) -> None:
    """`reference.activation`. 8 M bytes in float32."""
    _activation(threads(COST * x.size), ACTIVATIONS.index(s.name), flat(x), out)


def activation_dx(g: Array, x: Array, out: Array, s: Activation) -> None:
    """`reference.activation_dx`. 12 M bytes in float32."""
    _activation_dx(threads(COST * g.size), ACTIVATIONS.index(s.name), flat(g), flat(x), out)
