"""What was copied on the way forwards is summed on the way back: copying and summing are each other's transpose.

With B the matrix of broadcasting: <g, B b> = <B^T g, b>.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from tinyres.exercises.expect import expect, function

# Shape of the input, shape of the output.
CASES = [
    ((3,), (4, 3)), ((4, 3), (4, 3)), ((1, 3), (4, 3)), ((4, 1), (4, 3)), ((), (4, 3)), ((1, 1), (4, 3)), ((), ()),
    ((2, 1, 3), (2, 4, 3)), ((1, 3), (2, 4, 3)), ((4, 1), (2, 4, 3)), ((1,), (2, 4, 3)), ((1, 3), (1, 3)),
    ((3, 3), (3, 3, 3)), ((3,), (0, 3)), ((1, 3), (0, 3)),
]  # fmt: skip


def check(answer: Callable[[np.ndarray, tuple[int, ...]], np.ndarray]) -> None:
    """Compare answer(g, shape) with the sum over all elements of the output that are copies of one of the input."""
    unbroadcast = function(answer, "unbroadcast(g, shape)")
    rng = np.random.default_rng(0)
    for shape, whole in CASES:
        g = rng.standard_normal(whole)
        kept = g.copy()
        came = np.asarray(unbroadcast(g, shape))
        where = f"g of shape {whole} for an input of shape {shape}"
        assert np.array_equal(g, kept), (
            f"{where}: g itself was changed, but others may still read it. Make a new array."
        )
        assert came.shape == shape, f"{where}: got a result of shape {came.shape}. {_shape_hint(shape, whole)}"
        needed = _summed(g, shape)
        expect(came, needed, where, partial(_hint, g, came, needed), rel=1e-9, floor=1e-12)


def _summed(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """By the definition: each element of the output is given to the element of the input that it is a copy of."""
    total = np.zeros(shape)
    owner = np.broadcast_to(np.arange(total.size).reshape(shape), g.shape)
    np.add.at(total.reshape(-1), owner.ravel(), g.ravel())
    return total


def _shape_hint(shape: tuple[int, ...], whole: tuple[int, ...]) -> str:
    if shape == whole:
        return "Nothing was copied there: g goes through as it is."
    if len(whole) > len(shape):
        return "Shapes are compared from the right: axes that the input did not have come first. Sum over those too."
    return "An axis of length 1 that was stretched is summed over and kept, with length 1."


def _hint(g: np.ndarray, came: np.ndarray, needed: np.ndarray) -> str:
    copies = g.size / needed.size if needed.size else 0
    if g.size and np.allclose(came * copies, needed):
        return "That is the mean of the copies; each copy is a route of its own, and routes that meet are added."
    if g.size and copies > 1 and np.isin(came, g).all():
        return "That is the gradient of one of the copies; all of them moved the result."
    if not g.size:
        return "Nothing was copied there, so nothing arrives: a sum over no elements is 0."
    return "Is the right axis summed over? Shapes are compared from the right."


__all__ = ["check"]
