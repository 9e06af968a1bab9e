"""Do these results agree with the specification? A light check of what a kernel has computed already, at any size.

Each element may be a few roundings away, of the size of the terms that it is a sum of. A large convolution is not
computed a second time: it is projected (Freivalds 1977). Convolution is linear in each axis of channels, so the results
times a matrix R over their channels must be the convolution of the weights times R, which has as few channels as R has
columns. R picks some channels, those with every pixel, and adds all of them up with normal random numbers as weights.
"""

from collections.abc import Callable, Sequence
from math import log, prod, sqrt
from typing import Any

import numpy as np

from tinyres_kernels.conformance.declare import Arrays, Op, specification
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.namespace import Array

ROUNDINGS = 4  # allowed, in eps of the result's dtype times the sum of the terms' absolute values
WIDE = float(np.finfo("float64").eps)  # the specification rounds too
LARGE = 2e8  # multiplications of a convolution from which it is projected
FEW = 16  # channels up to which a projection would save little
SURE = sqrt(2 * log(2 / 1e-18))  # standard deviations that a normal number exceeds once in 1e18


def disagreements(
    op_name: str, inputs: Arrays, outputs: Arrays, keywords: dict[str, Any], *, roundings: float = ROUNDINGS
) -> list[str]:
    """What is wrong with the `outputs` that some kernel made from the `inputs`: a sentence for each that is wrong.

    Both are NumPy arrays by the names of the operation's arguments (`OPS[op_name].order`); arrays that the call was
    given None for are in neither. The specification is computed in float64. What is not finite must be the same kind
    of not finite, with the exception at the rim of an image that the package's promises name.
    """
    op = OPS[op_name]
    if _projects(op, inputs, outputs, keywords) and _projections_agree(op, inputs, outputs, keywords, roundings):
        return []
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
        number = np.finfo(next(a.dtype for a in outputs.values() if a.dtype.kind == "f"))
        # Below `tiny` numbers have steps in place of digits. What selects and never computes (of size 0) has no excuse.
        allowed = {
            name: (roundings * float(number.eps) + 2 * WIDE) * size + np.where(size > 0, float(number.tiny), 0.0)
            for name, size in sizes.items()
        }
    return expected, allowed


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
    return (
        f"{name}: {wrong.sum()} of {wrong.size} elements are wrong, the worst at [{at}]: "
        f"got {got[place]:.6g}, needed {expected[place]:.6g}"
        + (f" within {allowed[place]:.1g}" if allowed[place] > 0 and np.isfinite(allowed[place]) else "")
    )


def _at_rim(op: Op, inputs: Arrays, groups: int) -> Array:
    """Channels of a result whose second argument is not finite somewhere: zeros at the rim of images may meet it."""
    if op.name == "conv2d_dw":
        return ~np.isfinite(inputs["g"]).all(axis=(0, 1, 2))
    w = inputs["w"]
    if op.name == "conv2d":
        return ~np.isfinite(w).all(axis=(0, 1, 2))
    by_group = w.reshape(*w.shape[:3], groups, w.shape[3] // groups)  # (KH, KW, CG, G, OG)
    return ~np.isfinite(by_group).all(axis=(0, 1, 4)).T.reshape(-1)


def _contracted(op: Op, inputs: Arrays, outputs: Arrays, groups: int) -> tuple[str, bool, bool, int]:
    """Which argument has the axis that is projected, whether it lies last there and in the result; its length."""
    second, out = inputs[op.order[1]], outputs["out"]
    if op.name == "conv2d":
        return "w", True, True, out.shape[3] // groups
    if op.name == "conv2d_dx":
        return "w", False, True, second.shape[2]
    if out.shape[2] >= out.shape[3] // groups:
        return "x", True, False, out.shape[2]
    return "g", True, True, out.shape[3] // groups


def _projects(op: Op, inputs: Arrays, outputs: Arrays, keywords: dict[str, Any]) -> bool:
    if not op.name.startswith("conv2d"):
        return False
    arrays = {**inputs, **outputs}
    weights, pixels = {"conv2d": ("w", "out"), "conv2d_dx": ("w", "g"), "conv2d_dw": ("out", "g")}[op.name]
    return (
        float(arrays[pixels].size) * prod(arrays[weights].shape[:3]) >= LARGE
        and _contracted(op, inputs, outputs, keywords["groups"])[3] > FEW
        and all(np.isfinite(a).all() for a in inputs.values())
    )


def _projections_agree(op: Op, inputs: Arrays, outputs: Arrays, keywords: dict[str, Any], roundings: float) -> bool:
    """Whether a few channels of the result, and a random sum of all, are those of the projected arguments."""
    groups = keywords["groups"]
    name, last, result_last, length = _contracted(op, inputs, outputs, groups)
    rng = np.random.default_rng(0)
    picked, weights = [0, *rng.integers(length, size=2), length - 1], rng.standard_normal((length, 1))

    def projected(a: Array) -> Array:
        return np.concatenate([a[..., picked], a @ weights], axis=-1)

    def sizes(a: Array) -> Array:
        """Of the sum, the norm: errors that are normal numbers times it. Their own norm is no greater (Minkowski)."""
        return np.concatenate([abs(a[..., picked]), SURE * np.linalg.norm(a, axis=-1, keepdims=True)], axis=-1)

    other = {key: a for key, a in inputs.items() if key != name}
    like = {"out": _along(outputs["out"], result_last, groups, projected)}
    wide = inputs[name].astype("float64")
    given, off = ({name: _along(wide, last, groups, change)} for change in (projected, sizes))
    expected = specification(op.name, other | given, like, keywords, op.order)
    size = specification(op.name, {key: abs(a) for key, a in other.items()} | off, like, keywords, op.order)
    allowed = (roundings * float(np.finfo(outputs["out"].dtype).eps) + 2 * WIDE) * size["out"]
    return bool(right(like["out"], expected["out"], allowed).all())


def _along(a: Array, last: bool, groups: int, change: Callable[[Array], Array]) -> Array:
    """`change` applied to the channels of each group: of the last axis (G * K), or of the third, which is one group."""
    if not last:
        return change(a.swapaxes(2, 3)).swapaxes(2, 3)
    changed = change(a.reshape(*a.shape[:3], groups, -1))
    return changed.reshape(*a.shape[:3], -1)
