"""Options of the losses at their edges: large logits, nothing left, wrong settings."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.autograd.primitive import PRIMITIVES
from tinyres.nn import functional as F

WEIGHT = np.array([0.5, 2.0, 1.5])
BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SETTINGS = [
    {},
    {"weight": WEIGHT},
    {"label_smoothing": 0.1},
    {"weight": WEIGHT, "label_smoothing": 0.1, "ignore_index": 0},
]


def gradient(loss, x):
    return tr.grad(loss, [x])[0].numpy()


@BOTH
@pytest.mark.parametrize("settings", SETTINGS)
def test_logits_of_ten_thousand(settings, dtype):
    x = tr.tensor(np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4]], dtype), requires_grad=True)
    for target in (np.array([1, 2]), np.array([[0.2, 0.5, 0.3], [0, 0, 1]], dtype)):
        if target.ndim == 2 and "ignore_index" in settings:
            continue
        loss = F.cross_entropy(x, target, **settings)
        assert loss.dtype == dtype
        assert np.isfinite(loss.item())
        assert loss.item() > 1000
        assert np.isfinite(gradient(loss, x)).all()


@BOTH
def test_binary_logits_of_ten_thousand(dtype):
    x = tr.tensor(np.array([1e4, -1e4, 1e4, -1e4], dtype), requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(x, [0, 1, 1, 0], reduction="none", pos_weight=[3.0])
    np.testing.assert_array_equal(loss.numpy(), [1e4, 3e4, 0, 0])
    np.testing.assert_array_equal(gradient(loss.sum(), x), [1, -3, 0, 0])
    assert loss.dtype == dtype


@BOTH
@pytest.mark.parametrize("settings", SETTINGS)
def test_where_every_target_is_ignored_the_mean_is_nan_and_the_gradient_is_0(settings, dtype):
    """As in PyTorch; and no warning of a division by zero."""
    x = tr.tensor(np.ones((2, 3), dtype), requires_grad=True)
    ignored = settings.get("ignore_index", -100)
    target = np.array([ignored, ignored])
    loss = F.cross_entropy(x, target, **settings)
    assert np.isnan(loss.item())
    assert not gradient(loss, x).any()
    total = F.cross_entropy(x, target, **settings, reduction="sum")
    assert total.item() == 0
    assert not gradient(total, x).any()


def test_minus_100_is_ignored_without_being_asked_and_other_classes_out_of_range_are_not():
    x = tr.tensor(np.eye(3, dtype="f"), requires_grad=True)
    loss = F.cross_entropy(x, [0, -100, 2])
    assert loss.item() == pytest.approx(F.cross_entropy(x[::2], [0, 2]).item())
    assert not gradient(loss, x)[1].any()
    with pytest.raises(ValueError, match=r"classes from 0 to 2 .* got values from -1 to 2"):
        F.cross_entropy(x, [0, -1, 2])
    with pytest.raises(ValueError, match="got values from 0 to 3"):
        F.cross_entropy(x, [0, -100, 3])
    with pytest.raises(ValueError, match="got values from -100 to 2"):
        F.cross_entropy(x, [0, -100, 2], ignore_index=1)


def test_the_loss_of_an_ignored_infinity_counts_for_nothing():
    x = tr.tensor(np.array([[0.0, 1.0], [-np.inf, np.inf]]), requires_grad=True)
    with np.errstate(invalid="ignore"):
        loss = F.cross_entropy(x, [1, -100])
    assert loss.item() == pytest.approx(np.log1p(np.exp(-1)))


def test_one_class_as_probability_is_that_class():
    rng = np.random.default_rng(0)
    x, classes = tr.tensor(rng.normal(size=(5, 3))), rng.integers(0, 3, 5)
    for settings in ({}, {"label_smoothing": 0.2}):
        soft = F.cross_entropy(x, np.eye(3)[classes], **settings)
        assert soft.item() == pytest.approx(F.cross_entropy(x, classes, **settings).item(), rel=1e-12)


def test_the_plain_case_is_the_compiled_one_and_weights_are_factors_of_it():
    seen = []

    class Names(tr.Observer):
        def on_forward(self, node, value):
            seen.append(node.name)

    x = tr.tensor(np.ones((4, 3), "f"), requires_grad=True)
    with Names():
        nn.CrossEntropyLoss()(x, [0, 1, 2, 0])
    assert seen[0] == "cross_entropy"
    assert "log_softmax" not in seen
    assert len(seen) == 3, "the loss, its sum and the division by the number of targets"
    assert PRIMITIVES["cross_entropy"].joint is None
    seen.clear()
    with Names():
        nn.CrossEntropyLoss(weight=WEIGHT)(x, [0, 1, 2, 0])
    assert seen[0] == "cross_entropy"
    assert "log_softmax" not in seen


@BOTH
def test_empty_batches_have_a_sum(dtype):
    x = tr.tensor(np.zeros((0, 3), dtype), requires_grad=True)
    for settings in SETTINGS:
        loss = F.cross_entropy(x, np.zeros(0, int), **settings, reduction="sum")
        assert loss.item() == 0
        assert gradient(loss, x).shape == (0, 3)
    for call in (F.huber_loss, F.smooth_l1_loss, F.kl_div, F.mse_loss):
        assert call(x, np.zeros((0, 3)), reduction="sum").item() == 0
        assert call(x, np.zeros((0, 3)), reduction="none").dtype == dtype
        with pytest.raises(ValueError, match="the batch is empty"):
            call(x, np.zeros((0, 3)))


def test_at_its_kink_hubers_loss_is_smooth():
    x = tr.tensor([1.0 - 1e-4, 1.0, 1.0 + 1e-4], dtype="float64", requires_grad=True)
    loss = F.huber_loss(x, np.zeros(3), reduction="sum")
    np.testing.assert_allclose(gradient(loss, x), [1 - 1e-4, 1, 1])
    assert F.smooth_l1_loss(x, np.zeros(3), beta=0).item() == pytest.approx(F.l1_loss(x, np.zeros(3)).item())


def test_a_probability_of_0_has_no_term_in_the_divergence():
    log_p = tr.tensor(np.log([0.5, 0.5]), requires_grad=True)
    target = tr.tensor(np.array([0.0, 1.0]), requires_grad=True)
    loss = F.kl_div(log_p, target, reduction="sum")
    assert loss.item() == pytest.approx(np.log(2))
    assert all(np.isfinite(g.numpy()).all() for g in tr.grad(loss, [log_p, target]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda x: F.cross_entropy(x, [0, 1], "sum"),
            TypeError,
            "weight must be a tensor .*'sum'; .* write reduction=",
        ),
        (lambda x: nn.CrossEntropyLoss("sum"), TypeError, "CrossEntropyLoss: weight must be a tensor, got 'sum'"),
        (lambda x: F.cross_entropy(x, [0, 1], [1.0, 2.0]), ValueError, r"weight must have shape \(3,\).* got \(2,\)"),
        (lambda x: F.cross_entropy(x, [0, 1], label_smoothing=1.5), ValueError, "label_smoothing must be from 0 to 1"),
        (lambda x: F.cross_entropy(x, x, ignore_index=1), ValueError, "ignore_index=1 needs targets that are classes"),
        (lambda x: F.cross_entropy(x[0], 1.5), TypeError, "target must hold class indices"),
        (lambda x: F.huber_loss(x, x, delta=0.0), ValueError, "huber_loss: delta must be positive"),
        (lambda x: F.smooth_l1_loss(x, x, beta=-1.0), ValueError, "smooth_l1_loss: beta must be at least 0"),
        (lambda x: F.kl_div(x, x[0]), ValueError, "kl_div: target must have the shape of input"),
        (lambda x: F.mse_loss(x, x, weight=np.ones(3)), ValueError, "mse_loss, weight: target must have the shape"),
        (lambda x: F.cosine_embedding_loss(x, x[0], [1, 1]), ValueError, "needs two inputs .* of one shape"),
    ],
)
def test_wrong_settings(call, error, message):
    with pytest.raises(error, match=message):
        call(tr.tensor(np.ones((2, 3), "f")))


def test_weights_move_with_the_module():
    loss = nn.BCEWithLogitsLoss(pos_weight=np.array([2.0, 3.0], "f")).to("float64")
    assert list(loss.state_dict()) == ["pos_weight"]
    assert loss.pos_weight.dtype == np.float64
    assert list(loss.parameters()) == []
