"""Repeating, shifting, diagonals and triangles: compositions of the shapes' primitives and indexing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyres.arrays import namespace
from tinyres.autograd.calling import public
from tinyres.autograd.tensor import raw
from tinyres.ops.elementwise import where
from tinyres.ops.indexing import added_at, getitem
from tinyres.ops.reduction import sum as sum_over
from tinyres.ops.shape import axes_of, concatenate, expand, numel, permute, reshape, sizes_of, split, transpose


@public
def view_as(input: Any, other: Any) -> Any:
    """x in the shape of another tensor."""
    return reshape(input, tuple(other.shape))


@public
def expand_as(input: Any, other: Any) -> Any:
    """x broadcast to the shape of another tensor."""
    return expand(input, tuple(other.shape))


@public
def repeat(input: Any, *repeats: Any) -> Any:
    """x next to itself, so many times along each axis; more numbers than axes make new axes in front."""
    counts = sizes_of(repeats)
    if len(counts) < input.ndim:
        raise ValueError(f"repeat: needs a number for each of the {input.ndim} axes, got {tuple(counts)}")
    shape = (1,) * (len(counts) - input.ndim) + tuple(input.shape)
    x = reshape(input, tuple(n for size in shape for n in (1, size)))
    x = expand(x, tuple(n for pair in zip(counts, shape, strict=True) for n in pair))
    return reshape(x, tuple(k * n for k, n in zip(counts, shape, strict=True)))


@public
def tile(input: Any, *dims: Any) -> Any:
    """`repeat`, where axes for which there is no number, the first ones, stay as they are."""
    counts = sizes_of(dims)
    return repeat(input, (1,) * (input.ndim - len(counts)) + tuple(counts))


@public
def chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    """Split into `chunks` pieces of the same size along `dim`; the last may be smaller, and there may be fewer."""
    if chunks < 1:
        raise ValueError(f"chunk: the number of chunks must be positive, got {chunks}")
    (axis,) = axes_of(dim, input.ndim)
    size: int = -(-input.shape[axis] // chunks)
    pieces: tuple[Any, ...] = split(input, size or [0] * chunks, axis)
    return pieces


@public
def unbind(input: Any, dim: int = 0) -> tuple[Any, ...]:
    """The slices along an axis, without it."""
    (axis,) = axes_of(dim, input.ndim)
    return tuple(getitem(input, (*(slice(None),) * axis, i)) for i in range(input.shape[axis]))


@public
def roll(input: Any, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Any:
    """Shift along axes; what leaves at one end comes in at the other. Without dims, shift the flattened tensor."""
    if dims is None or dims in ((), []):
        return reshape(roll(reshape(input, -1), shifts, 0), tuple(input.shape)) if input.ndim else input
    axes = axes_of(dims, input.ndim)
    by = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    if axes and len(by) != len(axes):
        raise ValueError(f"roll: {len(by)} shifts for {len(axes)} axes; each needs one")
    for shift, axis in zip(by, axes, strict=False):
        n = input.shape[axis]
        if n and shift % n:
            start, end = split(input, [n - shift % n, shift % n], axis)
            input = concatenate([end, start], axis)
    return input


@public
def movedim(input: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """The axes `source` at the places `destination`; the others keep their order."""
    come, go = axes_of(source, input.ndim), axes_of(destination, input.ndim)
    if len(come) != len(go) or len({*come}) != len(come) or len({*go}) != len(go):
        raise ValueError(f"movedim: needs as many places as axes, each once, got {source} and {destination}")
    order = [a for a in range(input.ndim) if a not in come]
    for place, axis in sorted(zip(go, come, strict=True)):
        order.insert(place, axis)
    return permute(input, tuple(order))


@public
def meshgrid(*tensors: Any, indexing: str | None = "ij") -> tuple[Any, ...]:
    """Vectors spread over a grid: the k-th result varies along axis k. With indexing="xy" the first two axes swap."""
    xs = tuple(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    if indexing not in ("ij", "xy", None):  # PyTorch's default, which is "ij"
        raise ValueError(f"meshgrid: indexing is 'ij' or 'xy', got {indexing!r}")
    sizes = tuple(numel(x) for x in xs)
    grids = [expand(reshape(x, (-1, *(1,) * (len(xs) - 1 - k))), sizes) for k, x in enumerate(xs)]
    swapped = indexing == "xy" and len(xs) > 1
    return tuple(transpose(grid, 0, 1) if swapped else grid for grid in grids)


# -- diagonals and triangles ----------------------------------------------------------------------------------------
@public
def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """The elements [i, i + offset] over two axes, as a new last axis."""
    (a,), (b,) = axes_of(dim1, input.ndim), axes_of(dim2, input.ndim)
    if a == b:
        raise ValueError(f"diagonal: needs two axes, got {dim1} and {dim2}")
    rest = [k for k in range(input.ndim) if k not in (a, b)]
    rows, columns = _diagonal(input, input.shape[a], input.shape[b], offset)
    return getitem(permute(input, (*rest, a, b)), (..., rows, columns))


@public
def diag(input: Any, diagonal: int = 0) -> Any:
    """The diagonal of a matrix, or the square matrix with a vector on its diagonal and 0 elsewhere."""
    if input.ndim == 2:
        return getitem(input, _diagonal(input, input.shape[0], input.shape[1], diagonal))
    if input.ndim != 1:
        raise ValueError(f"diag: needs a vector or a matrix, got shape {tuple(input.shape)}")
    n = input.shape[0] + abs(diagonal)
    return added_at(input, key=_diagonal(input, n, n, diagonal), shape=(n, n))


@public
def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Matrices over two new axes, with the last axis of x on their diagonals and 0 elsewhere."""
    n, ndim = input.shape[-1] + abs(offset), input.ndim + 1
    (a,), (b,) = axes_of(dim1, ndim), axes_of(dim2, ndim)
    if a == b:
        raise ValueError(f"diag_embed: needs two axes, got {dim1} and {dim2}")
    matrices = added_at(input, key=(..., *_diagonal(input, n, n, offset)), shape=(*input.shape[:-1], n, n))
    places = iter(range(ndim - 2))
    return permute(matrices, tuple(ndim - 2 if k == a else ndim - 1 if k == b else next(places) for k in range(ndim)))


