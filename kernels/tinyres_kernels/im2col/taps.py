"""Where each tap of a window lies, as slices; and what an `out` must be."""

from collections.abc import Iterator

from tinyres_kernels.geometry import Axis
from tinyres_kernels.namespace import Array


def taps(rows: Axis, cols: Axis) -> Iterator[tuple[int, int, tuple[slice, ...], tuple[slice, ...]]]:
    """For each tap (kh, kw): where its windows lie in an output, and where the pixels it reads lie in an image."""
    everything = slice(None)
    for kh in range(rows.kernel):
        oh, h = rows.slices(kh)
        for kw in range(cols.kernel):
            ow, w = cols.slices(kw)
            yield kh, kw, (everything, oh, ow), (everything, h, w)


def check_contiguous(out: Array) -> None:
    """A reshape of any other layout is a copy, and what is written into a copy is lost."""
    if not out.flags.c_contiguous:
        raise ValueError(f"out must be C-contiguous, got shape {out.shape} with strides {out.strides}")
