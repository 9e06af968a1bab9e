"""The operators and methods of a tensor that compute: `x + y`, `x[0]`, `x.sum()`.

Operations are made of tensors, so a tensor's file cannot import them. Instead `@primitive` and `@public` register each
operation in `FUNCTIONS`, and operators and methods look their function up there when they are called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinyres.arrays.devices import cuda
from tinyres.autograd.in_place import CHANGES, Changing, is_free, is_state
from tinyres.refusals import absent
from tinyres.refusals.absent import Refused
from tinyres.refusals.arguments import accepted
from tinyres.refusals.blame import explain_call
from tinyres.refusals.wording import FAILED

FUNCTIONS: dict[str, Callable[..., Any]] = {}  # the operations by name


def _method(function: str, name: str = "") -> Callable[..., Any]:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return FUNCTIONS[function](self, *args, **kwargs)
        except FAILED as error:
            kept = accepted(FUNCTIONS[function], kwargs) if isinstance(error, TypeError) else None
            if kept is None:
                explain_call(FUNCTIONS[function], error, (self, *args), kwargs)
                raise
        return call(self, *args, **kept)

    call.__name__ = call.__qualname__ = name or function
    call.__doc__ = f"See `tinyres.{name or function}`."
    return call


def _operator(name: str) -> Callable[..., Any]:
    def call(self: Any, other: Any) -> Any:
        return FUNCTIONS[name](self, other)

    return call


def _in_place(symbol: str, name: str, change: str) -> Callable[..., Any]:
    def call(self: Any, other: Any) -> Any:
        if is_state(self) and is_free(self, other):
            return getattr(self, change)(other)
        if self.node is not None and self.node.primitive is None:
            raise TypeError(
                f"`{symbol}` would bind the name to a new tensor and leave this leaf as it was: to change a parameter, "
                "do it inside `with tr.no_grad():`, write p.data = p.data - lr * p.grad.data, or use tinyres.optim"
            )
        return FUNCTIONS[name](self, other)

    return call


def _reflected(name: str) -> Callable[..., Any]:
    def call(self: Any, other: Any) -> Any:
        return FUNCTIONS[name](other, self)

    return call


class Operators:
    """What Tensor inherits: a line for each operator, and the methods of the tables below."""

    __slots__ = ()

    __dir__ = absent.offered
    __add__ = _operator("+")
    __radd__ = _reflected("+")
    __iadd__ = _in_place("+=", "+", "add_")
    __isub__ = _in_place("-=", "-", "sub_")
    __imul__ = _in_place("*=", "mul", "mul_")
    __itruediv__ = _in_place("/=", "/", "div_")
    __sub__ = _operator("-")
    __rsub__ = _reflected("-")
    __mul__ = _operator("mul")
    __rmul__ = _reflected("mul")
    __truediv__ = _operator("/")
    __rtruediv__ = _reflected("/")
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
    __and__ = _operator("bitwise_and")
    __rand__ = _reflected("bitwise_and")
    __or__ = _operator("bitwise_or")
    __ror__ = _reflected("bitwise_or")
    __xor__ = _operator("bitwise_xor")
    __rxor__ = _reflected("bitwise_xor")
    __invert__ = _method("bitwise_not")
    __floordiv__ = _operator("floor_divide")
    __rfloordiv__ = _reflected("floor_divide")
    __mod__ = _operator("remainder")
    __rmod__ = _reflected("remainder")

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

    if TYPE_CHECKING:  # the methods of the tables below; a real `__getattr__` would slow down every attribute

        def __getattr__(self, name: str) -> Any: ...


# Methods with the name of their function, methods with another one, conversions, and what a tensor refuses.
METHODS = [
    "abs", "add", "all", "allclose", "amax", "amin", "aminmax", "any", "argmax", "argmin", "argsort", "astype",
    "bincount", "bmm", "ceil", "chunk", "clip", "cos", "cumprod", "cumsum", "diag", "diag_embed", "diagonal", "div",
    "dot", "eq", "equal", "erf", "exp", "exp2", "expand", "expand_as", "expm1", "flatten", "flip", "floor",
    "floor_divide", "frac", "gather", "ge", "gt", "index_select", "isclose", "isfinite", "isinf", "isnan", "le", "log",
    "log10", "log1p", "log2", "log_softmax", "logical_and", "logical_not", "logical_or", "logical_xor", "logsumexp",
    "lt", "masked_fill", "masked_select", "matmul", "max", "maximum", "mean", "min", "minimum", "mm", "movedim", "mul",
    "multinomial", "mv", "ne", "neg", "new_empty", "new_full", "new_ones", "new_zeros", "nonzero", "norm", "outer",
    "permute", "pow", "prod", "reciprocal", "relu", "remainder", "repeat", "reshape", "roll", "round", "rsqrt",
    "scatter", "scatter_add", "sigmoid", "sign", "sin", "softmax", "sort", "split", "sqrt", "square", "squeeze", "std",
    "sub", "sum", "tan", "tanh", "tile", "topk", "trace", "transpose", "tril", "triu", "trunc", "unbind", "unsqueeze",
    "var", "view_as",
]  # fmt: skip
RENAMED = {
    "broadcast_to": "expand", "clamp": "clip", "clone": "identity", "reshape_as": "view_as", "view": "reshape",
}  # fmt: skip
CONVERSIONS = {
    "bool": "bool", "byte": "uint8", "double": "float64", "float": "float32", "half": "float16", "int": "int32",
    "long": "int64", "short": "int16",
}  # fmt: skip

# Of PyTorch's methods; functions that are an expression here, and in-place forms, are added below.
REFUSED = [
    "apply_", "bernoulli_", "bfloat16", "cauchy_", "cholesky", "data_ptr", "det", "detach_", "element_size",
    "erfinv_", "exponential_", "grad_fn", "index_add_", "index_copy_", "index_fill_", "index_put_",
    "is_contiguous", "is_cuda", "is_floating_point", "map_", "masked_fill_", "ndimension", "nelement",
    "new_tensor", "pin_memory", "qr", "random_", "scatter_", "scatter_add_", "share_memory_", "slogdet",
    "storage", "stride", "svd", "to_sparse", "type", "unfold", "untyped_storage", "where",
]  # fmt: skip


REFUSED_BY_CUDA = ["Event", "amp", "manual_seed", "manual_seed_all", *absent.OF_CUDA]


def _conversion(name: str, dtype: str) -> Callable[..., Any]:
    def call(self: Any) -> Any:
        return self if self.dtype == dtype else FUNCTIONS["astype"](self, dtype)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"The same values in {dtype}."
    return call


for _name in METHODS:
    setattr(Operators, _name, _method(_name))
for _name, _function in RENAMED.items():
    setattr(Operators, _name, _method(_function, _name))
for _name, _dtype in CONVERSIONS.items():
    setattr(Operators, _name, _conversion(_name, _dtype))
for _name in {*REFUSED, *absent.METHODS, *(f"{name}_" for name in (*METHODS, *RENAMED, *absent.METHODS))}:
    if not hasattr(Operators, _name):
        setattr(Operators, _name, Refused("a tensor", _name))
for _name in CHANGES:
    setattr(Operators, _name, Changing("a tensor", _name))
for _name in REFUSED_BY_CUDA:
    setattr(cuda, _name, Refused("tr.cuda", _name))


__all__ = ["FUNCTIONS", "Operators"]
