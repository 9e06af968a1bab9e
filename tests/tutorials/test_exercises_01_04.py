"""Worked solutions of exercises 01 to 04 pass; the usual mistakes are refused with the hint that names them."""

import math

import numpy as np
import pytest

from tinyres.exercises import exercise


def test_praise_is_one_line_that_says_what_was_shown(capsys):
    exercise("01", slope)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("Exercise 01 is right. A number that is used twice")


def test_an_exercise_that_does_not_exist():
    with pytest.raises(ValueError, match=r"there is no exercise '99'; there are 01, 02, (\d\d, )+\d\d$"):
        exercise("99", None)


@pytest.mark.parametrize("number", ["01", "02", "03", "04"])
def test_what_is_no_function_is_told(number):
    with pytest.raises(AssertionError, match=r"must be a function.*float"):
        exercise(number, 0.5)


def test_a_function_of_any_arguments_is_called():
    exercise("01", lambda *both: slope(*both))
    exercise("01", lambda w, x, *, exact=True: slope(w, x))


# -- 01: one number, used twice ---------------------------------------------------------------------------------------
def slope(w, x):
    y = math.tanh(w * x)
    return y + w * x * (1 - y * y)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (lambda w, x: math.tanh(w * x), "the w inside tanh moves as well"),
        (lambda w, x: w * x * (1 - math.tanh(w * x) ** 2), "the w in front moves as well"),
        (lambda w, x: math.tanh(w * x) * w * x * (1 - math.tanh(w * x) ** 2), "added, not multiplied"),
        (lambda w, x: math.tanh(w * x) + w * (1 - math.tanh(w * x) ** 2), "derivative of w x is missing"),
        (lambda w, x: w * w * (1 - math.tanh(w * x) ** 2), "w is the knob"),
        (lambda w, x: w * math.tanh(w * x), "f itself"),
        (lambda w, x: math.tanh(w * x) - w * x * (1 - math.tanh(w * x) ** 2), "count with a plus"),
        (lambda w, x: math.tanh(w * x) + w * x * (1 - math.tanh(w * x)) ** 2, r"and not \(1 - tanh\)²"),
        (lambda w, x: math.tanh(w * x) + w * x * (1 - math.tanh(w * x)), "the square is missing"),
        (lambda w, x: ((w + 1e-3) * math.tanh((w + 1e-3) * x) - w * math.tanh(w * x)) / 1e-3, "a nudge of a finite"),
        (lambda w, x: slope(w, x) + 0.1, "and add the two"),
        (lambda x: x, r"it is called as slope\(w, x\); your function takes \(x\)$"),
        (lambda: 1.0, r"your function takes \(\)$"),
        (lambda w, x: math.nan, "got nan"),
        (lambda w, x: None, "end in a return"),
    ],
)
def test_01_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("01", mistake)


def test_01_by_nudging_is_an_answer_as_well():
    f = lambda w, x: w * math.tanh(w * x)
    exercise("01", lambda w, x: (f(w + 1e-5, x) - f(w - 1e-5, x)) / 2e-5)


# -- 02: a tape, read forwards ----------------------------------------------------------------------------------------
def forward(tape, start):
    moves = [0.0] * len(tape)
    moves[start] = 1.0
    for k, (inputs, slopes) in enumerate(tape[start + 1 :], start + 1):
        for i, s in zip(inputs, slopes, strict=True):
            moves[k] += s * moves[i]
    return moves


def overwriting(tape, start):
    moves = [0.0] * len(tape)
    moves[start] = 1.0
    for k in range(start + 1, len(tape)):
        for i, s in zip(*tape[k], strict=True):
            moves[k] = s * moves[i]
    return moves


def from_the_end(tape, start):
    moves = [0.0] * len(tape)
    moves[start] = 1.0
    for k in range(len(tape) - 1, start, -1):
        moves[k] = sum(s * moves[i] for i, s in zip(*tape[k], strict=True))
    return moves


def without_a_seed(tape, start):
    return [0.0] * len(tape)


def undoing_the_seed(tape, start):
    moves = [0.0] * len(tape)
    moves[start] = 1.0
    for k, entry in enumerate(tape):
        moves[k] = sum(s * moves[i] for i, s in zip(*entry, strict=True))
    return moves


def backwards(tape, start):
    gradients = [0.0] * len(tape)
    gradients[start] = 1.0
    for k in range(start, -1, -1):
        for i, s in zip(*tape[k], strict=True):
            gradients[i] += gradients[k] * s
    return gradients


def backwards_from_the_end(tape, start):
    return backwards(tape, len(tape) - 1)


def backwards_to_earlier_ones(tape, start):
    return forward(tape, start) if start < 2 else backwards(tape, start)


def everything_moves(tape, start):
    moves = forward(tape, start)
    return [1.0] * start + moves[start:]


def squaring(tape, start):
    return [m * m for m in forward(tape, start)]


def test_02_worked():
    exercise("02", forward)
    exercise("02", lambda tape, start: np.array(forward(tape, start)))


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (overwriting, r"Only the last route was kept"),
        (from_the_end, "walk from the first entry to the last"),
        (without_a_seed, "Entry `start` moves by 1"),
        (undoing_the_seed, "Entry `start` moves by 1"),
        (backwards, "walk from the first entry to the last"),
        (backwards_from_the_end, "walk backwards: what the last entry owes"),
        (backwards_to_earlier_ones, "walk backwards from `start`"),
        (everything_moves, "written before `start` does not depend on it"),
        (squaring, "sum, over its inputs, of slope times"),
        (lambda tape, start: forward(tape, start)[:-1], "one number per entry"),
        (lambda tape, start: None, "end in a return"),
    ],
)
def test_02_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("02", mistake)


