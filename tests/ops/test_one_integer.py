"""A tensor that holds one integer is an index, as in PyTorch: of lists, of ranges, in slices, among sizes."""

import operator

import numpy as np
import pytest

import tinyres as tr

WHOLE = [tr.tensor(2), tr.tensor([2]), tr.tensor([[2]], dtype="uint8"), tr.tensor(2, dtype="int32"), tr.arange(5)[2]]


@pytest.mark.parametrize("i", WHOLE, ids=lambda i: f"{i.dtype}{i.shape}")
def test_it_is_an_index(i):
    assert operator.index(i) == 2
    assert type(operator.index(i)) is int
    assert list(range(i)) == [0, 1]
    assert "abcdef"[i] == "c"
    assert [1, 2, 3, 4][i:] == [3, 4]
    x = tr.arange(12).reshape(6, 2)
    assert x[i : i + 2].tolist() == [[4, 5], [6, 7]]
    assert x[i:, : i - 1].shape == (4, 1)
    assert x[::i].shape == (3, 2)
    assert np.arange(6)[i : i + 3].tolist() == [2, 3, 4]
    assert tr.zeros(i, 3).shape == (2, 3)
    assert x.reshape(i, -1).shape == (2, 6)


def test_windows_of_a_text_at_places_that_were_drawn_and_their_gradient():
    x = tr.arange(10).float().requires_grad_()
    places = tr.tensor([0, 3])
    windows = tr.stack([x[i : i + 4] for i in places])
    assert windows.tolist() == [[0, 1, 2, 3], [3, 4, 5, 6]]
    windows.sum().backward()
    assert x.grad.tolist() == [1, 1, 1, 2, 1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("wrong", [tr.tensor(2.0), tr.tensor([1, 2]), tr.zeros(0, dtype="int64")])
def test_anything_else_is_none(wrong):
    x, said = tr.arange(5), rf"^only one integer can be an index, got a tensor of {wrong.dtype}, shape \("
    for use in (range, [1, 2, 3].__getitem__, lambda i: x[i:], lambda i: x[0:i:1]):
        with pytest.raises(TypeError, match=said):
            use(wrong)
