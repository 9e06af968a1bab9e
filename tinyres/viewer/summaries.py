"""Array summaries for the viewer: arrays of up to 64 elements in full, larger ones as thumbnails."""

from __future__ import annotations

import math
from base64 import b64encode
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np

from tinyres.arrays import to_device
from tinyres.autograd.tensor import Array, raw

WHOLE = 64  # arrays of up to this many elements are kept in full
CELLS = 8  # a thumbnail is 8 x 8 cells
_PIECE = 8192  # elements summed in the array's dtype; the partial sums are added in float64
_SQUARES = 1e-12, 1e15  # range of the largest absolute value in which float32 sums of squares are accurate
_SHADES = 254  # the brightest finite cell; 255 marks one that holds a NaN or an infinity


class Whole(NamedTuple):
    """A small array in full: shape, dtype and data."""

    shape: tuple[int, ...]
    dtype: str
    data: bytes

    def array(self) -> Array:
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)

    def size(self) -> float:
        """The 2-norm."""
        with np.errstate(all="ignore"):
            return _scaled_norm(self.array().astype("float64").ravel()) if self.data else 0.0

    def as_text(self) -> str:
        """The numbers on one line."""
        return " ".join(np.array2string(self.array(), precision=4, separator=", ", max_line_width=10**6).split())

    def to_json(self, whole: int = WHOLE) -> dict[str, Any]:
        """As documented in schema.json; a thumbnail if there are more than `whole` elements."""
        array = self.array()
        if array.size > whole:
            return thumbnail(array).to_json()
        bad = array.size - int(np.isfinite(array).sum())
        found: dict[str, Any] = {"s": list(self.shape), "v": _numbers(array), "n": json_number(self.size())}
        return found | ({"bad": bad} if bad else {})


class Thumbnail(NamedTuple):
    """A large array as 8 x 8 shades of block means, with range, norm, share of zeros and count of NaN and inf."""

    shape: tuple[int, ...]
    shades: bytes
    shade_range: tuple[float, float]  # what 0 and 254 stand for
    low: float  # of the finite elements
    high: float
    norm: float
    zeros: float  # share of zeros
    bad: int  # NaN and infinities
    heads: tuple[bytes, ...] = ()  # of attention's weights (N, H, L, S): a picture of each head of the first sample
    head_range: tuple[float, float] = (0.0, 0.0)  # what 0 and 254 stand for in all of them

    def size(self) -> float:
        """The 2-norm."""
        return self.norm

    def as_text(self) -> str:
        """A description on one line."""
        bad = f", {self.bad} not finite" if self.bad else ""
        ends = f"from {self.low:.4g} to {self.high:.4g}, norm {self.norm:.4g}, {self.zeros:.1%} zeros"
        return f"{self.shape}: {ends}{bad}"

    def to_json(self, whole: int = WHOLE) -> dict[str, Any]:
        """As documented in schema.json."""
        found: dict[str, Any] = {
            "s": list(self.shape), "t": b64encode(self.shades).decode(), "lo": json_number(self.low),
            "hi": json_number(self.high), "n": json_number(self.norm), "z": round(self.zeros, 4),
            "tlo": json_number(self.shade_range[0]), "thi": json_number(self.shade_range[1]),
        }  # fmt: skip
        if self.heads:
            ends = {"hlo": json_number(self.head_range[0]), "hhi": json_number(self.head_range[1])}
            found |= {"h": [b64encode(head).decode() for head in self.heads]} | ends
        return found | ({"bad": self.bad} if self.bad else {})


class Summaries:
    """A growing list of summaries, in which equal small arrays share one entry."""

    def __init__(self) -> None:
        self.items: list[Whole | Thumbnail] = []
        self._small: dict[Whole, int] = {}
        self._large: dict[int, int] = {}  # by the id of an array
        self._alive: WeakValueDictionary[int, Any] = WeakValueDictionary()  # because ids are reused

    def add(self, value: Any, heads: bool = False) -> int | None:
        """The index of the value's summary; None if it is not an array of real numbers. For heads see `thumbnail`."""
        value = raw(value)
        if not hasattr(value, "strides"):
            value = np.asarray(value)
        if value.dtype.kind not in "fiub":
            return None
        if value.size > WHOLE:
            return self._add_large(value, heads)
        value = to_device(value, "cpu")
        whole = Whole(value.shape, value.dtype.str, value.tobytes())
        place = self._small.get(whole)
        if place is None:
            place = self._small[whole] = self._append(whole)
        return place

    def _add_large(self, value: Array, heads: bool) -> int:
        if self._alive.get(id(value)) is value:
            return self._large[id(value)]
        place = self._large[id(value)] = self._append(thumbnail(to_device(value, "cpu"), heads))
        self._alive[id(value)] = value
        return place

    def _append(self, summary: Whole | Thumbnail) -> int:
        self.items.append(summary)
        return len(self.items) - 1


