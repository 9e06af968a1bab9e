"""A kernel that conforms may be rewritten for speed: the check names whatever breaks, with its smallest case.

out[n, i, j, c] = 1/count * sum over the window of x, against `reference.avg_pool2d` in all corners.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from tinyres_kernels import reference
from tinyres_kernels.settings import AvgPool

from tinyres.exercises.expect import written

Array = np.ndarray
IMAGES, FASTER = (2, 24, 24, 8), 10  # times faster than the specification
SETTINGS = AvgPool((3, 3), (2, 2), (1, 1), count_include_pad=False)
HINTS = {  # the first named case of these that fails says the most
    "plain": "Begin with the plain case: out[n, i, j, c] is the mean of the window that begins at (i sh, j sw).",
    "five images": "Each image has its own windows.",
    "stride 2, odd size": "Window i begins at row i * stride - padding.",
    "asymmetric stride": "stride, padding and kernel are pairs: rows first, then columns.",
    "padding": "With count_include_pad=True the padding counts as zeros: divide by KH * KW everywhere.",
    "padding that does not count": "With count_include_pad=False divide by the number of the window's pixels that lie "
    "in the image; at the rim there are fewer.",
    "not a number": "A NaN spreads to the windows that hold it, and to no others: running sums carry it along.",
    "infinity": "An infinity spreads to the windows that hold it, and to no others: running sums carry it along.",
    "read-only inputs": "x may be read-only: a kernel writes to out, and to nothing else.",
}


def check(answer: Callable[..., Array]) -> None:
    """Put answer(x, out, s), with s an `AvgPool`, through conformance, then time it."""
    written(answer, "avg_pool2d(x, out, s)")
    from tinyres_kernels import conformance

    report = conformance.check(answer, "avg_pool2d")
    if not report.ok:
        failing = {finding.case.title for finding in report.named if not finding.ok}
        hint = next((text for title, text in HINTS.items() if title in failing), "")
        named = f"{len(failing)} named cases fail" if failing else "all named cases pass, but a drawn one fails"
        if report.breach:
            raise AssertionError(f"{named}. {report.breach}")
        raise AssertionError(f"{named}. {hint}\n\n{str(report).partition('to reproduce it')[0].rstrip()}")
    x = np.random.default_rng(0).standard_normal(IMAGES)
    out = np.empty((IMAGES[0], IMAGES[1] // 2, IMAGES[2] // 2, IMAGES[3]))
    mine = min(_seconds(answer, x, out) for _ in range(5))
    theirs = _seconds(reference.avg_pool2d, x, out)
    assert FASTER * mine < theirs, (
        f"right, but it takes {mine * 1e3:.2f} ms and the specification {theirs * 1e3:.2f} ms; it must be {FASTER} "
        "times faster. Loop over the taps of the window instead of the pixels, or compile the loops."
    )


def _seconds(kernel: Callable[..., Any], x: Array, out: Array) -> float:
    start = perf_counter()
    kernel(x, out, SETTINGS)
    return perf_counter() - start


__all__ = ["check"]
