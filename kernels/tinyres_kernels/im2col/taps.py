"""Where each tap of a window lies, as slices."""

from collections.abc import Iterator

from tinyres_kernels.geometry import Axis


def taps(rows: Axis, cols: Axis) -> Iterator[tuple[int, int, tuple[slice, ...], tuple[slice, ...]]]:
    """For each tap (kh, kw): where its windows lie in an output, and where the pixels it reads lie in an image."""
    everything = slice(None)
    for kh in range(rows.kernel):
        oh, h = rows.slices(kh)
        for kw in range(cols.kernel):
            ow, w = cols.slices(kw)
            yield kh, kw, (everything, oh, ow), (everything, h, w)
