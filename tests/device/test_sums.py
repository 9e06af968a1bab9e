"""Sums on the other device: places named twice, cotangents that add up, norms; in a fixed order, and unwaited for."""

import numpy as np
import pytest

import tinyres as tr
from tests.device.double import copies, no_copies
from tinyres import arrays, nn, optim
from tinyres.arrays import ravel_alike, to_device
from tinyres.ops import indexing

KEYS = {
    "rows": (np.array([0, 3, 3, 1, 3, 3, 3]), (5, 4)),
    "negative rows": (np.array([-1, 4, 0]), (5, 4)),
    "a matrix of rows": (np.array([[0, 3], [3, 3]]), (5, 4)),
    "pairs": ((np.array([0, 2, 0]), np.array([1, 1, 1])), (3, 2, 4)),
    "a column": ((slice(None), np.array([1, 1])), (3, 2, 4)),
    "after an axis of its own": ((None, np.array([1, 1, 0])), (2, 3)),
    "a mask": (np.array([True, False, True]), (3, 2)),
    "one place, often": (np.zeros(1000, int), (2, 3)),
    "no place": (np.zeros(0, int), (2, 3)),
    "a number of NumPy's": (np.int64(1), (3, 2)),
}


@pytest.mark.parametrize("name", KEYS)
def test_what_is_added_at_repeated_places_is_numpys_sum(name, gpu):
    key, shape = KEYS[name]
    x = np.random.default_rng(0).standard_normal(np.empty(shape)[key].shape)
    expected = np.zeros(shape)
    np.add.at(expected, key, x)
    there = tuple(to_device(k, "cuda") if isinstance(k, np.ndarray) else k for k in key) if type(key) is tuple else key
    there = to_device(there, "cuda") if isinstance(there, np.ndarray) else there
    allowed = ["implicit", "get", "item"] if name == "a mask" else []  # CuPy counts a mask's places on the host
    with no_copies(*allowed):
        found = tr.added_at(to_device(x, "cuda"), key=there, shape=shape)
    assert found.dtype == x.dtype
    np.testing.assert_allclose(to_device(found, "cpu"), expected, rtol=1e-12, atol=1e-12)


def test_the_order_of_the_sums_is_that_of_pairs_and_nothing_is_taken_from_another(gpu):
    """1 + 2^-54 is 1: neighbours first, then their sums, keeps what a running sum loses, and a difference of two."""
    x = np.array([1.0, *[2.0**-54] * 7, 1e300, np.inf, np.nan, 5.0])
    key = to_device(np.array([0] * 8 + [1, 2, 3, 4]), "cuda")
    found = to_device(tr.added_at(to_device(x, "cuda"), key=key, shape=(5,)), "cpu")
    assert found[0] == 1 + 2.0**-52
    np.testing.assert_array_equal(found[1:], [1e300, np.inf, np.nan, 5.0])


def test_atomics_are_never_asked_for(double, monkeypatch):
    def refuse(*_):
        raise AssertionError("an order that changes from run to run")

    monkeypatch.setattr(type(double.add), "at", refuse)
    table = nn.Embedding(6, 3, rng=0).to("cuda")
    table(tr.tensor(np.array([[0, 2], [2, 2]])).to("cuda")).sum().backward()
    np.testing.assert_array_equal(table.weight.grad.numpy()[:, 0], [1, 0, 3, 0, 0, 0])


def test_numpy_keeps_its_own_sum(monkeypatch):
    monkeypatch.setattr(indexing, "_summed_by_place", None)
    found = tr.added_at(np.ones(3), key=np.array([0, 0, 1]), shape=(2,))
    np.testing.assert_array_equal(found, [2, 1])


# -- kernels that take large arrays as lines ------------------------------------------------------------------------
def test_large_arrays_are_taken_as_lines_and_small_ones_are_not(gpu):
    large = to_device(np.ones((64, 3, 16, 16), np.float32), "cuda")
    assert [v.shape for v in ravel_alike(large, large)] == [(64 * 3 * 256,)] * 2
    assert ravel_alike(large.transpose(0, 2, 3, 1))[0].shape == (64 * 3 * 256,)
    assert ravel_alike(large, large.transpose(0, 1, 3, 2)) is None  # another order
    assert ravel_alike(large[:, :, ::2]) is None  # gaps
    assert ravel_alike(large[:1]) is None
    assert ravel_alike(large.astype("int64")) is None
    assert ravel_alike(large, to_device(large, "cpu")) is None


def test_gradients_of_large_arrays_are_added_and_masked_by_the_kernels(double, monkeypatch):
    used = []
    whole = arrays.kernels_for(double.ones(1))

    class Noted:
        def __getattr__(self, name):
            return lambda *a, **k: used.append(name) or getattr(whole, name)(*a, **k)

    kernels_for = lambda *arrays: Noted()
    monkeypatch.setattr("tinyres.ops.activation.kernels_for", kernels_for)
    monkeypatch.setattr("tinyres.autograd.algebra.kernels_for", kernels_for)
    for rows, expected in ((300, ["relu", "relu_dx", "add"]), (3, [])):
        used.clear()
        x = tr.tensor(np.random.default_rng(0).standard_normal((rows, 300))).to("cuda").requires_grad_()
        with no_copies():
            (g,) = tr.grad(tr.relu(x) + x, [x], x.detach())
        assert used == expected
        np.testing.assert_array_equal(g.numpy(), x.detach().numpy() * (1.0 + (x.detach().numpy() > 0)))


# -- optimisers -----------------------------------------------------------------------------------------------------
def parameters(device, count=3):
    rng = np.random.default_rng(0)
    found = [nn.Parameter(rng.standard_normal((2, 3))) for _ in range(count)]
    for p in found:
        p.data = to_device(p.numpy(), device)
        p.grad = tr.tensor(rng.standard_normal((2, 3))).to(device)
    return found


def test_a_gradient_elsewhere_is_named_with_its_parameter(gpu):
    params = parameters("cuda")
    params[1].grad = params[1].grad.to("cpu")
    with pytest.raises(RuntimeError, match=r"SGD: params\[1\], of shape \(2, 3\), is on cuda, its \.grad on cpu; move"):
        optim.SGD(params, lr=0.1).step()


def test_a_state_left_behind_is_named_and_the_mend_that_is_told_mends_it(gpu):
    params = parameters("cpu")
    optimizer = optim.Adam(params)
    optimizer.step()
    for p in params:
        p.data, p.grad = to_device(p.numpy(), "cuda"), p.grad.to("cuda")
    with pytest.raises(RuntimeError, match=r"Adam: params\[0\].* is on cuda, its exp_avg on cpu; after moving a model"):
        optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.step()
    assert {p.device for p in params} == {"cuda"}


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200, 0.0, np.inf, np.nan])
def test_a_norm_is_waited_for_once_and_neither_overflows_nor_vanishes(scale, gpu):
    norms = []
    for device in ("cpu", "cuda"):
        params = parameters(device)
        with np.errstate(invalid="ignore"):
            for p in params:
                p.grad = tr.tensor(p.grad.numpy() * scale).to(device)
        copies.clear()
        norms.append(optim.clip_grad_norm_(params, 0.5))
        assert sum(copies.values()) <= 1
    assert norms[1] == pytest.approx(norms[0], rel=1e-12, nan_ok=True)


def test_gradients_on_two_devices_have_one_norm(gpu):
    here, there = parameters("cpu"), parameters("cuda")
    both = optim.clip_grad_norm_([*here, *there], np.inf)
    assert both == pytest.approx(np.sqrt(2) * optim.clip_grad_norm_(here, np.inf), rel=1e-12)
