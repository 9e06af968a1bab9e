"""Losses: definitions, extreme values, and what wrong targets are told. (Derivatives: against PyTorch in parity.)"""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.ops import losses, targets

RNG = np.random.default_rng(0)
LOGITS, CLASSES = RNG.normal(size=(4, 3)), np.array([2, 0, 1, 1])


def test_cross_entropy_is_the_log_likelihood_of_the_right_class():
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    want = -np.log(p[np.arange(4), CLASSES])
    x = tr.tensor(LOGITS)
    np.testing.assert_allclose(losses.cross_entropy(x, CLASSES, reduction="none").numpy(), want)
    np.testing.assert_allclose(losses.cross_entropy(x, tr.tensor(CLASSES)).numpy(), want.mean())
    np.testing.assert_allclose(nn.CrossEntropyLoss(reduction="sum")(x, CLASSES.tolist()).numpy(), want.sum())
    np.testing.assert_allclose(losses.nll_loss(tr.log_softmax(x, 1), CLASSES).numpy(), want.mean())
    assert isinstance(losses.cross_entropy(LOGITS, CLASSES), np.floating), "arrays in, array out"


def test_cross_entropy_over_places():
    x, t = RNG.normal(size=(2, 3, 4, 5)), RNG.integers(0, 3, (2, 4, 5))
    y = losses.cross_entropy(tr.tensor(x), t, reduction="none").numpy()
    assert y.shape == t.shape
    np.testing.assert_allclose(y[1, 2, 3], losses.cross_entropy(tr.tensor(x[1:, :, 2, 3]), t[1:, 2, 3]).item())


def test_its_gradient_is_softmax_minus_one_hot():
    x = tr.tensor(LOGITS, requires_grad=True)
    (g,) = tr.grad(losses.cross_entropy(x, CLASSES, reduction="sum"), x)
    np.testing.assert_allclose(g.numpy(), tr.softmax(x.detach()).numpy() - np.eye(3)[CLASSES], atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits(dtype):
    x = tr.tensor(np.array([[1000.0, -1000.0]], dtype), requires_grad=True)
    assert losses.cross_entropy(x, [1]).item() == 2000
    assert losses.cross_entropy(x, [0]).item() == 0
    z = tr.tensor(np.array([1000.0, -1000.0, 30.0, -30.0], dtype), requires_grad=True)
    for target, want in [(1.0, [0, 1000, np.exp(-30), 30]), (0.0, [1000, 0, 30, np.exp(-30)])]:
        loss = losses.binary_cross_entropy_with_logits(z, np.full(4, target), reduction="none")
        assert loss.dtype == dtype
        np.testing.assert_allclose(loss.detach().numpy(), want, rtol=1e-6)
        (g,) = tr.grad(loss.sum(), z)
        tail = np.exp(-30)  # a confident right answer still has a gradient, exact to the last digits
        np.testing.assert_allclose(g.numpy(), [0, -1, -tail, -1] if target else [1, 0, 1, tail], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_saturated_probabilities_give_finite_losses_and_gradients(dtype):
    p = tr.tensor(np.array([0.0, 1.0, 0.0, 1.0], dtype), requires_grad=True)
    loss = losses.binary_cross_entropy(p, [1, 0, 0, 1], reduction="none")
    np.testing.assert_allclose(loss.detach().numpy(), [100, 100, 0, 0])
    (g,) = tr.grad(loss.sum(), p)
    np.testing.assert_allclose(g.numpy(), [0, 0, 1, -1])
    nan = losses.binary_cross_entropy(np.array([np.nan], dtype), [1.0], reduction="none")
    assert np.isnan(nan).all(), "a NaN must not be clipped away"


def test_targets_take_the_dtype_of_the_input():
    x = tr.tensor([1.0, 2.0])
    for target in (np.array([1.0, 0.0]), np.array([1, 0]), np.array([True, False]), tr.tensor([1.0, 0.0])):
        assert losses.mse_loss(x, target, reduction="none").dtype == np.float32
    np.testing.assert_allclose(losses.mse_loss(x, [1, 0], reduction="none").numpy(), [0, 4])
    np.testing.assert_allclose(losses.l1_loss(x, [2, 0], reduction="sum").numpy(), 3)


def test_targets_may_want_a_gradient():
    x, t = tr.tensor([1.0, 5.0], requires_grad=True), tr.tensor([2.0, 2.0], requires_grad=True)
    for loss in (losses.mse_loss, losses.l1_loss):
        gx, gt = tr.grad(loss(x, t), [x, t])
        np.testing.assert_array_equal(gx.numpy(), -gt.numpy())
        assert gx.numpy().all()


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"])
def test_predictions_are_not_broadcast_against_targets(name):
    x = tr.tensor(np.full((4, 1), 0.5))
    with pytest.raises(ValueError, match=rf"^{name}: target must have the shape of input, \(4, 1\), got \(4,\)"):
        getattr(losses, name)(x, np.ones(4))
    with pytest.raises(ValueError, match=rf"^{name}: reduction must be .* got 'avg'"):
        getattr(losses, name)(x, np.ones((4, 1)), reduction="avg")
    with pytest.raises(ValueError, match=rf"^{name}: the batch is empty"):
        getattr(losses, name)(tr.tensor(np.ones((0, 1))), np.ones((0, 1)))


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ([0, 1, 2, 3], ValueError, r"classes from 0 to 2 \(axis 1 of input has 3\), got values from 0 to 3"),
        ([0, -1, 2, 1], ValueError, "got values from -1 to 2"),
        ([0.0, 1.0, 2.0, 1.0], TypeError, r"must hold class indices, i\.e\. integers, got \(4,\) float64"),
        (np.array([True, False, True, True]), TypeError, r"integers, got \(4,\) bool"),
        ([0, 1, 2], ValueError, r"of shape \(4, 3\) the target must have shape \(4,\), got \(3,\) int64"),
        (np.zeros((4, 3), int), ValueError, r"must have shape \(4,\), got \(4, 3\)"),
    ],
)
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_wrong_classes(name, target, error, message):
    with pytest.raises(error, match=f"^{name}: .*{message}"):
        getattr(losses, name)(tr.tensor(LOGITS), target)


def test_input_and_target_must_share_a_device(monkeypatch):
    there = np.array([0.0, 1.0])
    monkeypatch.setattr(targets, "device_of", lambda array: "cuda" if array is there else "cpu")
    with pytest.raises(RuntimeError, match=r"mse_loss: input is on cpu, target on cuda; .*\.to\('cpu'\)"):
        losses.mse_loss(tr.tensor([1.0, 2.0]), there)


def test_wrong_inputs():
    with pytest.raises(ValueError, match=r"cross_entropy: input must have shape \(N, C\).*got \(3,\) float64"):
        losses.cross_entropy(tr.tensor(LOGITS[0]), [1])
    with pytest.raises(ValueError, match=r"probabilities in \[0, 1\], got values from -0\.5 to 2; for logits use"):
        losses.binary_cross_entropy(tr.tensor([-0.5, 2.0]), [0, 1])