@public
def trace(input: Any) -> Any:
    """The sum of a matrix's diagonal. (At top level, `tr.trace` of a function records it for the viewer.)"""
    if input.ndim != 2:
        raise ValueError(f"trace: needs a matrix, got shape {tuple(input.shape)}")
    return sum_over(diag(input))


@public
def tril(input: Any, diagonal: int = 0) -> Any:
    """The lower triangle: the elements [i, j] with j <= i + diagonal, and 0 elsewhere."""
    return where(_above(input, diagonal), _zero(input), input)


@public
def triu(input: Any, diagonal: int = 0) -> Any:
    """The upper triangle: the elements [i, j] with j >= i + diagonal, and 0 elsewhere."""
    return where(_above(input, diagonal - 1), input, _zero(input))


def _zero(x: Any) -> Any:
    """0 in the dtype of x."""
    return namespace(raw(x)).zeros((), x.dtype)


def _above(x: Any, k: int) -> Any:
    if x.ndim < 2:
        raise ValueError(f"tril and triu: need matrices, got shape {tuple(x.shape)}")
    xp = namespace(raw(x))
    return xp.arange(x.shape[-1]) > xp.arange(x.shape[-2])[:, None] + k


def _diagonal(x: Any, rows: int, columns: int, offset: int) -> tuple[Any, Any]:
    """The indices of a diagonal of a matrix of so many rows and columns."""
    first, right = max(-offset, 0), max(offset, 0)
    index = namespace(raw(x)).arange(max(min(rows - first, columns - right), 0))
    return index + first, index + right


__all__ = [
    "chunk", "diag", "diag_embed", "diagonal", "expand_as", "meshgrid", "movedim", "repeat", "roll", "tile", "tril",
    "triu", "unbind", "view_as",
]  # fmt: skip
