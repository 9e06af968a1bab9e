"""A convolution is a sum of matrix products, one per tap: no image is copied, and each product runs at full speed.

y[:, i, j] = sum over a, b of x[:, i s - p + a, j s - p + b] @ w[a, b], with zeros outside of the image.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np
from tinyres_kernels import reference

from tinyres.exercises.expect import function

Array = np.ndarray
CASES = [  # images (N, H, W, C), kernel (KH, KW, C, O), stride, padding; a harder one each time
    ((1, 4, 4, 1), (1, 1, 1, 1), 1, 0), ((1, 5, 6, 1), (3, 3, 1, 1), 1, 0), ((1, 5, 6, 2), (3, 3, 2, 4), 1, 0),
    ((2, 5, 6, 2), (3, 3, 2, 4), 1, 0), ((2, 5, 6, 2), (2, 3, 2, 4), 1, 0), ((2, 5, 6, 2), (3, 3, 2, 4), 1, 1),
    ((2, 7, 8, 2), (3, 3, 2, 4), 2, 0), ((2, 7, 8, 2), (3, 3, 2, 4), 2, 1), ((1, 6, 6, 3), (4, 4, 3, 2), 2, 1),
    ((1, 8, 9, 2), (2, 2, 2, 2), 3, 2), ((0, 5, 6, 2), (3, 3, 2, 4), 1, 0),
]  # fmt: skip
LAYER = (1, 12, 12, 16), (3, 3, 16, 16)
FASTER = 5  # than the loops; nine products are some hundred times faster


def check(answer: Callable[..., Array]) -> None:
    """Compare answer(x, w, stride, padding) with the loops: first the result, then the speed."""
    conv2d = function(answer, "conv2d(x, w, stride, padding)")
    rng = np.random.default_rng(0)
    for image, kernel, stride, padding in CASES:
        x, w = rng.standard_normal(image), rng.standard_normal(kernel)
        kept = x.copy(), w.copy()
        came = np.asarray(conv2d(x, w, stride=stride, padding=padding))
        where = f"x {image}, w {kernel}, stride={stride}, padding={padding}"
        for name, now, before in zip("xw", (x, w), kept, strict=True):
            assert np.array_equal(now, before), f"{where}: {name} was changed; make a new array"
        needed = _loops(x, w, stride, padding)
        assert came.shape == needed.shape, (
            f"{where}: got a result of shape {came.shape}, expected {needed.shape}. Along an axis of H pixels there "
            "are (H + 2 padding - KH) // stride + 1 windows."
        )
        if not np.allclose(came, needed, rtol=1e-9, atol=1e-9):
            off = int((~np.isclose(came, needed, rtol=1e-9, atol=1e-9)).sum())
            raise AssertionError(
                f"{where}: {off} of {needed.size} numbers are wrong. {_hint(came, x, w, stride, padding)}"
            )
    x, w = rng.standard_normal(LAYER[0]), rng.standard_normal(LAYER[1])
    mine, theirs = (min(_seconds(f, x, w) for _ in range(3)) for f in (conv2d, _loops))
    assert FASTER * mine < theirs, (
        f"right, but slow: for x {LAYER[0]}, w {LAYER[1]} it took {mine * 1e3:.1f} ms, the loops took "
        f"{theirs * 1e3:.1f} ms. Loop over the taps only: x[:, rows, columns] @ w[a, b] takes all pixels at once."
    )


def _seconds(function: Callable[..., Array], x: Array, w: Array) -> float:
    start = perf_counter()
    function(x, w, 1, 1)
    return perf_counter() - start


def _loops(x: Array, w: Array, stride: int, padding: int) -> Array:
    height, width = ((x.shape[k] + 2 * padding - w.shape[k - 1]) // stride + 1 for k in (1, 2))
    out = np.empty((x.shape[0], height, width, w.shape[3]))
    pairs = {"stride": (stride, stride), "padding": (padding, padding), "dilation": (1, 1)}
    reference.conv2d(x, w, out, groups=1, **pairs)
    return out


def _hint(came: Array, x: Array, w: Array, stride: int, padding: int) -> str:
    if np.allclose(came, _loops(x, w[::-1, ::-1], stride, padding)):
        return "The kernel is turned by 180 degrees there: w[0, 0] meets the pixel at the window's upper left."
    if w.shape[0] == w.shape[1] and np.allclose(came, _loops(x, w.transpose(1, 0, 2, 3), stride, padding)):
        return "Rows and columns of the kernel are swapped: w[a, b] meets the pixel a rows down, b columns right."
    taps = [np.zeros_like(w) for _ in range(w.shape[0] * w.shape[1])]
    for k, tap in enumerate(taps):
        a, b = divmod(k, w.shape[1])
        tap[a, b] = w[a, b]
    if len(taps) > 1 and any(np.allclose(came, _loops(x, tap, stride, padding)) for tap in taps):
        return "Only one tap is in the result: add up the products, with +=."
    if stride > 1:
        return "Window i begins at row i * stride: tap a meets the rows a, a + stride, a + 2 stride, ..."
    if padding:
        return "Padding p puts p rows and columns of zeros around the image, on each side."
    return "Tap (a, b) meets the image shifted by a rows and b columns, cut to as many pixels as there are windows."


__all__ = ["check"]
