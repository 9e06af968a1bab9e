"""The checker is checked: what is planted wrong must be caught, and named for what it is."""

import numpy as np
import pytest

import tinyres as tr
from tinyres.autograd.calling import define
from tinyres.autograd.functional import jvp
from tinyres.autograd.primitive import PRIMITIVES
from tinyres.autograd.tensor import raw
from tinyres.gradcheck import GradcheckError, gradcheck
from tinyres.ops.reduction import sum_
from tinyres.ops.softmax import softmax_

RNG = np.random.default_rng(7)


def planted(forward, **rules):
    """A primitive that does not enter the registry."""
    made = define(forward)
    made.vjp(**rules)
    return made


def caught(function, inputs, **settings):
    with pytest.raises(GradcheckError) as error:
        gradcheck(function, inputs, **settings)
    print(error.value)
    return str(error.value)


# -- what is right passes -------------------------------------------------------------------------------------------
def test_a_right_gradient_passes_in_every_order_and_the_report_says_where_it_was_closest():
    x, w = RNG.standard_normal((3, 2)), RNG.standard_normal((2, 2))
    report = gradcheck(lambda x, w: tr.tanh(x @ w) * x, [x, w], order=3)
    assert [order.order for order in report.orders] == [1, 2, 3]
    assert all(order.error <= order.allowed for order in report.orders)
    text = str(report)
    assert "gradcheck passed" in text
    assert "order 3" in text
    assert "inputs[" in text or "random direction" in text


def test_one_array_a_tensor_and_a_tuple_of_outputs_are_accepted():
    x = RNG.standard_normal(4)
    gradcheck(tr.exp, x)
    gradcheck(tr.exp, tr.tensor(x))
    gradcheck(lambda x: (tr.exp(x), x[:2] * x[2:]), [x], order=2)


def test_an_input_of_no_dimensions_and_a_scalar_output():
    gradcheck(lambda a, x: (a * x * x).sum(), [np.array(0.7), RNG.standard_normal(3)], order=2)


def test_large_inputs_are_probed_along_directions_only():
    report = gradcheck(lambda x: tr.tanh(x).sum(), [RNG.standard_normal(5000)], seeds=4)
    assert report.orders[0].probes == 4
    assert gradcheck(tr.tanh, [RNG.standard_normal(70)], full=True).orders[0].probes == 3 + 70 * 70


@pytest.mark.parametrize(("n", "entries"), [(63, 63), (64, 64), (65, 0)])
def test_every_entry_of_a_small_jacobian_is_compared(n, entries):
    assert gradcheck(tr.tanh, [RNG.standard_normal(n)], seeds=2).orders[0].probes == 2 + n * entries
    assert gradcheck(lambda x: x.sum(), [RNG.standard_normal(n)], seeds=2).orders[0].probes == 2 + entries


def test_the_step_grows_with_the_input():
    gradcheck(lambda x: x * x, [np.array([1e6, 1.0, 1e-6])])


def test_the_complex_step_reaches_the_last_digits():
    report = gradcheck(lambda x: tr.exp(x) / (1 + x * x), [RNG.standard_normal(5)], complex_step=True)
    assert report.orders[0].error < 1e-14
    off = planted(lambda x: np.exp(x), x=lambda g, y: g * y * (1 + 1e-9))  # far below what a central difference sees
    gradcheck(off, [np.ones(3)])
    assert "by the rules" in caught(off, [np.ones(3)], complex_step=True)


# -- what is wrong is caught ----------------------------------------------------------------------------------------
def test_a_wrong_rule_is_caught_and_its_worst_element_named():
    cube = planted(lambda x: x**3, x=lambda g, x: g * (2 * x * x))
    text = caught(cube, [np.array([[0.1, 0.2], [3.0, 0.3]])])
    assert "order 1" in text
    assert "at inputs[0][1, 0] of output[0][1, 0]" in text
    assert "by the rules      18" in text
    assert "by differences    27 " in text
    assert "ratio             0.6666" in text
    assert "No step agrees" in text


