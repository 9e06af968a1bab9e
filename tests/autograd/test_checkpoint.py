"""Checkpointing: the same gradients, less memory, no second update of anything."""

import tracemalloc

import numpy as np
import pytest

import tinyres as tr
from tests.autograd.leaves import leaf
from tinyres import nn
from tinyres.autograd.checkpoint import note_draw
from tinyres.context import current


def block(x, w):
    return tr.tanh(tr.tanh(x @ w) @ w)


def test_the_same_gradients_of_first_and_second_order():
    x, w = leaf(2, 3), leaf(3, 3, seed=1)

    def both(run):
        y = run(run(x)).sum()
        first = tr.grad(y, [x, w], create_graph=True)
        second = tr.grad(sum((g * g).sum() for g in first), [x, w])
        return [g.numpy() for g in (*first, *second)]

    plain = both(lambda h: block(h, w))
    for a, b in zip(plain, both(lambda h: tr.checkpoint(block, h, w)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
    for a, b in zip(plain, both(lambda h: tr.checkpoint(lambda z: block(z, w), h)), strict=True):  # w by closure
        np.testing.assert_allclose(a, b, rtol=1e-13)


def test_backward_and_targets_inside_the_graph():
    x, w = leaf(2, 3), leaf(3, 3, seed=1)
    h = tr.exp(x)
    (gh,) = tr.grad(tr.checkpoint(block, h, w).sum(), h)
    np.testing.assert_allclose(gh.numpy(), tr.grad(block(h, w).sum(), h)[0].numpy(), rtol=1e-13)
    tr.checkpoint(block, x, w).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), tr.grad(block(x, w).sum(), w)[0].numpy(), rtol=1e-13)


def test_a_checkpoint_inside_a_checkpoint():
    x, w = leaf(2, 3), leaf(3, 3, seed=1)
    y = tr.checkpoint(lambda z: tr.checkpoint(block, tr.checkpoint(block, z, w), w), x)
    np.testing.assert_allclose(
        tr.grad(y.sum(), w)[0].numpy(), tr.grad(block(block(x, w), w).sum(), w)[0].numpy(), rtol=1e-13
    )


def test_the_second_run_draws_the_same_numbers_and_leaves_the_generator_where_it_was():
    x = leaf(4)
    rng = np.random.default_rng(3)

    def noisy(z):
        note_draw(rng)
        return z * rng.standard_normal(4)

    y = tr.checkpoint(noisy, x)
    factor = y.numpy() / x.data
    after = rng.bit_generator.state
    (g,) = tr.grad(y.sum(), x)
    np.testing.assert_allclose(g.numpy(), factor)
    assert rng.bit_generator.state == after


def test_running_statistics_move_once():
    x, mean, var = leaf(6, 3), tr.tensor(np.zeros(3)), tr.tensor(np.ones(3))

    def norm(z):
        return tr.batch_norm(z, mean, var)

    y = tr.checkpoint(norm, x)
    once = mean.numpy().copy()
    assert np.abs(once).max() > 0
    tr.grad((y * y * y).sum(), x)
    np.testing.assert_array_equal(mean.numpy(), once)


def test_a_released_checkpoint_says_so():
    x, w = leaf(2, 3), leaf(3, 3, seed=1)
    y = tr.checkpoint(block, x, w)
    tr.grad(y, x, np.ones((2, 3)))
    with pytest.raises(RuntimeError, match=r"checkpoint .*freed"):
        tr.grad(y, x, np.ones((2, 3)))


