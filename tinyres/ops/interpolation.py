"""Resampling of images and signals to another size: nearest, linear, bilinear, bicubic, and means over areas.

Each axis is resampled by itself: an output is a weighted sum of a few inputs along it. Which inputs, and with which
weights, follows from the sizes alone, so a rule reads them off the same arrays backwards, to any order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tinyres.arrays import namespace
from tinyres.autograd.calling import public
from tinyres.autograd.tensor import raw
from tinyres.ops.convolution import LARGEST, pair
from tinyres.ops.padding import taken
from tinyres.ops.pooling import adaptive_avg_pool2d
from tinyres.ops.shape import INTEGERS, expand, permute, reshape
from tinyres.ops.signals import adaptive_avg_pool1d
from tinyres.refusals.kinds import FLAG
from tinyres.refusals.wording import describe

LINEAR = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}  # and the number of axes that each is for
MODES = "nearest", "nearest-exact", *LINEAR, "area"
CUBIC = -0.75  # the slope that Keys' kernel is left with, as in PyTorch


class Axis(NamedTuple):
    """How an axis is resampled: from `size` entries to `out`, which lie `step` input entries apart."""

    size: int
    out: int
    step: float


@public
def upsample_nearest2d(x: Any, scale_factor: Any) -> Any:
    """Nearest-neighbour upsampling: repeat each pixel in both directions, (N, C, H, W) -> (N, C, H sh, W sw)."""
    if x.ndim != 4:
        raise ValueError(f"upsample_nearest2d: needs an image (N, C, H, W), got {describe(raw(x))}")
    sh, sw = pair(scale_factor, "scale_factor")
    N, C, H, W = x.shape
    repeated = expand(reshape(x, (N, C, H, 1, W, 1)), (N, C, H, sh, W, sw))
    return reshape(repeated, (N, C, H * sh, W * sw))


@public
def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Any:
    """Resample signals (N, C, L), images (N, C, H, W) or volumes (N, C, D, H, W) to another size.

    Output i lies at (i + 1/2) step - 1/2 of the input, step = size / output size; with align_corners at
    i (size - 1) / (output size - 1), so that the first and the last entries stay where they are.

    Args:
        size: of the output, an integer or one for each axis after the channels; or
        scale_factor: a number, or one for each: the size is floor(scale_factor * size), and step is 1 / scale_factor.
        mode: "nearest" takes input floor(i step), "nearest-exact" the nearest; "linear" is for signals, "bilinear" and
            "bicubic" (Keys 1981 [keys1981cubic]) for images, "trilinear" for volumes; "area" takes means, as
            `adaptive_avg_pool2d` does.
        recompute_scale_factor: compute step from the sizes although scale_factor is given.

    Raises:
        ValueError: neither or both of size and scale_factor are given; the mode is unknown or not for that many axes.
    """
    axes = input.ndim - 2
    if mode not in MODES:
        raise ValueError(f"interpolate: mode must be one of {', '.join(map(repr, MODES))}, got {mode!r}")
    if axes not in (1, 2, 3) or LINEAR.get(mode, axes) != axes:
        shapes = {1: "signals (N, C, L)", 2: "images (N, C, H, W)", 3: "volumes (N, C, D, H, W)"}
        needed = shapes.get(LINEAR.get(mode, 0), "one to three axes after (N, C)")
        raise ValueError(f"interpolate: mode {mode!r} needs {needed}, got {describe(raw(input))}")
    if align_corners is not None and mode not in LINEAR:
        raise ValueError(f"interpolate: align_corners is for {', '.join(LINEAR)}, not for {mode!r}")
    FLAG.check("interpolate", "align_corners", align_corners)
    found = _axes(input.shape[2:], size, scale_factor, bool(recompute_scale_factor))
    if mode == "area":
        return _means(input, [axis.out for axis in found])
    factors = [max(1, axis.out // axis.size) for axis in found]
    if (
        mode == "nearest"
        and axes == 2
        and found == [(n, f * n, 1 / f) for (n, *_), f in zip(found, factors, strict=True)]
    ):
        return upsample_nearest2d(input, tuple(factors))
    for place, axis in enumerate(found, start=2):
        taps = _nearest(axis, mode) if mode not in LINEAR else _weighted(axis, mode, bool(align_corners), input)
        input = _resampled(input, place, taps)
    return input


def _means(x: Any, sizes: list[int]) -> Any:
    """Means over regions that cover the input, with at most two axes taken at a time."""
    if len(sizes) < 3:
        return adaptive_avg_pool1d(x, sizes) if len(sizes) == 1 else adaptive_avg_pool2d(x, sizes)
    N, C, D, H, W = x.shape
    depth, *plane = sizes
    planes = adaptive_avg_pool2d(reshape(x, (N, C * D, H, W)), plane)
    lines = reshape(planes, (N, C, D, plane[0] * plane[1]))
    return reshape(adaptive_avg_pool2d(lines, (depth, lines.shape[3])), (N, C, *sizes))


def _axes(sizes: Sequence[int], size: Any, scale_factor: Any, recompute: bool) -> list[Axis]:
    if (size is None) == (scale_factor is None):
        raise ValueError(f"interpolate: needs size or scale_factor, got {'neither' if size is None else 'both'}")
    given = size if scale_factor is None else scale_factor
    each = list(given) if isinstance(given, (tuple, list)) else [given] * len(sizes)
    name = "size" if scale_factor is None else "scale_factor"
    kinds = INTEGERS if scale_factor is None else (*INTEGERS, float, np.floating)
    if len(each) != len(sizes) or not all(isinstance(v, kinds) and v > 0 for v in each):
        what = "integer" if scale_factor is None else "number"
        raise ValueError(f"interpolate: {name} must be a positive {what}, or {len(sizes)} of them, got {given!r}")
    outs = [int(v) if scale_factor is None else math.floor(n * v) for n, v in zip(sizes, each, strict=True)]
    if min(outs) < 1 or min(sizes) < 1 or max(outs) >= LARGEST:
        raise ValueError(
            f"interpolate: sizes must be at least 1 and less than 2^31, got {tuple(sizes)} -> {tuple(outs)}"
        )
    if recompute or scale_factor is None:
        return [Axis(n, out, n / out) for n, out in zip(sizes, outs, strict=True)]
    return [Axis(n, out, 1 / v) for n, out, v in zip(sizes, outs, each, strict=True)]


Taps = list[tuple[Any, Any]]  # which input each output reads, and its weight there (None: 1)


def _nearest(axis: Axis, mode: str) -> Taps:
    """PyTorch's choice at ties, too: float32 decides there, and for "nearest" whole factors of 1 and 2 go first."""
    places = np.arange(axis.out, dtype=np.float32) + np.float32(0.5 if mode == "nearest-exact" else 0)
    whole = {axis.size: 1.0, 2 * axis.size: 0.5}.get(axis.out) if mode == "nearest" else None
    source = np.floor(places * np.float32(whole or axis.step)).astype(int)
    return [(source.clip(0, axis.size - 1), None)]