def test_a_wrong_rule_in_one_element_of_many_is_found_by_a_random_direction():
    def forward(x):
        return x * x

    mask = np.ones(200)
    mask[137] = 0.5
    text = caught(planted(forward, x=lambda g, x: 2 * g * x * mask), [1 + RNG.random(200)])
    assert "at inputs[0][137] under a random cotangent" in text
    assert "ratio             0.5" in text


@pytest.mark.parametrize("size", [256, 257, 3000])
@pytest.mark.parametrize("everywhere", [True, False])
def test_the_worst_element_is_looked_for_among_all_or_among_256(size, everywhere):
    """Above 256 elements a single wrong one may not be among those: the fault is told all the same."""

    def forward(x):
        return x * x

    at = size // 2
    mask = np.full(size, 0.5) if everywhere else np.where(np.arange(size) == at, 0.5, 1)
    text = caught(planted(forward, x=lambda g, x: 2 * g * x * mask), [1 + RNG.random(size)])
    if everywhere:
        assert "at inputs[0][" in text
        assert "ratio             0.5" in text
    elif size <= 256:
        assert f"at inputs[0][{at}]" in text
    else:
        assert f"at inputs[0][{at}]" in text or "along a random direction" in text


@pytest.fixture
def softmax_that_only_looks_right():
    """The rule lacks y in its sum; a cotangent of ones it answers with zero, which is the right answer."""
    return planted(
        softmax_.primitive.forward,
        x=lambda g, y, axis: y * (g - sum_(g, axis=axis, keepdims=True) / y.shape[-1]),
    )


def test_a_cotangent_of_ones_would_not_have_caught_a_wrong_softmax(softmax_that_only_looks_right):
    data = RNG.standard_normal((2, 4))

    def gradient(function, cotangent):
        x = tr.tensor(data, requires_grad=True)
        return tr.grad(function(x, axis=(1,)), [x], cotangent)[0].numpy()

    ones, other = np.ones((2, 4)), RNG.standard_normal((2, 4))
    np.testing.assert_allclose(gradient(softmax_that_only_looks_right, ones), gradient(softmax_, ones), atol=1e-15)
    assert np.abs(gradient(softmax_that_only_looks_right, other) - gradient(softmax_, other)).max() > 1e-2
    for full in (False, True):  # a random cotangent alone finds it too
        text = caught(lambda x: softmax_that_only_looks_right(x, axis=(1,)), [data], full=full)
        assert "rules and differences disagree" in text


def test_an_order_two_mistake_under_a_right_first_order_is_caught():
    # Batch norm's classic: the inverse standard deviation is kept as an array, so a second derivative lacks its terms.
    def forward(x):
        return (x - x.mean(axis=0)) / x.std(axis=0)

    def rule(g, x, y):
        spread = 1 / raw(x).std(axis=0)
        n = x.shape[0]
        return spread * (g - sum_(g, axis=(0,), keepdims=True) / n - y * sum_(g * y, axis=(0,), keepdims=True) / n)

    norm = planted(forward, x=rule)
    x = RNG.standard_normal((4, 2))
    gradcheck(norm, [x])
    text = caught(norm, [x], order=2)
    assert "order 2" in text
    assert "Order 1 passed" in text
    assert "as a constant" in text
    assert "at inputs[0]" in text


def test_a_mistake_of_the_third_order_is_caught():
    def rule(g, x):  # 3 x^2, whose derivative 6 x is right, but which has x as a constant in it
        return g * (6 * raw(x) * x - 3 * raw(x) * raw(x))

    cube = planted(lambda x: x**3, x=rule)
    x = np.array([0.7, -1.2])
    gradcheck(cube, [x], order=2)
    assert "order 3" in caught(cube, [x], order=3)


def test_a_recorded_pass_that_differs_from_the_plain_one_is_caught():
    double = planted(lambda x: x * 2, x=lambda g: g * 3 if isinstance(g, tr.Tensor) else g * 2)
    gradcheck(double, [np.ones(2)])
    assert "create_graph=True the gradient is not that of a plain pass" in caught(double, [np.ones(2)], order=2)