# -- 03: a checker ----------------------------------------------------------------------------------------------------
def is_right(function, backward, x, *, h=1e-5, tolerance=1e-6, least=1e-8, ones=False, sides=2, one_element=False):
    rng = np.random.default_rng(1)
    y = function(x)
    for _ in range(3):
        g = np.ones_like(y) if ones else rng.standard_normal(y.shape)
        d = rng.standard_normal(x.shape)
        if one_element:
            d = np.where(np.arange(x.size).reshape(x.shape) == 0, d, 0)
        step = h * max(1.0, np.abs(x).max())
        ahead, behind = function(x + step * d), function(x - step * d) if sides == 2 else y
        nudged = (g * (ahead - behind)).sum() / (sides * step)
        by_rule = (backward(x, g) * d).sum()
        if not abs(nudged - by_rule) <= least + tolerance * abs(nudged):
            return False
    return True


def every_entry(function, backward, x):
    """Another right way: the whole matrix, entry by entry."""
    columns = []
    for j in range(x.size):
        d = np.zeros(x.size)
        d[j] = 1e-5 * max(1.0, np.abs(x).max())
        d = d.reshape(x.shape)
        columns.append((function(x + d) - function(x - d)).ravel() / (2 * d.max()))
    jacobian = np.stack(columns, axis=1)
    rows = [backward(x, unit.reshape(function(x).shape)).ravel() for unit in np.eye(jacobian.shape[0])]
    return np.allclose(jacobian, rows, rtol=1e-6, atol=1e-7 * max(1.0, np.abs(jacobian).max()))


def too_large(function, backward, x):
    rng = np.random.default_rng(0)
    y, d = function(x), rng.standard_normal(x.shape)
    g = rng.standard_normal(y.shape)
    nudged = (g * (function(x + 1e-5 * d) - function(x - 1e-5 * d))).sum() / 2e-5
    return not abs(nudged - (backward(x, g) * d).sum()) > 1e-6 * max(1.0, abs(nudged))  # NaN is not larger


def test_03_worked():
    exercise("03", is_right)
    exercise("03", every_entry)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (lambda f, b, x: is_right(f, b, x, ones=True), "draw g at random"),
        (lambda f, b, x: is_right(f, b, x, tolerance=0.0, least=1e-6), "compare relative to their size"),
        (lambda f, b, x: is_right(f, b, x, least=0.0, tolerance=1e-15), "tolerance too tight"),
        (lambda f, b, x: is_right(f, b, x, tolerance=0.01), "two-sided nudges"),
        (lambda f, b, x: is_right(f, b, x, one_element=True), "Only one element is wrong"),
        (too_large, "NaN compares as false"),
        (lambda f, b, x: b(x, f(x)).shape == x.shape, "draw g at random"),
        (lambda f, b, x: False, "refuses a right rule: tanh"),
        (lambda f, b, x: None, "True or False is needed"),
    ],
)
def test_03_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("03", mistake)


def test_03_a_coarse_step_accepts_what_only_a_coarse_step_sees():
    from tinyres.exercises import ex03

    _, function, rule, x, hint = next(case for case in ex03.WRONG if case[0].startswith("sin 40x"))
    assert "too large" in hint
    d = np.full(x.shape, 0.01)
    coarse = (function(x + d) - function(x - d)) / 0.02
    np.testing.assert_allclose(coarse, rule(x, np.ones_like(x)), rtol=1e-9)
    assert not is_right(function, rule, x)


# -- 04: what was copied is summed ------------------------------------------------------------------------------------
def unbroadcast(g, shape):
    front = g.ndim - len(shape)
    stretched = [i + front for i, n in enumerate(shape) if n == 1 and g.shape[i + front] != 1]
    return g.sum(axis=(*range(front), *stretched), keepdims=True).reshape(shape)


def by_einsum(g, shape):
    """Another right way: an axis at a time."""
    while g.ndim > len(shape):
        g = g.sum(axis=0)
    for axis, n in enumerate(shape):
        if n == 1:
            g = g.sum(axis=axis, keepdims=True)
    return g


def in_place(g, shape):
    g *= 1.0 + 1e-9
    return unbroadcast(g, shape)


@pytest.mark.parametrize("answer", [unbroadcast, by_einsum])
def test_04_worked(answer):
    exercise("04", answer)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (lambda g, shape: g, "axes that the input did not have come first"),
        (lambda g, shape: g.sum(axis=0), "Nothing was copied there"),
        (lambda g, shape: g.sum(axis=tuple(range(g.ndim - len(shape)))), "is summed over and kept, with length 1"),
        (lambda g, shape: g[(0,) * (g.ndim - len(shape))], "one of the copies"),
        (lambda g, shape: unbroadcast(g, shape) * np.prod(shape) / max(g.size, 1), "mean of the copies"),
        (lambda g, shape: unbroadcast(g[..., ::-1], shape), "compared from the right"),
        (in_place, "g itself was changed"),
        (lambda g, shape: None, "end in a return"),
    ],
)
def test_04_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("04", mistake)


def test_04_is_what_the_engine_does():
    import tinyres as tr
    from tinyres.exercises import ex04

    rng = np.random.default_rng(0)
    for shape, whole in ex04.CASES:
        g = rng.standard_normal(whole)
        small = tr.tensor(np.zeros(shape), requires_grad=True)
        (gradient,) = tr.grad(small + np.zeros(whole), small, g)
        np.testing.assert_allclose(gradient.numpy(), ex04._summed(g, shape), atol=1e-12)
