"""Products with Jacobians and Hessians against finite differences and closed forms."""

import numpy as np
import pytest

import tinyres as tr
from tests.autograd.leaves import leaf

rng = np.random.default_rng(0)
A = rng.standard_normal((3, 4))
X = rng.standard_normal(4)


def f(x):
    return tr.tanh(tr.matmul(tr.tensor(A), x)) * x[:3]


def scalar(x):
    return (f(x) * f(x)).sum() + tr.exp(x).sum()


def difference(function, x, v, h=1e-6):
    return (function(tr.tensor(x + h * v)).numpy() - function(tr.tensor(x - h * v)).numpy()) / (2 * h)


def test_jacobian_rows_and_columns():
    J = tr.jacobian(f, tr.tensor(X)).numpy()
    columns = np.stack([difference(f, X, e) for e in np.eye(4)], axis=1)
    np.testing.assert_allclose(J, columns, atol=1e-8)


def test_vjp_and_jvp_are_products_with_it():
    J = tr.jacobian(f, tr.tensor(X)).numpy()
    u, v = rng.standard_normal(3), rng.standard_normal(4)
    y, back = tr.vjp(f, tr.tensor(X), u)
    np.testing.assert_allclose(y.numpy(), f(tr.tensor(X)).numpy())
    np.testing.assert_allclose(back.numpy(), u @ J, rtol=1e-12)
    _, forward = tr.jvp(f, tr.tensor(X), v)
    np.testing.assert_allclose(forward.numpy(), J @ v, rtol=1e-12)
    np.testing.assert_allclose(forward.numpy(), difference(f, X, v), atol=1e-8)


def test_hessian_is_symmetric_and_hvp_multiplies_with_it():
    H = tr.hessian(scalar, tr.tensor(X)).numpy()
    np.testing.assert_allclose(H, H.T, atol=1e-12)
    v = rng.standard_normal(4)
    y, Hv = tr.hvp(scalar, tr.tensor(X), v)
    np.testing.assert_allclose(Hv.numpy(), H @ v, rtol=1e-11)
    assert y.item() == pytest.approx(scalar(tr.tensor(X)).item())

    def gradient(x):
        z = tr.tensor(x.numpy(), requires_grad=True)
        return tr.grad(scalar(z), z)[0]

    np.testing.assert_allclose(H @ v, difference(gradient, X, v), rtol=1e-6)


def test_several_inputs_and_one_that_does_not_matter():
    a, b, c = tr.tensor(X), tr.tensor(X + 1), tr.tensor(np.ones(2))
    Ja, Jb, Jc = tr.jacobian(lambda a, b, c: a * b, (a, b, c))
    np.testing.assert_allclose(Ja.numpy(), np.diag(X + 1))
    np.testing.assert_allclose(Jb.numpy(), np.diag(X))
    np.testing.assert_array_equal(Jc.numpy(), np.zeros((4, 2)))
    _, pushed = tr.jvp(lambda a, b, c: a * b, (a, b, c), (np.ones(4), np.zeros(4), np.ones(2)))
    np.testing.assert_allclose(pushed.numpy(), X + 1)
    _, (va, _, vc) = tr.vjp(lambda a, b, c: a * b, (a, b, c), np.ones(4))
    np.testing.assert_allclose(va.numpy(), X + 1)
    np.testing.assert_array_equal(vc.numpy(), np.zeros(2))


def test_linear_and_constant_functions():
    _, zero = tr.hvp(lambda x: x.sum(), tr.tensor(X), np.ones(4))
    np.testing.assert_array_equal(zero.numpy(), np.zeros(4))
    np.testing.assert_array_equal(tr.hessian(lambda x: x.sum(), tr.tensor(X)).numpy(), np.zeros((4, 4)))
    _, pushed = tr.jvp(lambda x: tr.tensor(np.ones(2)), tr.tensor(X), np.ones(4))
    np.testing.assert_array_equal(pushed.numpy(), np.zeros(2))


def test_they_can_be_differentiated_again():
    x = tr.tensor(X, requires_grad=True)
    J = tr.jacobian(f, x, create_graph=True)
    (g,) = tr.grad((J * J).sum(), x)

    def squared(z):
        return (tr.jacobian(f, z, create_graph=True) ** 2).sum()

    np.testing.assert_allclose(g.numpy() @ X, difference(squared, X, X), rtol=1e-6)


def test_bad_shapes():
    with pytest.raises(ValueError, match=r"jvp: v\[0\] is \(3,\) float64, the input is \(4,\) float64"):
        tr.jvp(f, tr.tensor(X), np.ones(3))
    with pytest.raises(ValueError, match=r"hessian: the function must return one element, got shape \(3,\)"):
        tr.hessian(f, tr.tensor(X))


def test_functional_works_inside_no_grad_and_detaches_unless_asked():
    x = leaf(3)
    with tr.no_grad():
        y, g = tr.vjp(lambda z: (z * z).sum(), x)
        _, pushed = tr.jvp(lambda z: z * z, x, np.ones(3))
    np.testing.assert_allclose(g.numpy(), 2 * x.data)
    np.testing.assert_allclose(pushed.numpy(), 2 * x.data)
    assert not y.requires_grad
    assert not g.requires_grad
    y, g = tr.vjp(lambda z: (z * z * z).sum(), x, create_graph=True)
    assert y.requires_grad
    np.testing.assert_allclose(tr.grad(g.sum(), x)[0].numpy(), 6 * x.data)
    y, pushed = tr.jvp(lambda z: z * z * z, x, np.ones(3), create_graph=True)
    assert y.requires_grad
    np.testing.assert_allclose(tr.grad(pushed.sum(), x)[0].numpy(), 6 * x.data)
    y, pushed = tr.jvp(lambda z: z * z * z, x, np.ones(3))
    assert not y.requires_grad
    assert not pushed.requires_grad


def test_an_input_that_is_closed_over_as_well_counts_only_where_it_is_passed():
    x = leaf(3)
    _, g = tr.vjp(lambda z: (z * x).sum(), x)
    np.testing.assert_allclose(g.numpy(), x.data)