def thumbnail(value: Array, heads: bool = False) -> Thumbnail:
    """Thumbnail of an array: means over 8 x 8 blocks in 256 shades, minimum, maximum, norm, share of zeros.

    Axes of length 1 in front are left out. Rows are blocks of the first axis, columns blocks of the second. Of three
    axes, such as samples, tokens and features, rows are blocks of the first two, flattened. With four or more axes, all
    but two are averaged if the second has at least 8 entries; if not, columns are blocks of all axes but the first,
    flattened. A single axis is cut into 64 runs, row by row. Cells repeat if there are fewer than 8 entries; the page
    shows each once. A NaN or infinite element shows in its cell and in `bad`.

    heads: the array (N, H, L, S) holds a matrix for each of H heads; those of the first sample get pictures of their
    own, the first eight of them.
    """
    if value.dtype.kind != "f":
        value = value.astype("float64")
    flat = value.ravel(order="K")  # in memory order: no copy
    with np.errstate(all="ignore"):
        low, high, bad = float(flat.min()), float(flat.max()), 0
        if not (math.isfinite(low) and math.isfinite(high)):
            finite = flat[np.isfinite(flat)]
            bad = flat.size - finite.size
            low, high = (float(finite.min()), float(finite.max())) if finite.size else (math.nan, math.nan)
        norm = _norm(flat, max(abs(low), abs(high)) if not bad else math.nan)
        zeros = np.count_nonzero(flat == 0) / flat.size
        means = _means(value).ravel()
        pictures = [_reduced(_reduced(head, 0, CELLS), 1, CELLS) for head in value[0, :CELLS]] if heads else []
    shades, shade_range = _shades(means)
    one = Thumbnail(tuple(value.shape), shades, shade_range, low, high, norm, zeros, bad)
    if not pictures:
        return one
    every, head_range = _shades(np.concatenate(pictures).ravel())
    size = CELLS * CELLS
    return one._replace(heads=tuple(every[i : i + size] for i in range(0, len(every), size)), head_range=head_range)


def _norm(flat: Array, largest: float) -> float:
    if not _SQUARES[0] < largest < _SQUARES[1]:
        return _scaled_norm(flat.astype("float64"))
    even = flat.size - flat.size % _PIECE
    pieces = flat[:even].reshape(-1, _PIECE)
    return math.sqrt(float(np.vecdot(pieces, pieces).sum(dtype="float64")) + float(np.vecdot(flat[even:], flat[even:])))


def _scaled_norm(flat: Array) -> float:
    """|flat|, even if squares are too small or too large for a float."""
    largest = float(abs(flat).max())
    if not 0 < largest < math.inf:
        return largest
    scaled = flat / largest
    return largest * float(np.sqrt((scaled * scaled).sum()))


def _means(value: Array) -> Array:
    """(8, 8) means of blocks."""
    while value.ndim > 1 and len(value) == 1:
        value = value[0]
    if value.ndim == 3:
        value = value.reshape(-1, value.shape[2])
    if value.ndim == 1:
        return _reduced(value, 0, CELLS * CELLS)
    folded, share = value, 1
    if value.ndim > 2 and value.shape[1] >= CELLS:
        folded = _summed(value)  # (N, C, ...) -> (N, C)
        share = value.size // folded.size
    elif value.ndim > 2:
        folded = value.reshape(len(value), -1)
    return _reduced(_reduced(folded, 0, CELLS), 1, CELLS) / share


def _summed(value: Array) -> Array:
    """Sum over all axes but the first two; in memory the second may come last."""
    last = value.transpose(0, *range(2, value.ndim), 1)
    if last.flags.c_contiguous:
        lines = last.reshape(len(value), -1, value.shape[1])  # (N, positions, C)
        return (np.ones((1, lines.shape[1]), lines.dtype) @ lines)[:, 0]  # several times faster than a sum
    return value.reshape(*value.shape[:2], -1).sum(axis=2)


def _reduced(value: Array, axis: int, cells: int) -> Array:
    """Means of `cells` runs along an axis, in float64."""
    cuts = np.arange(cells) * value.shape[axis] // cells
    counts = np.maximum(np.diff(cuts, append=value.shape[axis]), 1)
    sums = np.add.reduceat(value, cuts, axis=axis)  # for an empty run: the element at its cut
    return sums / (counts.astype("float64") if axis or value.ndim == 1 else counts[:, None].astype("float64"))


def _shades(means: Array) -> tuple[bytes, tuple[float, float]]:
    finite = np.isfinite(means)
    if not finite.any():
        return bytes([_SHADES + 1]) * means.size, (math.nan, math.nan)
    low, high = float(means[finite].min()), float(means[finite].max())
    shades = np.full(means.size, _SHADES + 1, "uint8")
    scale = _SHADES / (high - low) if high > low else 0.0
    shades[finite] = np.rint((means[finite] - low) * scale)
    return shades.tobytes(), (low, high)


def json_number(value: float) -> float | str:
    """Round to five digits for JSON; non-finite numbers become the strings NaN, Infinity and -Infinity."""
    return float(f"{value:.5g}") if math.isfinite(value) else _word(value)


def _numbers(array: Array) -> list[Any]:
    """The elements in row-major order, each with the fewest digits that round-trip."""
    flat = array.ravel()
    if flat.dtype.kind != "f":
        return [int(v) for v in flat]
    values = flat.tolist() if flat.dtype.itemsize == 8 else [float(str(v)) for v in flat]
    return [v if math.isfinite(v) else _word(v) for v in values]


def _word(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
