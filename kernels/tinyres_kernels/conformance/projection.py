"""Is a large convolution right? Found out in a fraction of the time that it takes, by projections.

Freivalds 1977 [freivalds1977probabilistic]. Convolution is linear in each axis of channels: a result times a matrix R
over its channels is the convolution of the weights times R, which has as few channels as R has columns. R picks some
channels, whose every element is held against its own tolerance, and adds all of them up with normal random numbers as
weights. In that sum no error is lost, and roundings, which are as good as independent of R, come to a normal number
times the norm of their bounds.
"""

from collections.abc import Callable
from math import log, prod, sqrt
from typing import Any

import numpy as np

from tinyres_kernels.conformance.calling import Arrays, specification
from tinyres_kernels.conformance.declare import Op
from tinyres_kernels.geometry import conv_axes
from tinyres_kernels.im2col.taps import taps
from tinyres_kernels.namespace import Array

LARGE = 2e8  # multiplications of a convolution from which it is projected
FEW = 16  # channels up to which that would save little
PICKED = 2  # channels at random, beside the first and the last
SURE = sqrt(2 * log(2 / 1e-18))  # standard deviations that a normal number exceeds once in 1e18


def worthwhile(op: Op, inputs: Arrays, outputs: Arrays, keywords: dict[str, Any]) -> bool:
    """Whether it is a large convolution of finite numbers."""
    if not op.name.startswith("conv2d"):
        return False
    arrays = {**inputs, **outputs}
    weights, pixels = {"conv2d": ("w", "out"), "conv2d_dx": ("w", "g"), "conv2d_dw": ("out", "g")}[op.name]
    return (
        float(arrays[pixels].size) * prod(arrays[weights].shape[:3]) >= LARGE
        and _contracted(op, inputs, outputs, keywords["groups"])[3] > FEW
        and all(np.isfinite(a).all() for a in inputs.values())
    )


def projections(op: Op, inputs: Arrays, outputs: Arrays, keywords: dict[str, Any]) -> tuple[Array, Array, Array]:
    """The result projected, what it should be, and how large the numbers are whose rounding it may show."""
    groups = keywords["groups"]
    name, last, result_last, length = _contracted(op, inputs, outputs, groups)
    rng = np.random.default_rng(0)
    picked, weights = [0, *rng.integers(length, size=PICKED), length - 1], rng.standard_normal((length, 1))

    def projected(a: Array) -> Array:
        return np.concatenate([a[..., picked], a @ weights], axis=-1)

    def sizes(a: Array) -> Array:
        """The norm bounds that of the sums' bounds, by Minkowski's inequality."""
        return np.concatenate([abs(a[..., picked]), SURE * np.linalg.norm(a, axis=-1, keepdims=True)], axis=-1)

    wide = {key: a.astype("float64") for key, a in inputs.items()}
    other = {key: a for key, a in wide.items() if key != name}
    got = _along(outputs["out"], result_last, groups, projected)
    needed = _few(op, other | {name: _along(wide[name], last, groups, projected)}, got, keywords)
    magnitudes = {key: abs(a) for key, a in other.items()} | {name: _along(wide[name], last, groups, sizes)}
    return got, needed, _few(op, magnitudes, got, keywords)


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


def _along(a: Array, last: bool, groups: int, change: Callable[[Array], Array]) -> Array:
    """`change` applied to the channels of each group: of the last axis (G * K), or of the third, which is one group."""
    if not last:
        return change(a.swapaxes(2, 3)).swapaxes(2, 3)
    changed = change(a.reshape(*a.shape[:3], groups, -1))
    return changed.reshape(*a.shape[:3], -1)


def _few(op: Op, arrays: Arrays, like: Array, keywords: dict[str, Any]) -> Array:
    """The operation where there are few channels on one side: tap by tap, which copies no windows."""
    if op.name == "conv2d_dw":
        return specification(op.name, arrays, {"out": like}, keywords, op.order)["out"]
    first, w, groups = arrays[op.order[0]], arrays["w"], keywords["groups"]
    turned, out = op.name == "conv2d_dx", np.zeros(like.shape)
    image, result = (out, first) if turned else (first, out)
    rows, cols = conv_axes(image.shape, w.shape, result.shape, **keywords)
    by_group = first.reshape(-1, groups, first.shape[3] // groups).transpose(1, 0, 2)  # (G, M, K)
    for kh, kw, at_window, at_pixel in taps(rows, cols):
        weights = w[kh, kw].reshape(w.shape[2], groups, -1).transpose(1, *((2, 0) if turned else (0, 2)))
        share = (by_group @ weights).transpose(1, 0, 2).reshape(*first.shape[:3], -1)
        if turned:
            out[at_pixel] += share[at_window]
        else:
            out[at_window] += share[at_pixel]
    return out
