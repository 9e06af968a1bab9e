"""Whole numbers on an axis that counts something: blocks, layers, steps, modes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.autograd.tensor import Array

LEAST = 2  # the least span of numbers up an axis: shares may be 0 and 1 alone, and are no counts


def whole_ticks(figure: Any) -> None:
    """Let no tick fall between the whole numbers where all that is drawn lies at whole numbers.

    Logarithmic axes stay as they are, and so do ticks that were set.
    """
    from matplotlib.ticker import AutoLocator

    for axes in figure.axes:
        for k, axis in enumerate((axes.xaxis, axes.yaxis)):
            values = _drawn(axes, k)
            counts = values.size > 0 and bool((values == np.round(values)).all())
            if counts and (k == 0 or np.ptp(values) >= LEAST) and type(axis.get_major_locator()) is AutoLocator:
                whole(axis)


def whole(axis: Any) -> None:
    """Ticks of this axis at whole numbers only."""
    axis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def _drawn(axes: Any, k: int) -> Array:
    """Where along this axis (0: x, 1: y) its lines and dots lie, as far as they lie anywhere in its coordinates."""
    found = [np.empty(0)]
    for line in axes.lines:
        if line.get_transform() == axes.transData:  # a line across the whole panel lies at no number
            found.append(np.ma.filled(np.ma.asarray(line.get_data()[k], dtype="float64"), np.nan).ravel())
    for dots in axes.collections:
        if dots.get_offset_transform() == axes.transData and len(dots.get_paths()) > 0:
            found.append(np.ma.filled(np.ma.asarray(dots.get_offsets(), dtype="float64"), np.nan)[:, k])
    for image in axes.images:  # pixels around whole numbers
        low, high = sorted(image.get_extent()[2 * k : 2 * k + 2])
        found.append(np.array([low + 0.5, high - 0.5]))
    values = np.concatenate(found)
    return values[np.isfinite(values)]


__all__ = ["whole", "whole_ticks"]
