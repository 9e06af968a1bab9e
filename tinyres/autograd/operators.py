"""The operators and methods of a tensor that compute: `x + y`, `x[0]`, `x.sum()`.

Operations are made of tensors, so a tensor's file cannot import them. Instead `@primitive` and `@public` register each
operation in `FUNCTIONS`, and operators and methods look their function up there when they are called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FUNCTIONS: dict[str, Callable[..., Any]] = {}  # the operations by name


def _method(name: str) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return FUNCTIONS[name](self, *args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"See `tinyres.{name}`."
    return call


def _operator(name: str) -> Callable[..., Any]:
    def call(self: Any, other: Any) -> Any:
        return FUNCTIONS[name](self, other)

    return call


def _in_place(symbol: str, name: str) -> Callable[..., Any]:
    def call(self: Any, other: Any) -> Any:
        if self.node is not None and self.node.primitive is None:
            raise TypeError(
                f"`{symbol}` would bind the name to a new tensor and leave this leaf as it was: to change a parameter, "
                "write p.data = p.data - lr * p.grad.data, or use tinyres.optim"
            )
        return FUNCTIONS[name](self, other)

    return call


def _reflected(name: str) -> Callable[..., Any]:
    def call(self: Any, other: Any) -> Any:
        return FUNCTIONS[name](other, self)

    return call


class Operators:
    """What Tensor inherits: a line for each operator and method."""

    __slots__ = ()

    __add__ = _operator("add")
    __radd__ = _reflected("add")
    __iadd__ = _in_place("+=", "add")
    __isub__ = _in_place("-=", "sub")
    __imul__ = _in_place("*=", "mul")
    __itruediv__ = _in_place("/=", "div")
    __sub__ = _operator("sub")
    __rsub__ = _reflected("sub")
    __mul__ = _operator("mul")
    __rmul__ = _reflected("mul")
    __truediv__ = _operator("div")
    __rtruediv__ = _reflected("div")
    __pow__ = _operator("pow")
    __rpow__ = _reflected("pow")
    __matmul__ = _operator("matmul")
    __rmatmul__ = _reflected("matmul")
    __neg__ = _method("neg")
    __abs__ = _method("abs")
    __getitem__ = _operator("getitem")
    __eq__ = _operator("eq")
    __ne__ = _operator("ne")
    __lt__ = _operator("lt")
    __le__ = _operator("le")
    __gt__ = _operator("gt")
    __ge__ = _operator("ge")

    abs = _method("abs")
    exp = _method("exp")
    log = _method("log")
    sqrt = _method("sqrt")
    pow = _method("pow")
    sign = _method("sign")
    clip = _method("clip")
    tanh = _method("tanh")
    sigmoid = _method("sigmoid")
    relu = _method("relu")
    sum = _method("sum")
    mean = _method("mean")
    var = _method("var")
    max = _method("max")
    min = _method("min")
    argmax = _method("argmax")
    logsumexp = _method("logsumexp")
    softmax = _method("softmax")
    log_softmax = _method("log_softmax")
    cumsum = _method("cumsum")
    matmul = _method("matmul")
    reshape = _method("reshape")
    flatten = _method("flatten")
    transpose = _method("transpose")
    permute = _method("permute")
    expand = _method("expand")
    squeeze = _method("squeeze")
    unsqueeze = _method("unsqueeze")
    flip = _method("flip")
    split = _method("split")
    astype = _method("astype")

    def register_hook(self, hook: Callable[[Any], Any]) -> Any:
        """Let `hook(g)` see the gradient of this tensor in every backward pass, and replace it.

        What the hook returns, if not None, takes the gradient's place. It is called once a pass, with the sum of all
        that arrives, before the gradient is propagated, added to `.grad` or returned by `tr.grad`; several hooks in the
        order of their registration. With create_graph=True what it computes is recorded. Hooks on the inner tensors of
        a checkpoint are registered inside its function.

        Returns:
            A handle: `handle.remove()`, or `with tensor.register_hook(f): ...`.

        Raises:
            RuntimeError: the tensor requires no gradient; in the pass, if the hook returns another shape.
        """
        return FUNCTIONS["register_hook"](self, hook)


__all__ = ["FUNCTIONS", "Operators"]
