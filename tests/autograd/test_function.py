"""An operation in PyTorch's form, with a derivative of its own, to any order."""

import gc
import weakref

import numpy as np
import pytest

import tinyres as tr


class Exp(tr.Function):
    """e^x."""

    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class Scaled(tr.Function):
    """a x^2 y, with a number a between the two tensors."""

    runs = 0

    @staticmethod
    def forward(ctx, x, a, y):
        ctx.a = a
        ctx.save_for_backward(x, None, y)
        return a * x * x * y

    @staticmethod
    def backward(ctx, g):
        Scaled.runs += 1
        x, nothing, y = ctx.saved_tensors
        assert nothing is None
        return 2 * ctx.a * g * x * y, None, ctx.a * g * x * x


def pair(*shape):
    rng = np.random.default_rng(0)
    return [tr.tensor(rng.standard_normal(shape), requires_grad=True) for _ in range(2)]


def test_first_and_second_order():
    x, y = pair(2, 3)
    tr.gradcheck(Exp.apply, [x])
    tr.gradcheck(lambda x, y: Scaled.apply(x, 3.0, y), [x, y])
    for function, same in ((Exp.apply, tr.exp), (lambda x: Scaled.apply(x, 3.0, y), lambda x: 3 * x * x * y)):
        found, right = (tr.hessian(lambda x, f=f: f(x).sum(), x).numpy() for f in (function, same))
        np.testing.assert_allclose(found, right, rtol=1e-12)
    (mixed,) = tr.grad(tr.grad(Scaled.apply(x, 3.0, y).sum(), x, create_graph=True)[0].sum(), y)
    np.testing.assert_allclose(mixed.numpy(), 6 * x.numpy(), rtol=1e-12)


def test_backward_runs_once_for_several_inputs():
    x, y = pair(3)
    Scaled.runs = 0
    Scaled.apply(x, 3.0, y).sum().backward()
    assert Scaled.runs == 1
    np.testing.assert_allclose(x.grad.numpy(), 6 * x.numpy() * y.numpy())
    np.testing.assert_allclose(y.grad.numpy(), 3 * x.numpy() ** 2)


def test_the_same_input_twice_and_one_that_needs_no_gradient():
    x, y = pair(3)
    (g,) = tr.grad(Scaled.apply(x, 1.0, x).sum(), x)
    np.testing.assert_allclose(g.numpy(), 3 * x.numpy() ** 2)
    (g,) = tr.grad(Scaled.apply(x, 1.0, y.detach()).sum(), x)
    np.testing.assert_allclose(g.numpy(), 2 * x.numpy() * y.numpy())


def test_several_passes_each_with_its_cotangent():
    x, _ = pair(3)
    y = Exp.apply(x)
    for scale in (1.0, 2.0):
        (g,) = tr.grad((scale * y).sum(), x, retain_graph=True)
        np.testing.assert_allclose(g.numpy(), scale * np.exp(x.numpy()))


def test_what_is_saved_is_what_it_was_in_the_forward():
    """An optimiser gives a parameter another array before the backward pass."""
    x, y = pair(3)
    then = x.numpy().copy()
    z = Scaled.apply(x, 1.0, y)
    x.data = np.zeros(3)
    (g,) = tr.grad(z.sum(), y)
    np.testing.assert_array_equal(g.numpy(), then**2)


def test_none_is_a_gradient_of_zeros():
    class First(tr.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + 0 * y

        @staticmethod
        def backward(ctx, g):
            return g, None

    x, y = pair(2, 2)
    First.apply(x, y).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.ones((2, 2)))
    np.testing.assert_array_equal(y.grad.numpy(), np.zeros((2, 2)))


def test_what_is_asked_of_the_context():
    seen = []

    class Asks(tr.Function):
        @staticmethod
        def forward(ctx, x, a, y):
            seen.append((ctx.needs_input_grad, tr.is_recording()))
            return x.exp()

        @staticmethod
        def backward(ctx, g):
            seen.append((ctx.saved_tensors, tr.is_recording()))
            return g, None, None

    x, y = pair(2)
    out = Asks.apply(x, 1, y.detach())
    assert seen == [((True, False, False), False)]
    out.sum().backward()
    assert seen[1] == ((), False)
    assert out.node.primitive.name == "Asks"
    with tr.no_grad():
        assert Asks.apply(x, 1, y).node is None


def test_nothing_is_kept_alive_by_a_circle():
    x, _ = pair(3)
    y = Exp.apply(x)
    there = weakref.ref(y)
    gc.disable()
    try:
        del y
        assert there() is None
    finally:
        gc.enable()


def bad(forward=lambda ctx, x: x.exp(), backward=lambda ctx, g: g):
    return type("Bad", (tr.Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)})


def test_mistakes_are_said():
    x, _ = pair(2)
    with pytest.raises(TypeError, match=r"Bad: a Function is not called; use Bad.apply\(x\)"):
        bad()(x)
    with pytest.raises(TypeError, match=r"Bad.apply: needs at least one tensor, got 1 other arguments"):
        bad().apply(1.0)
    with pytest.raises(TypeError, match=r"Bad.forward: must return one tensor, got tuple"):
        bad(forward=lambda ctx, x: (x, x)).apply(x)
    with pytest.raises(TypeError, match=r"Bad.backward: must return a gradient, or None, for each of the 1 .* got 2"):
        bad(backward=lambda ctx, g: (g, g)).apply(x).sum().backward()
    with pytest.raises(RuntimeError, match=r"Bad: the rule for argument 0 returned a cotangent of shape \(1,\)"):
        bad(backward=lambda ctx, g: g[:1]).apply(x).sum().backward()
    with pytest.raises(NotImplementedError, match=r"forward\(ctx"):
        type("Empty", (tr.Function,), {}).apply(x)


@pytest.mark.parametrize("numbers", [[1.0, 2.0], [2.0, 0.5]])
def test_a_cotangent_that_its_owner_wrote_into_is_a_new_one(numbers):
    x, y = pair(3)
    z, seed = Scaled.apply(x, 1.0, y), np.empty(3)
    for number in numbers:
        seed[...] = number
        gx, gy = tr.grad(z, [x, y], seed, retain_graph=True)
        np.testing.assert_allclose(gx.numpy(), number * 2 * x.numpy() * y.numpy())
        np.testing.assert_allclose(gy.numpy(), number * x.numpy() ** 2)


@pytest.mark.parametrize("name", ["forward", "backward"])
def test_a_method_without_staticmethod_is_told_so_where_it_is_written(name):
    with pytest.raises(TypeError, match=rf"Own\.{name} is no static method: write @staticmethod on the line above"):
        type("Own", (tr.Function,), {name: lambda self, ctx, x: x})
