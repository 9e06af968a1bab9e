"""Matrix products, fully connected layers, and Einstein sums composed of products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres.arrays import empty, kernels_for, namespace
from tinyres.autograd.calling import primitive, public
from tinyres.autograd.operands import array_of
from tinyres.autograd.tensor import raw
from tinyres.ops.reduction import sum as sum_over
from tinyres.ops.shape import expand, matrix_transpose, permute, reshape
from tinyres.refusals.wording import describe

LARGE = 1 << 18  # multiplications; up to here OpenBLAS does not wake its threads either


def _same_dtype(x, w):
    if x.dtype != w.dtype:
        raise TypeError(f"the dtypes {x.dtype} and {w.dtype} differ; convert one, e.g. with .astype('{w.dtype}')")


@primitive(broadcasts=True)
def matmul_(x, w):
    try:
        if x.ndim != 2 or w.ndim != 2:
            return _stacked(x, w)
    except AttributeError:  # a number
        raise _NoMatrices from None
    if x.dtype is not w.dtype:
        _same_dtype(x, w)
    if len(x) * w.size < LARGE or x.shape[1] != w.shape[0] or x.dtype.kind != "f":
        return x.dot(w)  # NumPy gets to a small product faster through `dot`
    return kernels_for(x, w).matmul(x, w, empty((x.shape[0], w.shape[1]), like=x))


class _NoMatrices(Exception):
    """A product of other than matrices: `matmul` brings them into shape. It asks no question that most need not."""


def _stacked(x, w):
    if x.ndim < 2 or w.ndim < 2:
        raise _NoMatrices
    _same_dtype(x, w)
    return x @ w


def _t(x):
    return x.T if x.ndim == 2 else matrix_transpose(x)


matmul_.vjp(x=lambda g, w: matmul_(g, _t(w)), w=lambda g, x: matmul_(_t(x), g))


@public
def matmul(x: Any, w: Any) -> Any:
    """x @ w over the last two axes, the others broadcast; a vector is a row on the left and a column on the right."""
    try:
        return matmul_(x, w)
    except _NoMatrices:
        x, w = (v if hasattr(v, "ndim") else array_of(v, "matmul") for v in (x, w))
    if not x.ndim or not w.ndim:
        raise ValueError(f"matmul: needs vectors or matrices, got {describe(x)} and {describe(w)}; use * for numbers")
    row = reshape(x, (1, *x.shape)) if x.ndim == 1 else x
    column = reshape(w, (*w.shape, 1)) if w.ndim == 1 else w
    y = matmul_(row, column)
    shape = y.shape[: -1 if w.ndim == 1 else None]
    return reshape(y, shape[:-1] if x.ndim == 1 and w.ndim == 1 else (*shape[:-2], shape[-1]) if x.ndim == 1 else shape)


@primitive
def linear_(x, w, b):
    if x.dtype is not w.dtype:
        _same_dtype(x, w)
    rows = _rows(x)
    if b is not None and b.dtype is not w.dtype:
        _same_dtype(b, w)
    if len(rows) * w.size < LARGE or rows.shape[1] != w.shape[1] or x.dtype.kind != "f":
        y = rows.dot(w.T)
        if b is not None:
            y += b
    else:
        y = kernels_for(rows, w).linear(rows, w, b, empty((rows.shape[0], w.shape[0]), like=rows))
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], w.shape[0])


def _rows(x):
    """(..., n) as a matrix (M, n)."""
    return x if x.ndim == 2 else reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def _linear_dx(g, w, x_shape):
    dx = matmul_(_rows(g), w)
    return dx if len(x_shape) == 2 else reshape(dx, x_shape)


linear_.vjp(
    x=_linear_dx,
    w=lambda g, x: matmul_(_t(_rows(g)), _rows(x)),
    b=lambda g: sum_over(_rows(g), 0),
)


@public
def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """y = x W^T + b.

    Args:
        input: x, (..., in_features).
        weight: W, (out_features, in_features); or (in_features,), for a single output without an axis of its own.
        bias: b, (out_features,), or what broadcasts to y; or None.

    Returns:
        (..., out_features).

    Raises:
        ValueError: the shapes do not fit together.
        TypeError: x and W have different dtypes.
    """
    if not input.ndim or input.shape[-1] != weight.shape[-1]:
        raise ValueError(
            f"linear(input: {describe(input)}, weight: {describe(weight)}): the last axes differ; needed are input "
            "(..., in_features) and weight (out_features, in_features)"
        )
    if weight.ndim == 2 and (bias is None or bias.shape == weight.shape[:1]):
        return linear_(input, weight, bias)
    y = matmul(input, weight.T)
    return y if bias is None else y + bias


@public
def einsum(subscripts: str, *operands: Any) -> Any:
    """The Einstein sum, e.g. einsum("bij,bjk->bik", x, y): pair by pair, each a batched matrix product.

    Letters that repeat within one operand take its diagonal; `...` stands for axes that broadcast; without `->` the
    result has the letters that occur once, in alphabetical order, as in NumPy. Operands may also come as one list.
    """
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)) and hasattr(operands[0][0], "ndim"):
        operands = tuple(operands[0])
    if not isinstance(subscripts, str):
        raise TypeError(
            "einsum: the first argument is a string such as 'ij,jk->ik'; operands with lists of their axes are not "
            f"taken, got {type(subscripts).__name__}"
        )
    terms, out = _parse(subscripts, operands)
    parts = [_diagonal(x, term) for x, term in zip(operands, terms, strict=True)]
    x, term = parts[0]
    for k, (other, letters) in enumerate(parts[1:], start=2):
        wanted = set(out).union(*(t for _, t in parts[k:]))
        x, term = _contract(x, term, other, letters, wanted)
    x, term = _sum_out(x, term, set(out))
    return permute(x, tuple(term.index(c) for c in out)) if term != out else x


def _parse(subscripts: str, operands: tuple[Any, ...]) -> tuple[list[str], str]:
    left, arrow, out = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise ValueError(f"einsum: {subscripts!r} names {len(terms)} operands, got {len(operands)}")
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in subscripts]
    widest = 0
    for i, (term, x) in enumerate(zip(terms, operands, strict=True)):
        hidden = x.ndim - len(term.replace("...", ""))
        if hidden < 0 or (hidden and "..." not in term):
            raise ValueError(f"einsum: {term!r} of {subscripts!r} does not fit an operand of shape {tuple(x.shape)}")
        widest = hidden if hidden > widest else widest
        terms[i] = term.replace("...", "".join(spare[:hidden][::-1]))  # aligned at the last axis
    if not arrow:
        once = "".join(sorted(c for c in set(left) - {",", "."} if left.count(c) == 1))
        out = ("..." if "..." in left else "") + once
    out = out.replace("...", "".join(spare[:widest][::-1]))
    unknown = set(out) - set("".join(terms))
    if unknown or len(set(out)) != len(out):
        raise ValueError(f"einsum: the output {out!r} of {subscripts!r} must name letters of the operands, each once")
    return terms, out


def _diagonal(x: Any, term: str) -> tuple[Any, str]:
    for c in dict.fromkeys(term):
        while term.count(c) > 1:
            a = term.index(c)
            b = term.index(c, a + 1)
            if x.shape[a] != x.shape[b]:
                raise ValueError(f"einsum: {c!r} stands for both {x.shape[a]} and {x.shape[b]}")
            rest = [k for k in range(x.ndim) if k not in (a, b)]
            index = namespace(raw(x)).arange(x.shape[a])
            x = permute(x, (a, b, *rest))[index, index]
            term = c + "".join(term[k] for k in rest)
    return x, term


def _sum_out(x: Any, term: str, wanted: set[str]) -> tuple[Any, str]:
    lone = tuple(k for k, c in enumerate(term) if c not in wanted)
    return (sum_over(x, lone), "".join(c for c in term if c in wanted)) if lone else (x, term)


def _contract(x: Any, a: str, y: Any, b: str, wanted: set[str]) -> tuple[Any, str]:
    """One pair: letters in both that are wanted later are the batch, the other common ones are summed."""
    x, a = _sum_out(x, a, wanted | set(b))
    y, b = _sum_out(y, b, wanted | set(a))
    sizes: dict[str, int] = {}
    for c, n in [*zip(a, x.shape, strict=True), *zip(b, y.shape, strict=True)]:
        if n != 1 and sizes.get(c, 1) not in (1, n):
            raise ValueError(f"einsum: {c!r} stands for both {sizes[c]} and {n}")
        sizes[c] = n if n != 1 else sizes.get(c, 1)
    batch = [c for c in a if c in b and c in wanted]
    summed = [c for c in a if c in b and c not in wanted]
    # A summed letter of size 1 stands for as many equal terms as its partner has.
    x = expand(x, tuple(sizes[c] if c in summed else n for c, n in zip(a, x.shape, strict=True)))
    y = expand(y, tuple(sizes[c] if c in summed else n for c, n in zip(b, y.shape, strict=True)))
    rows = [c for c in a if c not in b]
    columns = [c for c in b if c not in a]

    def arrange(z: Any, letters: str, *groups: list[str]) -> Any:
        z = permute(z, tuple(letters.index(c) for group in groups for c in group))
        lead = tuple(z.shape[: len(groups[0])])
        inner = [int(np.prod([z.shape[k] for k in _span(groups, j)])) for j in (1, 2)]
        return reshape(z, (*lead, *inner))

    product = matmul_(arrange(x, a, batch, rows, summed), arrange(y, b, batch, summed, columns))
    shape = tuple(product.shape[: len(batch)])
    return reshape(product, (*shape, *(sizes[c] for c in [*rows, *columns]))), "".join([*batch, *rows, *columns])


def _span(groups: tuple[list[str], ...], j: int) -> range:
    start = sum(len(group) for group in groups[:j])
    return range(start, start + len(groups[j]))
