"""What is kept of an array, against plain loops."""

import numpy as np
import pytest

from tinyres.viewer.summaries import Summaries, thumbnail


def plain_means(value):
    """8 x 8 means of blocks, cell by cell."""
    while value.ndim > 1 and len(value) == 1:
        value = value[0]
    if value.ndim == 3:
        value = np.array([value[i, j] for i in range(value.shape[0]) for j in range(value.shape[1])])
    if value.ndim == 1:
        return np.array([mean_of(value, i, 64) for i in range(64)])
    rows, columns = value.shape[:2]
    if value.ndim > 2 and columns < 8:
        value = value.reshape(rows, -1)
        columns = value.shape[1]
    cells = [mean_of(block(value, i, 8), j, 8, axis=1) for i in range(8) for j in range(8)]
    return np.array(cells)


def block(value, i, cells, axis=0):
    n = value.shape[axis]
    start, stop = i * n // cells, (i + 1) * n // cells
    return value.take(range(start, max(stop, start + 1)), axis=axis)


def mean_of(value, i, cells, axis=0):
    return block(value, i, cells, axis).mean()


SHAPES = [
    (65,),
    (1000,),
    (9, 8),
    (100, 3),
    (3, 100),
    (4, 16, 5, 7),
    (20, 3, 4, 4),
    (1, 1, 9, 9),
    (2, 9, 5),
    (70, 1),
    (1, 6, 16),
    (2, 6, 16),
    (1, 70),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layout", ["C", "channels last", "strided"])
def test_shades_are_the_means_of_blocks(shape, layout):
    value = np.random.default_rng(0).standard_normal(shape)
    if layout == "channels last" and value.ndim == 4:
        value = np.ascontiguousarray(value.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    elif layout == "strided":
        value = np.repeat(value, 2, axis=-1)[..., ::2]
    found, expected = thumbnail(value), plain_means(value)
    low, high = found.shade_range
    assert (low, high) == pytest.approx((expected.min(), expected.max()), abs=1e-12)
    told = low + np.frombuffer(found.shades, "uint8") / 254 * (high - low)
    np.testing.assert_allclose(told, expected, atol=(high - low) / 254 * 0.51)
    assert (found.low, found.high) == (value.min(), value.max())
    assert found.norm == pytest.approx(np.linalg.norm(value.ravel()), rel=1e-12)


def test_every_token_has_its_row():
    """One sample of six tokens is six rows, and not one row eight times."""
    tokens = np.arange(6.0)[None, :, None] * np.ones((1, 6, 16))
    rows = np.frombuffer(thumbnail(tokens).shades, "uint8").reshape(8, 8)
    assert len({row.tobytes() for row in rows}) == 6


def test_zeros_and_what_is_not_finite_are_counted():
    value = np.arange(100, dtype="f4").reshape(10, 10)
    value[0, :5], value[9, 8], value[9, 9] = 0, np.nan, -np.inf
    found = thumbnail(value)
    assert (found.bad, found.zeros, found.low, found.high) == (2, 0.05, 0.0, 97.0)
    assert found.shades[-1] == 255
    assert found.shades.count(255) == 1
    assert found.to_json()["n"] == "NaN"
    nothing = thumbnail(np.full(100, np.nan)).to_json()
    assert (nothing["lo"], nothing["n"], nothing["bad"]) == ("NaN", "NaN", 100)


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_norms_neither_vanish_nor_overflow(size):
    value = (np.ones((300, 100)) * size).astype("f4")
    assert thumbnail(value).norm == pytest.approx(size * np.sqrt(30_000), rel=1e-6)
    small = Summaries()
    small.add(value[0, :4])
    assert small.items[0].to_json()["n"] == pytest.approx(2 * size, rel=1e-4)


def test_small_arrays_come_back_exactly():
    rng, kept = np.random.default_rng(0), Summaries()
    for dtype in ("f4", "f8"):
        value = rng.standard_normal((8, 8)).astype(dtype)
        told = kept.items[kept.add(value.T)].to_json()
        np.testing.assert_array_equal(np.array(told["v"]).astype(dtype).reshape(told["s"]), value.T)
    assert kept.items[kept.add(np.float32(0.1))].to_json()["v"] == [0.1]
    assert kept.items[kept.add(np.zeros((0, 3)))].to_json() == {"s": [0, 3], "v": [], "n": 0.0}
    assert kept.items[kept.add(np.array([True, False]))].to_json()["v"] == [1, 0]
    assert kept.items[kept.add(7)].to_json()["v"] == [7]
    assert kept.add("text") is None
    assert kept.add(10**30) is None


def test_the_same_numbers_are_kept_once():
    kept, large = Summaries(), np.ones(100)
    assert kept.add(large) == kept.add(large)
    assert kept.add(np.ones(3)) == kept.add(np.ones(3))
    assert kept.add(np.ones(3, "f4")) != kept.add(np.ones(3))
    places = {kept.add(np.full(100, float(i))) for i in range(50)}  # each may lie where the last has lain
    assert len(places) == 50
    assert [kept.items[p].low for p in sorted(places)] == list(range(50))
