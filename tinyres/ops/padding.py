"""Padding: with a constant, or with the tensor's own values, mirrored, repeated or from the other end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyres.arrays import empty_in_order, namespace
from tinyres.autograd.calling import primitive, public
from tinyres.autograd.tensor import raw
from tinyres.ops.indexing import getitem_
from tinyres.ops.shape import INTEGERS

MODES = "constant", "reflect", "replicate", "circular"


@primitive
def pad_(x, *, widths, value):
    out = empty_in_order(tuple(n + before + after for n, (before, after) in zip(x.shape, widths, strict=True)), like=x)
    out.fill(value)
    out[tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, widths, strict=True))] = x
    return out


pad_.vjp(x=lambda g, x_shape, widths: g[tuple(slice(b, b + n) for (b, _), n in zip(widths, x_shape, strict=True))])


@public
def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Padding; `pad` as in PyTorch: (left, right) of the last axis, then of the one before it, and so on.

    Negative widths cut off what they count.

    Args:
        mode: "constant"; "reflect", the values mirrored at the first and the last one, c b | a b c | b a; "replicate",
            those two repeated, a a | a b c | c c; or "circular", the values of the other end, b c | a b c | a b.
        value: of the constant; 0 by default.

    Raises:
        TypeError: the widths are no integers.
        ValueError: there are too many of them; an axis is too short to be mirrored or cut so far; the mode is unknown.
    """
    if not isinstance(pad, (tuple, list)) or not all(isinstance(n, INTEGERS) for n in pad):
        raise TypeError(f"pad: needs a list of integers, (left, right) of the last axis first, got {pad!r}")
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise ValueError(f"pad: needs pairs for at most {input.ndim} axes, got {tuple(pad)}")
    if mode not in MODES:
        raise ValueError(f"pad: mode must be one of {', '.join(map(repr, MODES))}, got {mode!r}")
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    widths = ((0, 0),) * (input.ndim - len(pairs)) + tuple(pairs)
    for axis, ((before, after), n) in enumerate(zip(widths, input.shape, strict=True)):
        if n + before + after < 0 or before < -n or after < -n:
            raise ValueError(f"pad: axis {axis} has {n} entries, which ({before}, {after}) cuts to less than none")
    if mode == "constant":
        return _constant(input, widths, 0.0 if value is None else value)
    if value is not None:
        raise ValueError(f"pad: value={value} is for mode 'constant', not for {mode!r}")
    if mode == "circular":  # goes round what is left
        input, widths = _cropped(input, widths)
    for axis, (before, after) in enumerate(widths):
        if before or after:
            input = taken(input, _sources(input.shape[axis], before, after, mode), axis)
    return input


def taken(x: Any, index: Any, axis: int) -> Any:
    """x[:, ..., index, ...]: the slices of an axis in the order of `index`, integers of NumPy."""
    return getitem_(x, key=(slice(None),) * axis + (namespace(raw(x)).asarray(index),))


def _constant(x: Any, widths: tuple[tuple[int, int], ...], value: float) -> Any:
    x, widths = _cropped(x, widths)
    return pad_(x, widths=widths, value=value)


def _cropped(x: Any, widths: tuple[tuple[int, int], ...]) -> tuple[Any, tuple[tuple[int, int], ...]]:
    """x without what negative widths cut off, and the widths that are left."""
    if all(n >= 0 for pair in widths for n in pair):
        return x, widths
    ends = zip(widths, x.shape, strict=True)
    x = getitem_(x, key=tuple(slice(max(-before, 0), n + min(after, 0)) for (before, after), n in ends))
    return x, tuple((max(before, 0), max(after, 0)) for before, after in widths)


def _sources(n: int, before: int, after: int, mode: str) -> Any:
    """Which entry of an axis of n stands at each place of the padded one."""
    places = np.arange(-before, n + after)
    most = {"reflect": n - 1, "circular": n, "replicate": max(before, after) if n else 0}[mode]
    if max(before, after) > most:
        needed = "at least one entry" if mode == "replicate" else f"widths of at most {max(most, 0)}"
        raise ValueError(f"pad: mode {mode!r} needs {needed} on an axis of {n}, got ({before}, {after})")
    if mode == "replicate":
        return places.clip(0, n - 1)
    if mode == "circular":
        return places % n
    inside = np.abs(places)
    return np.where(inside < n, inside, 2 * (n - 1) - inside)


__all__ = ["pad", "taken"]