def _weighted(axis: Axis, mode: str, align_corners: bool, x: Any) -> Taps:
    i = np.arange(axis.out)
    if align_corners:
        places = i * ((axis.size - 1) / (axis.out - 1)) if axis.out > 1 else i * 0.0
    else:
        places = (i + 0.5) * axis.step - 0.5
    if mode != "bicubic":
        places = places.clip(0, None)
        first = np.floor(places).astype(int).clip(0, axis.size - 1)
        weights = {0: 1 - (places - first), 1: places - first}
    else:
        first = np.floor(places).astype(int)
        weights = {k: _keys(np.abs(places - first - k)) for k in (-1, 0, 1, 2)}
    asarray = namespace(raw(x)).asarray
    return [((first + k).clip(0, axis.size - 1), asarray(w, dtype=x.dtype)) for k, w in weights.items()]


def _keys(t: Any) -> Any:
    """The cubic kernel at the distance t < 2."""
    near = ((CUBIC + 2) * t - (CUBIC + 3)) * t * t + 1
    far = ((CUBIC * t - 5 * CUBIC) * t + 8 * CUBIC) * t - 4 * CUBIC
    return np.where(t <= 1, near, far)


def _resampled(x: Any, axis: int, taps: Taps) -> Any:
    total = None
    for source, weight in taps:
        part = taken(x, source, axis)
        if weight is not None:
            part = part * weight.reshape((-1,) + (1,) * (x.ndim - 1 - axis))
        total = part if total is None else total + part
    return total


@public
def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """Channels become pixels: (..., C r^2, H, W) -> (..., C, H r, W r), r = upscale_factor (Shi et al. 2016
    [shi2016real]).

    Raises:
        ValueError: r^2 does not divide the number of channels.
    """
    r = upscale_factor
    if input.ndim < 3 or r < 1 or input.shape[-3] % (r * r):
        raise ValueError(
            f"pixel_shuffle: needs (..., C, H, W) with C divisible by upscale_factor^2 = {r * r}, got "
            f"{describe(raw(input))}"
        )
    *lead, C, H, W = input.shape
    n = len(lead)
    parts = reshape(input, (*lead, C // (r * r), r, r, H, W))
    return reshape(permute(parts, (*range(n), n, n + 3, n + 1, n + 4, n + 2)), (*lead, C // (r * r), H * r, W * r))


@public
def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """Pixels become channels, the inverse of `pixel_shuffle`: (..., C, H r, W r) -> (..., C r^2, H, W)."""
    r = downscale_factor
    if input.ndim < 3 or r < 1 or input.shape[-1] % r or input.shape[-2] % r:
        raise ValueError(
            f"pixel_unshuffle: needs (..., C, H, W) with H and W divisible by downscale_factor = {r}, got "
            f"{describe(raw(input))}"
        )
    *lead, C, H, W = input.shape
    n = len(lead)
    parts = reshape(input, (*lead, C, H // r, r, W // r, r))
    return reshape(permute(parts, (*range(n), n, n + 2, n + 4, n + 1, n + 3)), (*lead, C * r * r, H // r, W // r))


__all__ = ["interpolate", "pixel_shuffle", "pixel_unshuffle", "upsample_nearest2d"]
