"""Axes moved, and vectors spread over a grid, beside NumPy's; shapes that do not fit."""

import numpy as np
import pytest

import tinyres as tr

X = np.arange(24).reshape(2, 3, 4)


@pytest.mark.parametrize(("source", "destination"), [(0, 2), (-1, 0), ((0, 1), (-1, 0)), ((2, 0), (0, 1))])
def test_movedim(source, destination):
    np.testing.assert_array_equal(tr.tensor(X).movedim(source, destination), np.moveaxis(X, source, destination))


@pytest.mark.parametrize("indexing", ["ij", "xy"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_meshgrid(indexing, count):
    vectors = [np.arange(n) for n in (2, 3, 4)[:count]]
    for given in ((tr.tensor(v) for v in vectors), [[tr.tensor(v) for v in vectors]]):
        for ours, theirs in zip(
            tr.meshgrid(*given, indexing=indexing), np.meshgrid(*vectors, indexing=indexing), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="movedim: needs as many places as axes, each once, got 0 and"):
        tr.movedim(tr.tensor(X), 0, (1, 2))
    with pytest.raises(ValueError, match="indexing is 'ij' or 'xy', got 'yx'"):
        tr.meshgrid(tr.ones(2), indexing="yx")
    with pytest.raises(ValueError, match=r"24 elements do not fill the shape \(-1, 5\)"):
        tr.tensor(X).view(-1, 5)
    np.testing.assert_array_equal(tr.where(tr.tensor(X) > 20), np.where(X > 20))


@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "float32"])
def test_a_triangle_keeps_the_dtype(dtype):
    """A mask stays a mask."""
    x = np.arange(9).reshape(3, 3).astype(dtype)
    for ours, numpys in ((tr.tril, np.tril), (tr.triu, np.triu)):
        assert ours(tr.tensor(x), 1).dtype == np.dtype(dtype)
        np.testing.assert_array_equal(ours(tr.tensor(x), 1).numpy(), numpys(x, 1))