def test_parameters_are_found_as_they_were_and_rebound_names_are_noticed():
    x, w = leaf(2, 3), leaf(3, 3, seed=1)
    (expected,) = tr.grad(tr.tanh(x @ w).sum(), x)
    y = tr.checkpoint(lambda z: tr.tanh(z @ w), x).sum()
    w.data = w.data * 0  # an optimiser's step
    (g,) = tr.grad(y, x)
    np.testing.assert_array_equal(g.numpy(), expected.numpy())
    assert not w.numpy().any()
    h = x
    for v in [leaf(3, 3, seed=s) for s in (2, 3)]:
        h = tr.checkpoint(lambda z: tr.tanh(z @ v), h)  # noqa: B023 (the fault in question)
    with pytest.raises(RuntimeError, match=r"used <leaf .*, which the first did not; .* pass it as an argument"):
        tr.grad(h.sum(), x)


def test_what_a_checkpoint_returns_may_have_been_there_before():
    x = leaf(3)
    h = tr.exp(x)
    np.testing.assert_array_equal(tr.grad(tr.checkpoint(lambda z: z, x).sum(), x)[0].numpy(), np.ones(3))
    (g,) = tr.grad((tr.checkpoint(lambda z: z, h) * h).sum(), x)
    np.testing.assert_allclose(g.numpy(), 2 * np.exp(2 * x.data))
    assert not tr.checkpoint(lambda z: z.argmax(), x).requires_grad


def test_what_is_recorded_inside_still_reaches_what_is_outside():
    x, w = leaf(3), leaf(3, seed=1)
    doubled = w * 2.0

    def f(z):
        with tr.enable_grad():
            return z * doubled

    (g,) = tr.grad(tr.checkpoint(f, x).sum() + w.sum(), w)
    np.testing.assert_allclose(g.numpy(), 2 * x.data + 1)


def test_many_checkpoints_cost_what_they_should():
    """The time of grad is linear in their number: nothing is copied for each of them."""
    x = leaf(2)
    h = x
    for _ in range(4000):
        h = tr.checkpoint(tr.tanh, h)
    (g,) = tr.grad(h.sum(), x)
    assert np.isfinite(g.numpy()).all()


def test_what_a_checkpoint_must_return():
    with pytest.raises(TypeError, match="must return one tensor, got tuple"):
        tr.checkpoint(lambda z: (z, z), leaf(2))
    shapes = iter([2, 3])
    y = tr.checkpoint(lambda z: z[: next(shapes)], leaf(5))
    with pytest.raises(RuntimeError, match=r"the second run gave shape \(3,\), the first \(2,\)"):
        y.backward(np.ones(2))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("to", ["itself", "float64", "int64", "bool"])
def test_what_a_checkpoint_returns_has_a_gradient_where_it_has_a_real_number(dtype, to):
    functions = {
        "itself": lambda z: 2 * z,
        "float64": lambda z: (2 * z).astype("float64"),
        "int64": lambda z: tr.argmax(2 * z, axis=0),
        "bool": lambda z: 2 * z > 0,
    }
    x = tr.tensor(np.array([-1.0, 3.0, 2.0], dtype), requires_grad=True)
    plain, y = functions[to](x), tr.checkpoint(functions[to], x)
    np.testing.assert_array_equal(y.numpy(), plain.numpy())
    assert y.dtype == plain.dtype
    assert y.requires_grad == plain.requires_grad == (to in ("itself", "float64"))
    if y.requires_grad:
        np.testing.assert_array_equal(tr.grad(y.sum(), x)[0].numpy(), np.full(3, 2, dtype))


def peak(layers: int, segment: int | None) -> int:
    """The most bytes alive in forward and backward of a deep net, over those of its parameters."""
    rngs = [np.random.default_rng(s) for s in range(4)]
    ws = [tr.tensor(np.eye(8) + 0.01 * rng.standard_normal((8, 8)), requires_grad=True) for rng in rngs]
    x = tr.tensor(np.ones((256, 8)), requires_grad=True)

    def run(h, start, stop):
        for i in range(start, stop):
            h = tr.tanh(h @ ws[i % 4])
        return h

    tracemalloc.start()
    h = x
    if segment is None:
        h = run(h, 0, layers)
    else:
        for start in range(0, layers, segment):
            h = tr.checkpoint(run, h, start, min(start + segment, layers))
    tr.grad(h.sum(), [x, *ws])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_memory_grows_like_the_square_root_of_depth():
    plain = [peak(depth, None) for depth in (256, 1024)]
    assert plain[1] / plain[0] == pytest.approx(4, rel=0.1)
    rooted = [peak(depth, int(depth**0.5)) for depth in (256, 1024)]
    assert rooted[1] / rooted[0] == pytest.approx(2, rel=0.15)
    assert rooted[1] < plain[1] / 8


