"""vjp, jvp, hvp, jacobian and hessian: derivatives of functions, all built on `grad`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinyres.arrays import namespace
from tinyres.autograd.reverse import grad
from tinyres.autograd.tensor import FUNCTIONS, Tensor, raw, wrap
from tinyres.context import enable_grad
from tinyres.refusals.wording import describe

Inputs = Tensor | Sequence[Tensor]


def _fresh(inputs: Inputs) -> list[Tensor]:
    """New tensors to differentiate in: leaves, or copies within the graph of inputs that belong to one."""
    given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    identity = FUNCTIONS["identity"]
    return [identity(x) if x.requires_grad else wrap(x.data).requires_grad_() for x in given]


def _like(inputs: Inputs, found: Sequence[Any]) -> Any:
    """One result for one tensor, a tuple for a sequence."""
    return found[0] if isinstance(inputs, Tensor) else tuple(found)


def _zeros(found: Sequence[Tensor | None], like: Sequence[Tensor]) -> list[Tensor]:
    return [wrap(namespace(x.data).zeros_like(x.data)) if g is None else g for g, x in zip(found, like, strict=True)]


def vjp(
    function: Callable[..., Tensor], inputs: Inputs, v: Any = None, *, create_graph: bool = False
) -> tuple[Tensor, Any]:
    """Vector-Jacobian product: (function(inputs), v^T J).

    v has the shape of the output, and may be left out if that has one element. Inputs that the output does not depend
    on get zeros.
    """
    with enable_grad():
        xs = _fresh(inputs)
        y = function(*xs)
        if not y.requires_grad:
            return y, _like(inputs, _zeros([None] * len(xs), xs))
        found = grad(y, xs, v, create_graph=create_graph, allow_unused=True)
    return (y if create_graph else y.detach()), _like(inputs, _zeros(found, xs))


def jvp(
    function: Callable[..., Tensor], inputs: Inputs, v: Any, *, create_graph: bool = False
) -> tuple[Tensor, Tensor]:
    """Jacobian-vector product: (function(inputs), J v), the derivative along v, which has the shapes of the inputs.

    It takes two reverse passes. The first gives u^T J as a function of u. That is linear in u, so it does not matter
    where it is differentiated (here at u = 0), and the second pass, with cotangent v, gives J v.
    """
    with enable_grad():
        xs = _fresh(inputs)
        y = function(*xs)
        vs = [v] if isinstance(inputs, Tensor) else list(v)
        for i, (x, t) in enumerate(zip(xs, vs, strict=True)):
            if tuple(t.shape) != x.shape:
                raise ValueError(
                    f"jvp: v[{i}] is {describe(raw(t))}, the input is {describe(x)}: they must have one shape"
                )
        zero = wrap(namespace(y.data).zeros_like(y.data)).requires_grad_()
        if not y.requires_grad:
            return y, zero.detach()
        back = grad(y, xs, zero, create_graph=True, allow_unused=True)
        used = [(g, t) for g, t in zip(back, vs, strict=True) if g is not None and g.requires_grad]
        if not used:
            return y.detach(), zero.detach()
        (pushed,) = grad(
            [g for g, _ in used], [zero], [t for _, t in used], create_graph=create_graph, allow_unused=True
        )
    return (y if create_graph else y.detach()), zero.detach() if pushed is None else pushed


def hvp(function: Callable[..., Tensor], inputs: Inputs, v: Any) -> tuple[Tensor, Any]:
    """Hessian-vector product: (function(inputs), H v), f with one output. H v is the gradient of <grad f, v>.

    Pearlmutter 1994 [pearlmutter1994fast].
    """
    with enable_grad():
        xs = _fresh(inputs)
        y = function(*xs)
        if not y.requires_grad:
            return y, _like(inputs, _zeros([None] * len(xs), xs))
        vs = [v] if isinstance(inputs, Tensor) else list(v)
        first = grad(y, xs, create_graph=True, allow_unused=True)
        used = [(g, t) for g, t in zip(first, vs, strict=True) if g is not None and g.requires_grad]
        if not used:
            return y.detach(), _like(inputs, _zeros([None] * len(xs), xs))
        found = grad([g for g, _ in used], xs, [t for _, t in used], allow_unused=True)
    return y.detach(), _like(inputs, _zeros(found, xs))


def jacobian(function: Callable[..., Tensor], inputs: Inputs, *, create_graph: bool = False) -> Any:
    """The Jacobian J[i, j] = d y_i / d x_j, by one reverse pass for each row.

    Returns:
        One tensor of shape (*output, *input), or a tuple of them for several inputs.
    """
    with enable_grad():
        xs = _fresh(inputs)
        y = function(*xs)
        xp = namespace(y.data)
        rows: list[list[Tensor]] = []
        for i in range(y.size):
            seed = xp.zeros(y.size, y.dtype)
            seed[i] = 1
            found: Sequence[Any] = [None] * len(xs)
            if y.requires_grad:
                found = grad(
                    y, xs, seed.reshape(y.shape), create_graph=create_graph, retain_graph=True, allow_unused=True
                )
            rows.append(_zeros(found, xs))
    stack, reshape = FUNCTIONS["stack"], FUNCTIONS["reshape"]
    whole = []
    for j, x in enumerate(xs):
        column = stack([row[j] for row in rows]) if rows else wrap(xp.zeros((0, *x.shape), x.dtype))
        whole.append(reshape(column, (*y.shape, *x.shape)))
    return _like(inputs, whole)


def hessian(function: Callable[..., Tensor], x: Tensor) -> Tensor:
    """The Hessian H[i, j] = d^2 f / dx_i dx_j of a function with one output, of shape (*x, *x)."""

    def gradient(z: Tensor) -> Tensor:
        y = function(z)
        if y.size != 1:
            raise ValueError(f"hessian: the function must return one element, got shape {y.shape}")
        (g,) = grad(y, [z], create_graph=True, allow_unused=True) if y.requires_grad else (None,)
        return _zeros([g], [z])[0]

    return jacobian(gradient, x)  # type: ignore[no-any-return]
