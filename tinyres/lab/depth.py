"""A net taken layer by layer: what comes out of each, and what a layer does to a logarithm on average."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import tinyres as tr


def states(layers: Iterable[Callable[[Any], Any]], x: Any) -> list[Any]:
    """x, as a leaf that wants a gradient, and the output of every layer."""
    found = [tr.tensor(x, requires_grad=True)]
    for layer in layers:
        found.append(layer(found[-1]))
    return found


def slope(curve: Any) -> float:
    """Of a straight line through the points of a curve, one per layer."""
    return float(np.polyfit(np.arange(len(curve)), curve, 1)[0])


__all__ = ["slope", "states"]
