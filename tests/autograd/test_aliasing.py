"""What is written into a caller's array later changes no tensor and no gradient, of the first order or the second."""

import copy

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.autograd.operands import snapshot
from tinyres.optim.optimizer import Optimizer

RNG = np.random.default_rng(0)
KEY, PAIRS, MASK = np.array([2, 0, 0]), [1, 0], np.array([True, False, True])
CLASSES, SIGN = np.array([1, 0, 3]), np.array([[1.0, -1.0, 1.0, -1.0]])
SQUARE = RNG.uniform(0.5, 2, (3, 4))


# Each: a function of a tensor (3, 4), and what of the caller's it uses.
USES = {
    "x * a": (lambda x, a: x * a, SQUARE),
    "a * x": (lambda x, a: a * x, SQUARE),
    "x / a": (lambda x, a: x / a, SQUARE),
    "a / x": (lambda x, a: a / x, SQUARE),
    "x ** a": (lambda x, a: x**a, SQUARE),
    "x @ a": (lambda x, a: x @ a, SQUARE.T.copy()),
    "x @ vector": (lambda x, a: x @ a, SQUARE[0].copy()),
    "einsum": (lambda x, a: tr.einsum("ij,kj->ik", x, a), SQUARE),
    "maximum": (tr.maximum, SQUARE),
    "where": (lambda x, a: tr.where(a, x, x * x), SQUARE > 1),
    "x[a]": (lambda x, a: x[a], KEY),
    "x[a, 1:]": (lambda x, a: x[a, 1:], KEY),
    "x[mask]": (lambda x, a: x[a], MASK),
    "x[a list]": (lambda x, a: x[a], PAIRS),
    "x[a list in a tuple]": (lambda x, a: x[a, :2], PAIRS),
    "added_at": (lambda x, a: tr.added_at(x, key=a, shape=(3, 4)), KEY),
    "cross_entropy": (tr.cross_entropy, CLASSES),
    "nll_loss": (lambda x, a: tr.nll_loss(tr.log_softmax(x), a), CLASSES),
    "bce": (lambda x, a: tr.binary_cross_entropy(tr.sigmoid(x), a), (SQUARE > 1) * 1.0),
    "bce with logits": (tr.binary_cross_entropy_with_logits, (SQUARE > 1) * 1.0),
    "mse_loss": (tr.mse_loss, SQUARE),
    "embedding": (lambda x, a: _embedding(x)(a), KEY),
    "conv2d": (lambda x, a: tr.conv2d(x[None, None], a), RNG.normal(size=(1, 1, 2, 2))),
    "batch_norm": (lambda x, a: tr.batch_norm(x, weight=a), SQUARE[0].copy()),
    "batch_norm, evaluating": (lambda x, a: tr.batch_norm(x, a, a, training=False), SQUARE[0].copy()),
    "checkpoint": (lambda x, a: tr.checkpoint(lambda x, a: x * a, x, a), SQUARE),
    "checkpoint, by name": (lambda x, a: tr.checkpoint(lambda x, *, a: x * a, x, a=a), SQUARE),
    "checkpoint, in a list": (lambda x, a: tr.checkpoint(lambda x, a: x * a["a"][0], x, {"a": [a]}), SQUARE),
}


def _embedding(x):
    table = nn.Embedding(3, 4, rng=0)
    del table.weight  # a parameter, which no other tensor may take the place of
    table.weight = x
    return table


def spoil(given):
    """Write into the caller's array, or list, in place."""
    if isinstance(given, list):
        given[:] = given[::-1]
    else:
        given[...] = ~given if given.dtype == bool else given[::-1].copy() if given.dtype == int else 0


def gradients(function, given, then=lambda given: None):
    """First and second derivatives of what the function makes of a given array, which `then` happens to in between."""
    given, x = copy.deepcopy(given), tr.tensor(RNG_X, dtype="float64", requires_grad=True)
    y = function(x, given)
    then(given)
    cotangent = np.random.default_rng(1).normal(size=y.shape)
    (plain,) = tr.grad(y, x, cotangent, retain_graph=True)
    (dx,) = tr.grad(y, x, cotangent, create_graph=True)
    second = tr.grad((dx**2).sum(), x, allow_unused=True)[0] if dx.requires_grad else None
    return [np.zeros(()) if g is None else g.detach().numpy() for g in (plain, dx, second)]


RNG_X = np.random.default_rng(2).uniform(0.3, 1.7, (3, 4))


@pytest.mark.parametrize("name", USES)
def test_an_array_that_is_written_into_before_the_backward_pass(name):
    function, given = USES[name]
    for found, expected in zip(gradients(function, given, spoil), gradients(function, given), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert np.any(gradients(function, given)[0] != 0)


@pytest.mark.parametrize("rung", ["reference", "im2col", "cpu"])
def test_on_every_rung(rung):
    with tr.kernels(rung):
        test_an_array_that_is_written_into_before_the_backward_pass("cross_entropy")
        test_an_array_that_is_written_into_before_the_backward_pass("conv2d")


def test_a_cotangent():
    x, a = tr.tensor([1.0, 2.0], requires_grad=True), np.array([3.0, 4.0], "f")
    (dx,) = tr.grad(x + 0.0, x, a)
    x.backward(a)
    a[:] = 0
    assert dx.tolist() == x.grad.tolist() == [3.0, 4.0]


def test_data_that_is_assigned():
    a = np.array([[1.0, 2.0], [3.0, 4.0]], "f", order="F")
    p = nn.Parameter(np.zeros((2, 2), "f"))
    p.data = a
    y = (p * p).sum()
    a[:] = 0
    assert p.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert tr.grad(y, p)[0].tolist() == [[2.0, 4.0], [6.0, 8.0]]
    assert p.data.flags.f_contiguous  # in the memory layout in which it came


def test_a_copy_keeps_the_memory_layout():
    image = np.zeros((2, 5, 6, 3)).transpose(0, 3, 1, 2)
    assert snapshot(image).strides == image.strides
    assert snapshot(2.0) == 2.0


def test_what_is_no_array_of_the_callers_is_not_copied():
    """The arrays of tensors, which nobody writes into: an operation on them costs what it did."""
    x, w = tr.tensor(np.ones((2, 2)), requires_grad=True), tr.tensor(np.ones((2, 2)))
    saved = (x * w).node.saved
    assert any(value is w._data for value in saved)
    (dx,) = tr.grad(x * w * x, x, np.ones((2, 2)), create_graph=True)
    found, stack = [], [dx.node]
    while stack:
        node = stack.pop()
        found += [value for value in node.saved or () if isinstance(value, np.ndarray)]
        stack += [parent for parent in node.parents if parent is not None]
    assert any(value is w._data for value in found)  # in the recorded backward pass, too


def test_an_optimiser_keeps_its_own_arrays():
    class Keeps(Optimizer):
        def update(self, p, g, state):
            self.made = p - g
            return self.made

    p = nn.Parameter(np.ones(3, "f"))
    p.grad = tr.tensor(np.ones(3, "f"))
    optimizer = Keeps([p])
    optimizer.step()
    assert p._data is optimizer.made