def test_zero_against_zero_is_no_check():
    x = RNG.standard_normal((2, 3))
    text = caught(lambda x: tr.softmax(x).sum(-1), [x])
    assert "vacuous: both sides are zero for inputs[0]" in text
    assert "inputs[1]" in caught(lambda x, unused: x * 2, [x, x])
    assert "vacuous" in caught(tr.exp, [np.zeros((0, 3))])
    gradcheck(tr.sign, [x], allow_zero=True)


def test_a_detached_input_is_no_vacuous_one_but_a_wrong_rule():
    text = caught(lambda x: tr.exp(x.detach()) * 1.0, [np.ones(2)])
    assert "by the rules      0" in text


def test_a_random_function_is_said_to_be_one():
    rng = np.random.default_rng(0)
    text = caught(lambda x: x * rng.random(x.shape), [np.ones(3)])
    assert "nondeterministic" in text
    assert "seed" in text


def test_a_kink_is_said_to_be_one():
    text = caught(tr.relu, [np.array([1.0, 0.0, -1.0])])
    assert "kink" in text
    assert "at inputs[0][1]" in text
    assert "slope 0 from the left and 1 from the right" in text
    assert "No step agrees" not in text
    assert "kink" in caught(tr.relu, [np.array([1.0, 1e-7])])


def test_a_strong_curve_is_no_kink_and_no_wrong_rule():
    text = caught(lambda x: tr.exp(1e4 * x), [np.array([0.0])], eps=1e-4)
    assert "kink" not in text
    assert "Another step agrees far better" in text


def test_a_gradient_that_is_not_finite_is_said_to_be_so():
    nan = planted(lambda x: x * 1.0, x=lambda g: g * np.nan)
    assert "not finite" in caught(nan, [np.ones(2)])


def test_errors_against_step_sizes_are_in_the_explanation():
    text = caught(planted(lambda x: x**3, x=lambda g, x: g * x), [np.ones(1)])
    steps, errors = (line for line in text.splitlines() if line.lstrip().startswith(("step ", "error ")))
    assert len(steps.split()) == len(errors.split()) == 7


# -- dtypes ---------------------------------------------------------------------------------------------------------
def test_float32_is_refused_with_the_mend():
    with pytest.raises(TypeError, match=r"inputs\[1\] is float32.*astype\('float64'\)"):
        gradcheck(lambda x, w: x * w, [np.ones(2), np.ones(2, np.float32)])
    with pytest.raises(TypeError, match=r"inputs\[0\] is int64.*bind"):
        gradcheck(lambda i: i * 2.0, [np.arange(3)])


def test_a_function_that_converts_is_refused():
    with pytest.raises(TypeError, match=r"output\[0\] is float32"):
        gradcheck(lambda x: x.astype("float32"), [np.ones(2)])


def test_a_function_that_leaves_the_graph_is_refused():
    with pytest.raises(TypeError, match="not a tensor"):
        gradcheck(lambda x: np.exp(x.detach().numpy()), [np.ones(2)])


def test_nothing_planted_has_entered_the_registry():
    assert all(primitive.forward.__module__.startswith("tinyres.") for primitive in PRIMITIVES.values())


def test_a_wrong_forward_mode_is_caught(monkeypatch):
    monkeypatch.setitem(gradcheck.__globals__, "jvp", lambda f, x, v: (f(*x), 2 * jvp(f, x, v)[1]))
    assert "forward mode" in caught(tr.exp, [np.ones(2)], order=2)


def test_a_function_that_returns_a_python_number():
    with pytest.raises(TypeError, match=r"gradcheck: output\[0\] is a float, not a tensor: the graph is cut"):
        gradcheck(lambda x: x.sum().item(), np.ones(3))


def test_an_operation_without_rules_and_one_that_broadcasts_are_told_the_mend():
    double = define(lambda x: 2 * x)
    with pytest.raises(AssertionError, match="0 also comes of an operation without rules"):
        tr.gradcheck(double, np.array([0.5, -1.0]))
    scaled = define(lambda x, w: x * w)
    scaled.vjp(x=lambda g, w: g * w, w=lambda g, x: g * x)
    with pytest.raises(RuntimeError, match=r"declare it with @tr.primitive\(broadcasts=True\)"):
        tr.gradcheck(scaled, [np.ones((3, 4)), np.ones(4)])
