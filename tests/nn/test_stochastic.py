"""Dropout, batch norm's state, and both inside a checkpoint."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_dropout_is_inverted_and_off_in_evaluation():
    drop = nn.Dropout(0.3, rng=0)
    x = tr.tensor(np.ones((200, 200), np.float32))
    y = drop(x).numpy()
    assert y.dtype == np.float32
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}
    assert abs((y == 0).mean() - 0.3) < 0.01  # 4.4 standard deviations
    assert not np.array_equal(y, drop(x).numpy()), "each call draws anew"
    np.testing.assert_array_equal(nn.Dropout(0.3, rng=0)(x).numpy(), y)
    assert drop.eval()(x) is x
    assert nn.Dropout(0.0)(x) is x
    assert not nn.Dropout(1.0)(x).numpy().any()


def test_the_gradient_passes_where_the_value_did():
    drop = nn.Dropout(0.5, rng=3)
    x = tr.tensor(normal(6, 7), requires_grad=True)
    y = drop(x)
    g = normal(6, 7, seed=1)
    (dx,) = tr.grad(y, x, g)
    np.testing.assert_allclose(dx.numpy(), np.where(y.detach().numpy() != 0, 2 * g, 0))


def test_dropping_an_infinite_entry_leaves_no_nan():
    y = nn.Dropout(1.0)(tr.tensor(np.full((2, 2), np.inf)))
    np.testing.assert_array_equal(y.numpy(), 0)


def test_images_keep_their_layout_and_draw_independently_of_it():
    x = normal(2, 5, 4, 3)
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    a, b = nn.Dropout(0.5, rng=0)(tr.tensor(x)), nn.Dropout(0.5, rng=0)(tr.tensor(last))
    np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert b.data.strides == last.strides


@pytest.mark.parametrize("shape", [(999,), (3, 333), (3, 9, 37), (3, 5, 8, 9), (2, 3, 5, 6, 7)], ids=len)
def test_tensors_of_any_number_of_axes_are_dropped_alike(shape):
    x = 1 + abs(normal(*shape))
    y = nn.Dropout(0.5, rng=0)(tr.tensor(x)).numpy()
    kept = y != 0
    np.testing.assert_array_equal(y, np.where(kept, 2 * x, 0))
    assert abs(kept.mean() - 0.5) < 0.1  # 6 standard deviations
    for axis, size in enumerate(shape):  # no axis is dropped as a whole
        assert size == 1 or kept.size == size or np.ptp(kept.astype(int), axis=axis).any()


def test_running_statistics_move_by_the_momentum():
    norm = nn.BatchNorm1d(2, momentum=0.25)
    x = np.array([[1.0, 0.0], [3.0, 4.0]], np.float32)
    old = [buffer.data for buffer in norm.buffers()]
    before = [array.copy() for array in old]
    norm(tr.tensor(x))
    np.testing.assert_allclose(norm.running_mean.numpy(), [0.5, 0.5])
    np.testing.assert_allclose(norm.running_var.numpy(), [0.75 + 0.25 * 2, 0.75 + 0.25 * 8])
    assert norm.num_batches_tracked.item() == 1
    for array, value, buffer in zip(old, before, norm.buffers(), strict=True):
        np.testing.assert_array_equal(array, value, err_msg="buffers are rebound, not written into")
        assert (buffer.dtype, buffer.shape) == (array.dtype, array.shape)
    norm.eval()(tr.tensor(x))
    assert norm.num_batches_tracked.item() == 1


def test_a_refused_batch_changes_no_statistics():
    norm = nn.BatchNorm1d(2)
    with pytest.raises(ValueError, match="at least 2"):
        norm(tr.tensor(np.ones((1, 2), np.float32)))
    assert norm.num_batches_tracked.item() == 0
    assert not norm.running_mean.numpy().any()


def test_without_statistics_there_are_no_buffers_and_evaluation_uses_the_batch():
    norm = nn.BatchNorm1d(3, track_running_stats=False, affine=False)
    assert list(norm.state_dict()) == []
    x = tr.tensor(normal(5, 3))
    np.testing.assert_array_equal(norm(x).numpy(), norm.eval()(x).numpy())


def stack():
    rng = np.random.default_rng(4)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, rng=rng), nn.BatchNorm2d(4), nn.Dropout(0.4, rng=rng), nn.ReLU(), nn.Dropout(0.2, rng=rng),
        nn.Residual(nn.Conv2d(4, 4, 1, rng=rng)),
    )  # fmt: skip


@pytest.mark.parametrize("second_order", [False, True])
def test_a_checkpoint_changes_neither_gradients_nor_state(second_order):
    results = []
    for keep in (True, False):
        net = stack()
        x = tr.tensor(normal(3, 2, 5, 5), requires_grad=True)
        for _ in range(2):  # the generator goes on where it was
            y = net(x) if keep else tr.checkpoint(net, x)
        grads = tr.grad(y, [x, *net.parameters()], normal(*y.shape, seed=1), create_graph=second_order)
        if second_order:
            pairing = sum((g * normal(*g.shape, seed=2)).sum() for g in grads)
            grads = tr.grad(pairing, [x, net[0].weight, net[1].weight])
        results.append((y, grads, net))
    (y, grads, net), (y2, grads2, net2) = results
    np.testing.assert_array_equal(y.detach().numpy(), y2.detach().numpy())
    for a, b in zip(grads, grads2, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), net2.state_dict()[key].numpy(), err_msg=key)
    assert net2[1].num_batches_tracked.item() == 2
    assert net[2].rng.bit_generator.state == net2[2].rng.bit_generator.state


def test_a_second_derivative_moves_statistics_once():
    net = nn.Sequential(nn.BatchNorm1d(3))
    x = tr.tensor(normal(5, 3), requires_grad=True)
    (g,) = tr.grad((net(x) ** 3).sum(), x, create_graph=True)
    (g**2).sum().backward()
    assert net[0].num_batches_tracked.item() == 1
    np.testing.assert_allclose(net[0].running_mean.numpy(), 0.1 * normal(5, 3).mean(0), rtol=1e-5)
