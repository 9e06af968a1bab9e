"""Where windows lie: the integer arithmetic that every kernel set shares.

One relation carries all of it. Along one axis, output `o` reads pixel `i` through tap `k` of the kernel where

    i = o * stride - padding + k * dilation,    0 <= i < size

and what falls outside the image is padding. `Axis` solves it for each of the three unknowns.
"""

from collections.abc import Sequence
from typing import NamedTuple

Pair = tuple[int, int]


def extent(kernel: int, dilation: int) -> int:
    """How many pixels a window spans, from its first tap to its last: `(kernel - 1) * dilation + 1`."""
    return (kernel - 1) * dilation + 1


def conv_out(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """The number of windows along an axis: `(size + 2 padding - extent) // stride + 1`.

    Raises ValueError where a number is out of its range, or where not even one window fits.
    """
    if size < 0 or kernel < 1 or stride < 1 or padding < 0 or dilation < 1:
        raise ValueError(
            f"got size {size}, kernel {kernel}, stride {stride}, padding {padding}, dilation {dilation}: "
            "kernel, stride and dilation must be at least 1, size and padding at least 0"
        )
    span, padded = extent(kernel, dilation), size + 2 * padding
    if span > padded:
        raise ValueError(
            f"the kernel does not fit: {kernel} taps at dilation {dilation} span {span} pixels, and the padded image "
            f"has {padded} ({size} + 2 * {padding}). Take padding >= {(span - size + 1) // 2}, a smaller kernel, "
            "a smaller dilation or a larger image"
        )
    return (padded - span) // stride + 1


class Axis(NamedTuple):
    """One axis of a convolution or pool: `size` pixels, `out` windows of `kernel` taps each."""

    size: int
    out: int
    kernel: int
    stride: int
    padding: int
    dilation: int

    def window(self, o: int) -> list[Pair]:
        """What output `o` reads: every `(tap, pixel)` that lies in the image."""
        start = o * self.stride - self.padding
        reads = ((k, start + k * self.dilation) for k in range(self.kernel))
        return [(k, i) for k, i in reads if 0 <= i < self.size]

    def readers(self, i: int) -> list[Pair]:
        """Who reads pixel `i`: every `(tap, output)`."""
        starts = ((k, i + self.padding - k * self.dilation) for k in range(self.kernel))
        return [(k, s // self.stride) for k, s in starts if s % self.stride == 0 and 0 <= s // self.stride < self.out]

    def places(self, k: int) -> list[Pair]:
        """Where tap `k` lies in the image: every `(output, pixel)`."""
        reads = ((o, o * self.stride - self.padding + k * self.dilation) for o in range(self.out))
        return [(o, i) for o, i in reads if 0 <= i < self.size]

    def slices(self, k: int) -> tuple[slice, slice]:
        """`places(k)` without a loop: the outputs, and the pixels which they read, as two slices of equal length."""
        shift = k * self.dilation - self.padding  # pixel = o * stride + shift
        first = max(0, -(shift // self.stride))  # the least o with a pixel >= 0: a ceiling
        last = min(self.out - 1, (self.size - 1 - shift) // self.stride)
        if last < first:
            return slice(0, 0), slice(0, 0)
        begin, end = first * self.stride + shift, last * self.stride + shift
        return slice(first, last + 1), slice(begin, end + 1, self.stride)


def conv_axes(
    x: Sequence[int], w: Sequence[int], y: Sequence[int], stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> tuple[Axis, Axis]:
    """The two axes of `y = conv2d(x, w)`, given the three shapes, once they are found to belong together.

    Raises ValueError, naming the three shapes, where they do not.
    """
    if len(x) != 4 or len(w) != 4 or len(y) != 4:
        raise ValueError(f"image {x}, weight {w} and output {y} must have 4 axes each: (N, H, W, C), (KH, KW, C, O)")
    if groups < 1 or x[3] != w[2] * groups or w[3] % groups or (x[0], w[3]) != (y[0], y[3]):
        raise ValueError(
            f"image {x}, weight {w} and output {y} do not belong together with groups={groups}: needed are images "
            "(N, H, W, C), weights (KH, KW, C/groups, O), outputs (N, OH, OW, O), and groups dividing both C and O"
        )
    return _axes(x, y, (w[0], w[1]), stride, padding, dilation)


def pool_axes(
    x: Sequence[int], y: Sequence[int], kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)
) -> tuple[Axis, Axis]:
    """The two axes of a pool from shape `x` to shape `y`, once both are found to belong together.

    Raises ValueError where they do not, or where some window holds nothing but padding: it has no maximum and no mean.
    """
    if len(x) != 4 or len(y) != 4 or (x[0], x[3]) != (y[0], y[3]):
        raise ValueError(f"image {x} and output {y} do not belong together: needed are (N, H, W, C) and (N, OH, OW, C)")
    axes = _axes(x, y, kernel, stride, padding, dilation)
    for axis in axes:
        inside = axis.slices(0)[0]  # windows whose first tap lies in the image
        rim = *range(inside.start), *range(inside.stop, axis.out)
        if not all(map(axis.window, rim)):
            raise ValueError(
                f"a window of {axis.kernel} taps at dilation {axis.dilation} holds nothing but padding: an image of "
                f"{axis.size} pixels is padded by {axis.padding} on each side. Take a smaller padding"
            )
    return axes


def _axes(
    x: Sequence[int], y: Sequence[int], kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[Axis, Axis]:
    rows = conv_out(x[1], kernel[0], stride[0], padding[0], dilation[0])
    cols = conv_out(x[2], kernel[1], stride[1], padding[1], dilation[1])
    if (y[1], y[2]) != (rows, cols):
        raise ValueError(
            f"an image of {x[1]} x {x[2]} pixels has {rows} x {cols} windows, but the output is {y[1]} x {y[2]}: "
            f"kernel {kernel}, stride {stride}, padding {padding}, dilation {dilation}"
        )
    return (
        Axis(x[1], rows, kernel[0], stride[0], padding[0], dilation[0]),
        Axis(x[2], cols, kernel[1], stride[1], padding[1], dilation[1]),
    )
