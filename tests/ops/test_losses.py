"""The fused losses against the compositions that they stand for, where the table does not look."""

import numpy as np
import pytest

import tinyres as tr
from tinyres.arrays import KERNEL_SETS
from tinyres.autograd.primitive import PRIMITIVES
from tinyres.ops import likelihood, losses

INF, NAN = np.inf, np.nan
EACH_RUNG = pytest.mark.parametrize("rung", KERNEL_SETS)


def fused_and_composed(rung, name, arrays, g, **static):
    """Value and gradients of a primitive on a rung, and of its reference."""
    found = []
    with np.errstate(all="ignore"), tr.kernels(rung):
        for function in (
            getattr(likelihood if name == "cross_entropy" else losses, f"{name}_"),
            PRIMITIVES[name].decomposition,
        ):
            leaves = [tr.tensor(a, requires_grad=True) for a in arrays]
            y = function(*leaves, **static)
            found.append([y.detach().numpy(), *(d.numpy() for d in tr.grad(y, leaves, g))])
    return zip(*found, strict=True)


@EACH_RUNG
@pytest.mark.parametrize("special", [(INF, 0.0), (-INF, 0.0), (NAN, 1.0), (-INF, -INF), (1e30, -1e30)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_of_what_is_not_finite(rung, special, dtype):
    for x in ([[*special, 2.0]] * 3, [[special[0]] * 3] * 3):
        arrays = [np.array(x, dtype)]
        g = np.array([0.5, -2.0, 3.0], dtype)
        for a, b in fused_and_composed(rung, "cross_entropy", arrays, g, classes=np.arange(3)):
            np.testing.assert_allclose(a, b, rtol=1e-6)


@EACH_RUNG
def test_yes_or_no_of_what_is_not_finite(rung):
    x, t = (a.ravel() for a in np.meshgrid([INF, -INF, NAN, 1e30, 0.0], [0.0, 0.5, 1.0, NAN]))
    g = np.random.default_rng(0).standard_normal(x.shape)
    for a, b in fused_and_composed(rung, "binary_cross_entropy_with_logits", [x, t], g):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@EACH_RUNG
@pytest.mark.parametrize("memory", ["channels last", "channels first", "strided"])
def test_pixels_in_any_layout(rung, memory):
    rng = np.random.default_rng(3)
    x, classes = rng.standard_normal((2, 5, 3, 4)), rng.integers(0, 5, (2, 3, 4)).astype(np.uint8)
    x = {
        "channels first": x,
        "channels last": x.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2),
        "strided": np.repeat(x, 2, axis=3)[..., ::2],
    }[memory]
    g = np.broadcast_to(0.25, classes.shape)
    for a, b in fused_and_composed(rung, "cross_entropy", [x], g, classes=classes):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


@EACH_RUNG
def test_an_empty_batch_has_a_sum_and_a_gradient(rung):
    with tr.kernels(rung):
        for shape in ((0, 3), (0, 3, 2, 2), (0, 0)):
            x = tr.tensor(np.zeros(shape), requires_grad=True)
            y = losses.cross_entropy(x, np.zeros(shape[:1] + shape[2:], int), reduction="sum")
            assert y.item() == 0
            assert tr.grad(y, [x])[0].shape == shape
            with pytest.raises(ValueError, match="the batch is empty"):
                losses.cross_entropy(x, np.zeros(shape[:1] + shape[2:], int))


def test_a_single_number_and_integers_for_logits():
    x = tr.tensor(0.5, requires_grad=True)
    y = losses.binary_cross_entropy_with_logits(x, 1.0)
    assert y.shape == tr.grad(y, [x])[0].shape == ()
    assert y.item() == pytest.approx(np.log1p(np.exp(-0.5)))
    whole = losses.binary_cross_entropy_with_logits(tr.tensor([2]), [0.5])
    assert whole.item() == pytest.approx(np.logaddexp(0, 2) - 1)
    assert losses.cross_entropy(tr.tensor([[1, 1]]), [0]).item() == pytest.approx(np.log(2))
