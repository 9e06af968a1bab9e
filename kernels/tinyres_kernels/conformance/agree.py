"""Do these results agree with the specification? A light check of what a kernel has computed already, at any size.

Each element may be a few roundings away, of the size of the terms that it is a sum of. A large convolution is not
computed a second time, but projected (`projection.py`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyres_kernels.conformance.calling import Arrays, specification
from tinyres_kernels.conformance.declare import Op
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.conformance.projection import projections, worthwhile
from tinyres_kernels.namespace import Array

ROUNDINGS = 4  # allowed, in eps of the result's dtype times the sum of the terms' absolute values
# Relative errors of results that were rounded to these: half of eps at most, and more where some such are added.
ROUNDED = {"float32": (4e-9, 1e-6), "float16": (5e-5, 8e-4), "bfloat16": (8e-4, 1e-2)}
ENOUGH, SHARE = 8, 0.2  # wrong elements that tell it; of these, in each direction
WIDE = float(np.finfo("float64").eps)  # the specification rounds too


def disagreements(
    op_name: str, inputs: Arrays, outputs: Arrays, keywords: dict[str, Any], *, roundings: float = ROUNDINGS
) -> list[str]:
    """What is wrong with the `outputs` that some kernel made from the `inputs`: a sentence for each that is wrong.

    Both are NumPy arrays by the names of the operation's arguments (`OPS[op_name].order`); arrays that the call was
    given None for are in neither. The specification is computed in float64. What is not finite must be the same kind
    of not finite, with the exception at the rim of an image that the package's promises name.
    """
    op = OPS[op_name]
    if worthwhile(op, inputs, outputs, keywords) and _projections_agree(op, inputs, outputs, keywords, roundings):
        return []  # else everything is computed, to say where
    expected, allowed = standard(op, inputs, outputs, keywords, roundings)
    faults = []
    for name, got in outputs.items():
        wrong = ~right(got, expected[name], allowed[name])
        if name == "out" and op.name.startswith("conv2d"):
            wrong &= ~(_at_rim(op, inputs, keywords["groups"]) & (np.isnan(got) | np.isnan(expected[name])))
        if wrong.any():
            faults.append(worst(name, wrong, got, expected[name], allowed[name]))
    return faults


def standard(
    op: Op, inputs: Arrays, outputs: Arrays, keywords: dict[str, Any], roundings: float
) -> tuple[Arrays, Arrays]:
    """What the results are specified to be, and how far each element may be from it."""
    wide = {name: a if a.dtype.kind == "i" else a.astype("float64") for name, a in inputs.items()}
    expected = specification(op.name, wide, outputs, keywords, op.order)
    with np.errstate(all="ignore"):
        sizes = op.size(op, wide, keywords, expected)
        if "out" in sizes:
            sizes["out"] = _of_the_tile(op.name, inputs, sizes["out"], keywords)
        number = np.finfo(next(a.dtype for a in outputs.values() if a.dtype.kind == "f"))
        # Below `tiny` numbers have steps in place of digits. What selects and never computes (of size 0) has no excuse.
        allowed = {
            name: (roundings * float(number.eps) + 2 * WIDE) * size + np.where(size > 0, float(number.tiny), 0.0)
            for name, size in sizes.items()
        }
    return expected, allowed


def _of_the_tile(op: str, inputs: Arrays, size: Array, keywords: dict[str, Any]) -> Array:
    """Sizes of terms as an element and its neighbours have them, where a kernel may go Winograd's way.

    There a tile of 2x2 outputs shares all of its pixels, and so the rounding of their terms; at the rim of an image, an
    element with few terms of its own has neighbours with many. Lavin & Gray 2016 [lavin2016fast]. What is not finite
    excuses no neighbour: the kernels then go another way.
    """
    if not op.startswith("conv2d") or not size.size or keywords["groups"] > 1 or keywords["dilation"] != (1, 1):
        return size
    kernel = size.shape[:2] if op == "conv2d_dw" else inputs["w"].shape[:2]
    stride = {(3, 3): 1, (4, 4): 2}.get(kernel)
    if stride is None or keywords["stride"] != (stride, stride):
        return size
    own, size = size, np.where(np.isfinite(size), size, 0.0)
    if op == "conv2d_dw":
        return np.maximum(own, size.max(axis=(0, 1), keepdims=True))
    reach = stride if op == "conv2d_dx" else 1  # pixels of one phase lie a stride apart
    for axis in (1, 2):
        padded = np.pad(size, [(reach, reach) if a == axis else (0, 0) for a in range(4)])
        size = np.maximum.reduce([padded.take(range(k, k + size.shape[axis]), axis=axis) for k in range(2 * reach + 1)])
    return np.maximum(own, size)


def right(got: Array, expected: Array, allowed: Array) -> Array:
    """Where `got` is within `allowed` of what is expected; what is not finite must be the same kind of not finite."""
    with np.errstate(all="ignore"):
        close = np.isfinite(expected) & (abs(got - expected) <= allowed)
    return close | (got == expected) | (np.isnan(got) & np.isnan(expected))


def worst(name: str, wrong: Array, got: Array, expected: Array, allowed: Array, axes: Sequence[str] = ()) -> str:
    """A sentence: how many elements of a result are wrong, and which one is furthest off, its axes by name if given."""
    with np.errstate(all="ignore"):
        off = np.where(wrong, np.nan_to_num(abs(got - expected), nan=np.inf), -1.0)
    place = tuple(int(i) for i in np.unravel_index(off.argmax(), off.shape))
    at = ", ".join(f"{axis}={i}" for axis, i in zip(axes, place, strict=True)) if axes else ", ".join(map(str, place))
    came, needed = _apart(got[place], expected[place])
    return (
        f"{name}: {wrong.sum()} of {wrong.size} elements are wrong, the worst at [{at}]: got {came}, needed {needed}"
        + (f" within {allowed[place]:.1g}" if allowed[place] > 0 and np.isfinite(allowed[place]) else "")
    )


def _apart(got: Any, expected: Any) -> tuple[str, str]:
    """Both numbers, with as many digits as tell them apart."""
    texts = [(f"{got:.{digits}g}", f"{expected:.{digits}g}") for digits in (6, 9, 12, 17)]
    return next((pair for pair in texts if pair[0] != pair[1]), texts[-1])


def precision(got: Array, expected: Array) -> str:
    """The dtype that has as few digits as these results: to which something was rounded on the way. Empty for none.

    One case does not say it, since a wrong term may be small as well. Errors of rounding go either way.
    """
    with np.errstate(all="ignore"):
        off = (got.astype("float64") - expected) / abs(expected)
    off = off[np.isfinite(off)]
    if len(off) < ENOUGH or min((off > 0).mean(), (off < 0).mean()) < SHARE:
        return ""
    size = float(np.median(abs(off)))
    return next((name for name, (least, most) in ROUNDED.items() if least < size < most), "")


def _at_rim(op: Op, inputs: Arrays, groups: int) -> Array:
    """Channels of a result whose second argument is not finite somewhere: zeros at the rim of images may meet it."""
    if op.name == "conv2d_dw":
        return ~np.isfinite(inputs["g"]).all(axis=(0, 1, 2))
    w = inputs["w"]
    if op.name == "conv2d":
        return ~np.isfinite(w).all(axis=(0, 1, 2))
    by_group = w.reshape(*w.shape[:3], groups, w.shape[3] // groups)  # (KH, KW, CG, G, OG)
    return ~np.isfinite(by_group).all(axis=(0, 1, 4)).T.reshape(-1)


def _projections_agree(op: Op, inputs: Arrays, outputs: Arrays, keywords: dict[str, Any], roundings: float) -> bool:
    got, needed, size = projections(op, inputs, outputs, keywords)
    size = _of_the_tile(op.name, inputs | outputs, size, keywords)
    return bool(right(got, needed, (roundings * float(np.finfo(outputs["out"].dtype).eps) + 2 * WIDE) * size).all())
