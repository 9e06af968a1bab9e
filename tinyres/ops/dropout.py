"""Dropout: zeros at random, of single entries or of whole channels."""

from __future__ import annotations

from typing import Any

from tinyres.arrays import device_of, to_device
from tinyres.arrays.random import Rng, rng_of
from tinyres.autograd.calling import public
from tinyres.autograd.checkpoint import note_draw
from tinyres.autograd.tensor import raw, wrap
from tinyres.ops.elementwise import where
from tinyres.refusals.kinds import FLAG
from tinyres.refusals.wording import describe


@public
def dropout(input: Any, p: float = 0.5, training: bool = True, *, rng: Rng = None) -> Any:
    """Set each entry to 0 with probability p, and divide the others by 1 - p; without training y = x.

    Srivastava et al. 2014 [srivastava2014dropout], "Dropout: a simple way to prevent neural networks from overfitting",
    in the inverted form, whose evaluation needs no scaling.

    Args:
        rng: a generator or a seed. Each call in training draws from it on the CPU, and moves the mask to x, so that the
            same entries are dropped on every device.

    Raises:
        ValueError: p is not in [0, 1].
    """
    return _dropped("dropout", input, p, training, input.ndim, rng)


@public
def dropout1d(input: Any, p: float = 0.5, training: bool = True, *, rng: Rng = None) -> Any:
    """`dropout` of whole channels of signals (N, C, L), or of one signal (C, L)."""
    if input.ndim not in (2, 3):
        raise ValueError(f"dropout1d: needs signals (N, C, L), or one (C, L), got {describe(raw(input))}")
    return _dropped("dropout1d", input, p, training, input.ndim - 1, rng)


@public
def dropout2d(input: Any, p: float = 0.5, training: bool = True, *, rng: Rng = None) -> Any:
    """`dropout` of whole channels of images (N, C, H, W), or of one image (C, H, W)."""
    if input.ndim not in (3, 4):
        raise ValueError(f"dropout2d: needs images (N, C, H, W), or one (C, H, W), got {describe(raw(input))}")
    return _dropped("dropout2d", input, p, training, input.ndim - 2, rng)


def _dropped(op: str, x: Any, p: float, training: bool, axes: int, rng: Any) -> Any:
    """Dropout with a draw for each place of the first `axes` axes."""
    if not 0 <= p <= 1:
        raise ValueError(f"{op}: p is a probability and must be in [0, 1], got {p}")
    if not training or p == 0:
        return x
    if training is not True:
        FLAG.check(op, "training", training)
    rng = rng_of(rng)
    note_draw(rng)
    if axes == 4:  # drawn in the order of an image's memory, so that the product keeps its layout
        n, c, h, w = x.shape
        keep = (rng.random((n, h, w, c)) >= p).transpose(0, 3, 1, 2)
    else:
        keep = rng.random(x.shape[:axes] + (1,) * (x.ndim - axes)) >= p
    keep = to_device(keep, device_of(raw(x)))
    # `where` and not a product with the mask, which would turn an infinite entry that is dropped into NaN.
    kept = where(wrap(keep), x, 0.0)
    return kept if p == 1 else kept * (1 / (1 - p))