def test_a_first_run_under_an_observer_and_a_backward_inside_a_checkpoint():
    """Notes are taken of the checkpoint's own first run, not of what a backward pass inside of it runs again."""
    x, w = leaf(2, 3), leaf(3, 3, seed=1)

    def with_a_gradient_inside(z):
        with tr.enable_grad():
            h = tr.tensor(np.ones((2, 3)), requires_grad=True)
            (inner,) = tr.grad(tr.checkpoint(block, h, w).sum(), h)
        return z * inner

    with tr.Observer():
        (g,) = tr.grad(tr.checkpoint(with_a_gradient_inside, x).sum(), x)
    h = tr.tensor(np.ones((2, 3)), requires_grad=True)
    np.testing.assert_allclose(g.numpy(), tr.grad(block(h, w).sum(), h)[0].numpy(), rtol=1e-13)


def test_a_checkpoint_is_run_again_where_it_was_first_run():
    x = leaf(2, 3)
    paths, rungs = [], []

    class Noting(nn.Module):
        def forward(self, z):
            paths.append(current().path)
            rungs.append(current().kernels)
            return tr.exp(z)

    class Outer(nn.Module):
        def __init__(self):
            self.inner = Noting()

        def forward(self, z, scale=1.0):
            return tr.checkpoint(lambda a, scale: self.inner(a) * scale, z, scale=scale)

    model = Outer()
    with tr.kernels("reference"):
        y = model(x, scale=3.0).sum()
    with tr.no_grad():
        (g,) = tr.grad(y, x)
    np.testing.assert_allclose(g.numpy(), 3 * np.exp(x.data))
    assert paths == ["inner", "inner"]
    assert rungs == ["reference", "reference"]


def test_generators_are_rewound_and_put_back_even_after_an_error():
    x, rng = leaf(4), np.random.default_rng(3)
    fail = []

    def noisy(z):
        note_draw(rng)
        first = rng.standard_normal(4)
        note_draw(rng)
        second = rng.standard_normal(4)
        if fail:
            raise OSError("planted")
        return z * first * second

    y = tr.checkpoint(noisy, x)
    rng.standard_normal(100)  # life goes on between forward and backward
    later = rng.bit_generator.state
    (g,) = tr.grad(y.sum(), x, retain_graph=True)
    np.testing.assert_allclose(g.numpy(), y.numpy() / x.data)
    assert rng.bit_generator.state == later
    fail.append(True)
    with pytest.raises(OSError, match="planted"):
        tr.grad(y.sum(), x)
    assert rng.bit_generator.state == later
    assert not current().replaying


def test_a_checkpoint_of_what_needs_no_gradient_keeps_nothing():
    y = tr.checkpoint(tr.exp, tr.tensor([1.0, 2.0]))
    assert not y.requires_grad
    with tr.no_grad():
        assert not tr.checkpoint(tr.exp, leaf(2)).requires_grad


def test_a_leaf_that_the_function_makes_is_no_way_to_the_argument():
    x = leaf(3)
    y = tr.checkpoint(lambda z: (z * 2, leaf(3, seed=1))[1], x)
    assert tr.grad(y.sum(), x, allow_unused=True) == (None,)
    y = tr.checkpoint(lambda z: (z * 2, leaf(3, seed=1))[1], x)
    y.sum().backward()
    assert x.grad is None
