"""Function: an operation in PyTorch's form, forward and backward with a context between them.

It is a thin face of `@primitive`, for code that comes from there. The rules of a primitive are shorter: they name what
they need, and only that is saved.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

from tinyres.arrays import namespace
from tinyres.autograd.calling import define
from tinyres.autograd.tensor import Tensor, raw, wrap
from tinyres.context import context

_OUTPUT = object()  # stands for the output among the saved tensors: the output itself would hold its own node


class FunctionCtx:
    """What `forward` hands to `backward`. Attributes of any other name may be set, too.

    needs_input_grad: for each argument of `apply`, whether it is a tensor that requires a gradient.
    """

    def __init__(self, args: tuple[Any, ...]) -> None:
        self.needs_input_grad = tuple(isinstance(a, Tensor) and a.node is not None for a in args)
        self._saved: tuple[Any, ...] = ()
        self._output: Any = None
        self._places: list[int] = []  # of the tensors among the arguments
        self._given: tuple[Any, ...] = ()  # what was saved, until the forward is over
        self._latest: tuple[Any, tuple[Any, ...]] | None = None  # a cotangent, and what backward made of it

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs, the output, or None. What is computed in between may be kept, too, but counts as a constant
        under create_graph, as in PyTorch."""
        # Their arrays as they are now: the optimiser may give a parameter another one before the backward pass.
        self._saved = tuple(t if t is None else wrap(t._data, t.node) for t in tensors)
        self._given = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What was saved, in its order."""
        return tuple(self._output if t is _OUTPUT else t for t in self._saved)

    def _close(self, output: Tensor) -> None:
        """The forward is over."""
        self._saved = tuple(_OUTPUT if t is output else kept for t, kept in zip(self._given, self._saved, strict=True))
        self._given = ()


class Function:
    """An operation with your own derivative. Subclass it, and call `apply`:

        class Exp(tr.Function):
            @staticmethod
            def forward(ctx, x):                # tensors; what happens in here is not recorded
                y = x.exp()
                ctx.save_for_backward(y)
                return y

            @staticmethod
            def backward(ctx, g):               # g is the cotangent dL/dy, the result is dL/dx
                (y,) = ctx.saved_tensors
                return g * y

        y = Exp.apply(x)

    `forward` takes the arguments of `apply` after the context, and returns one tensor. `backward` returns a gradient
    for each of them, None for what has none. Composed of differentiable operations, it can be differentiated again.
    """

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Tensor:
        """The value."""
        raise NotImplementedError("a Function needs a static method forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        """The gradients."""
        raise NotImplementedError("a Function needs a static method backward(ctx, g)")

    def __init__(self, *args: Any) -> None:
        name = type(self).__name__
        raise TypeError(f"{name}: a Function is not called; use {name}.apply(x)")

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name in ("forward", "backward"):
            if isinstance(vars(cls).get(name), FunctionType):
                raise TypeError(
                    f"{cls.__name__}.{name} is no static method: write @staticmethod on the line above "
                    f"`def {name}(ctx, ...)`, which takes no self"
                )

        def forward(*xs: Any, value: Any, ctx: FunctionCtx) -> Any:
            return value

        forward.__name__, forward.__doc__ = cls.__name__, cls.__doc__
        cls._call = define(forward)
        cls._call.vjp(xs=lambda g, y, index, xs_shapes, ctx: _gradient(cls, ctx, g, y, index, xs_shapes[index]))

    _call: Any

    @classmethod
    def apply(cls, *args: Any) -> Tensor:
        """Run it.

        Raises:
            TypeError: no argument is a tensor, or the forward returned something else than one tensor. In the backward
                pass: the number of gradients is not that of the arguments.
        """
        ctx = FunctionCtx(args)
        tensors = [a for a in args if isinstance(a, Tensor)]
        if not tensors:
            raise TypeError(f"{cls.__name__}.apply: needs at least one tensor, got {len(args)} other arguments")
        with context(recording=False):
            output = cls.forward(ctx, *args)
        if not isinstance(output, Tensor):
            raise TypeError(f"{cls.__name__}.forward: must return one tensor, got {type(output).__name__}")
        ctx._close(output)
        ctx._places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        result: Tensor = cls._call(*tensors, value=output._data, ctx=ctx)
        return result


def _gradient(cls: type[Function], ctx: Any, g: Any, y: Any, index: int, shape: Any) -> Any:
    """The rule of the index-th tensor among the arguments. Several rules of one pass share a run of `backward`."""
    again = isinstance(g, Tensor)  # with create_graph
    if ctx._latest is None or ctx._latest[0] is not g:
        ctx._output = y if isinstance(y, Tensor) else wrap(y)
        with context(recording=again):
            given = cls.backward(ctx, g if again else wrap(g))
        gradients = given if isinstance(given, tuple) else (given,)
        if len(gradients) != len(ctx.needs_input_grad):
            raise TypeError(
                f"{cls.__name__}.backward: must return a gradient, or None, for each of the "
                f"{len(ctx.needs_input_grad)} arguments of apply, got {len(gradients)}"
            )
        ctx._output, ctx._latest = None, (g, gradients)
    gradient = ctx._latest[1][ctx._places[index]]
    if gradient is None:
        return namespace(raw(g)).zeros(shape, raw(g).dtype)
    return gradient if again else raw(gradient)


__all__ = ["Function", "FunctionCtx"]
