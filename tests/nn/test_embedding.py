"""Embeddings: rows, their gradients, padding, and indices that do not exist."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (0,), (2, 0)])
def test_rows(shape):
    table = nn.Embedding(7, 3, rng=0)
    index = np.random.default_rng(0).integers(0, 7, shape)
    for given in (index, tr.tensor(index), index.tolist()):
        if np.asarray(given).size or not isinstance(given, list):  # an empty list has no dtype to speak of
            y = table(given)
            assert y.shape == (*shape, 3)
            np.testing.assert_array_equal(y.numpy(), table.weight.numpy()[index])


def test_a_rows_gradient_is_the_sum_over_the_places_that_name_it():
    table = nn.Embedding(5, 2, rng=0).to("float64")
    index = np.array([[3, 0, 3], [1, 3, 0]])
    g = np.random.default_rng(1).standard_normal((2, 3, 2))
    (dw,) = tr.grad(table(index), [table.weight], g)
    want = np.stack([g[index == row].sum(axis=0) for row in range(5)])
    np.testing.assert_allclose(dw.numpy(), want, rtol=1e-14)
    assert not dw.numpy()[[2, 4]].any()


def test_gradcheck():
    table, index = nn.Embedding(5, 2, rng=0).to("float64"), np.array([3, 0, 3, 1])

    def looked_up(weight):
        object.__setattr__(table, "weight", weight)
        y = table(index)
        return y * y * y[::-1]  # rows meet themselves and each other

    tr.gradcheck(looked_up, [table.weight.numpy().copy()], order=2)


@pytest.mark.parametrize("padding", [2, -3])
def test_the_padding_row_starts_as_0_and_gets_no_gradient(padding):
    table = nn.Embedding(5, 2, padding_idx=padding, rng=0)
    assert table.padding_idx == 2
    assert not table.weight.numpy()[2].any()
    np.testing.assert_array_equal(
        np.delete(table.weight.numpy(), 2, 0), np.delete(nn.Embedding(5, 2, rng=0).weight.numpy(), 2, 0)
    )
    y = table(np.array([2, 1, 2]))
    assert not y.numpy()[[0, 2]].any()
    (dw,) = tr.grad(y, [table.weight], np.ones((3, 2), "f"))
    np.testing.assert_array_equal(dw.numpy(), [[0, 0], [1, 1], [0, 0], [0, 0], [0, 0]])


@pytest.mark.parametrize(("bad", "got"), [([0, 7], 7), ([-1, 3], -1), ([[2], [100]], 100)])
def test_indices_that_do_not_exist(bad, got):
    with pytest.raises(IndexError, match=rf"Embedding\(7, 3\): indices must be in 0 to 6, got {got}"):
        nn.Embedding(7, 3)(np.array(bad))


def test_errors():
    with pytest.raises(TypeError, match="indices must be integers, got float64"):
        nn.Embedding(7, 3)(np.array([1.0]))
    with pytest.raises(TypeError, match="indices must be integers, got bool"):
        nn.Embedding(2, 3)(np.array([True]))
    for padding in (7, -8):
        with pytest.raises(ValueError, match=f"padding_idx must be one of the 7 rows, 0 to 6, got {padding}"):
            nn.Embedding(7, 3, padding_idx=padding)
