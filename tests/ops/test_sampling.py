"""tr.multinomial: PyTorch's shapes and refusals, frequencies near the probabilities, and no index that cannot be."""

from itertools import permutations

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn

WEIGHTS = [0.0, 3.0, 1.0, 0.0, 4.0, 2.0]


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("shape", [(5,), (3, 5), (1, 5), (0, 5)])
def test_shapes_and_dtype(shape, replacement):
    drawn = tr.multinomial(tr.ones(*shape), 4, replacement)
    assert drawn.shape == (*shape[:-1], 4)
    assert drawn.dtype == tr.int64
    assert tr.rand(*shape).multinomial(2, replacement=replacement, generator=0).shape == (*shape[:-1], 2)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_with_replacement_frequencies_are_the_probabilities(dtype):
    n, p = 40_000, np.array(WEIGHTS) / 10
    drawn = tr.multinomial(tr.tensor([WEIGHTS, WEIGHTS[::-1]], dtype=dtype), n, replacement=True, generator=0).numpy()
    for row, want in zip(drawn, (p, p[::-1]), strict=True):
        found = np.bincount(row, minlength=6) / n
        assert (found[want == 0] == 0).all()
        assert np.abs(found - want).max() < 5 * np.sqrt(0.25 / n)


def test_without_replacement_each_order_comes_as_often_as_drawing_one_after_the_other():
    n, w = 40_000, np.array([0.5, 0.2, 0.3])
    drawn = tr.multinomial(tr.tensor(np.tile(w, (n, 1))), 3, generator=0).numpy()
    for order in permutations(range(3)):
        want = w[order[0]] * w[order[1]] / (1 - w[order[0]])
        assert abs((drawn == order).all(1).mean() - want) < 5 * np.sqrt(want / n)


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-30, 1.0, 1e30, 1.7e307])
@pytest.mark.parametrize("replacement", [False, True])
def test_of_any_size_entries_of_zero_are_never_drawn(scale, replacement):
    w = np.tile([0.0, 1.0, 0.0, 1.0, 1.0, 0.0], (200, 1)) * scale
    assert w.max() > 0
    drawn = tr.multinomial(tr.tensor(w), 3, replacement, generator=1).numpy()
    assert set(drawn.ravel()) == {1, 3, 4}
    assert replacement or (np.sort(drawn) == [1, 3, 4]).all()


def test_a_float32_softmax_over_a_large_vocabulary():
    """Its sum differs from 1 by more than NumPy's `choice` allows."""
    scores = np.random.default_rng(0).standard_normal((2, 50257)).astype("float32") * 2
    p = nn.functional.softmax(tr.tensor(scores), dim=-1)
    assert tr.multinomial(p, num_samples=1).shape == (2, 1)
    assert tr.cat((tr.zeros(2, 3, dtype=tr.int64), p.multinomial(1)), dim=1).shape == (2, 4)


def test_the_seed_decides_and_no_gradient_is_asked_for():
    w = tr.rand(4, 9, requires_grad=True)
    tr.manual_seed(3)
    first = tr.multinomial(w, 5).tolist()
    assert tr.multinomial(w, 5).tolist() != first
    tr.manual_seed(3)
    assert tr.multinomial(w, 5).tolist() == first
    assert tr.multinomial(w, 5, generator=4).tolist() == tr.multinomial(w, 5, generator=4).tolist()
    assert not tr.multinomial(w, 5).requires_grad


REFUSED = {
    "three axes": (lambda t: (t.ones(1, 2, 3), 1), r"shape \(n,\) or \(B, n\), got \(1, 2, 3\)"),
    "none": (lambda t: (t.tensor(1.0), 1), r"got \(\)"),
    "integers": (lambda t: (t.ones(3).long(), 1), "floating dtype, got int64"),
    "negative": (lambda t: (t.tensor([1.0, -1.0]), 1), "negative, infinite or NaN"),
    "infinite": (lambda t: (t.tensor([1.0, float("inf")]), 1), "negative, infinite or NaN"),
    "NaN": (lambda t: (t.tensor([1.0, float("nan")]), 1), "negative, infinite or NaN"),
    "zeros": (lambda t: (t.tensor([[1.0, 1.0], [0.0, 0.0]]), 1), "a row is all zeros"),
    "no draws": (lambda t: (t.ones(3), 0), "at least 1, got 0"),
    "more than there are": (lambda t: (t.ones(3), 4), "cannot draw 4 of 3 entries"),
    "more than can be": (lambda t: (t.tensor([1.0, 0.0, 1.0]), 3), "cannot draw 3 of 2 entries"),
}
EACH = pytest.mark.parametrize(("given", "said"), REFUSED.values(), ids=REFUSED)


@EACH
def test_what_is_refused(given, said):
    with pytest.raises((TypeError, ValueError), match=f"multinomial: .*{said}"):
        tr.multinomial(*given(tr))


@pytest.mark.parity
@EACH
def test_pytorch_refuses_the_same(given, said):
    torch = pytest.importorskip("torch")
    if said == "cannot draw 3 of 2 entries":  # PyTorch draws an entry of 0 in this case
        assert 1 in torch.multinomial(*given(torch))
        return
    with pytest.raises(RuntimeError):
        torch.multinomial(*given(torch))
