"""Declaring an operation: what a rule may name, what is saved, and what is refused."""

import numpy as np
import pytest

import tinyres as tr
from tests.autograd.leaves import leaf
from tinyres import autograd
from tinyres.autograd.calling import define, primitive
from tinyres.autograd.primitive import PRIMITIVES
from tinyres.autograd.tensor import FUNCTIONS


def test_a_rule_of_the_wrong_shape_is_named():
    def swap(x):
        return x.T

    wrong = define(swap)
    wrong.vjp(x=lambda g: g)
    x = leaf(2, 3)
    expected = r"swap: the rule for argument 0 returned .*\(3, 2\), but the argument has shape \(2, 3\)"
    with pytest.raises(RuntimeError, match=expected):
        tr.grad(wrong(x), x, np.ones((3, 2)))


def test_broadcasting_only_ever_reduces():
    def total(x):
        return x.sum()

    wrong = define(total, broadcasts=True)
    wrong.vjp(x=lambda g: g)  # forgets to spread the cotangent
    x = leaf(3)
    with pytest.raises(RuntimeError, match=r"returned a cotangent of shape \(\), but the argument has shape \(3,\)"):
        tr.grad(wrong(x), x)


def test_a_rule_that_asks_for_what_is_not_there_is_refused_at_declaration():
    def double(x, *, scale):
        return 2 * x

    wrong = define(double)
    with pytest.raises(TypeError, match=r"double: a rule asks for 'z'; it can have .* an input \(x\).*\(scale\)"):
        wrong.vjp(x=lambda g, z: g)
    with pytest.raises(TypeError, match="no input called 'w'"):
        wrong.vjp(w=lambda g: g)


def test_an_adder_needs_a_rule_and_asks_for_what_there_is():
    def double(x):
        return 2 * x

    twice = define(double)
    with pytest.raises(TypeError, match=r"double.vjp_into: declare the rule of 'x' first, by .vjp\(x=...\)"):
        twice.vjp_into(x=lambda g, total: None)
    twice.vjp(x=lambda g: 2 * g)
    with pytest.raises(TypeError, match="a rule asks for 'z'"):
        twice.vjp_into(x=lambda g, z, total: None)


def test_two_primitives_cannot_have_one_name():
    with pytest.raises(ValueError, match="there is a primitive called 'tanh' already"):

        @primitive
        def tanh(x):
            return x


def test_a_notebooks_cell_may_declare_its_operation_again(monkeypatch):
    monkeypatch.setitem(PRIMITIVES, "times", None)  # what the cells declare goes with the test
    monkeypatch.setitem(FUNCTIONS, "times", None)
    for factor in (2, 3):
        cell = {"__name__": "__main__", "primitive": primitive, "factor": factor}
        exec("@primitive\ndef times(x):\n    return factor * x\ntimes.vjp(x=lambda g: factor * g)", cell)
        x = tr.tensor(1.0, requires_grad=True)
        assert tr.grad(cell["times"](x), x)[0].item() == factor


def test_a_primitive_that_is_not_differentiable_in_an_input_says_so():
    with pytest.raises(TypeError, match=r"where: 'condition' requires a gradient, but .* not differentiable in it"):
        tr.where(leaf(2), leaf(2), leaf(2))


def test_a_rule_that_is_not_written_yet_is_asked_for_by_name(monkeypatch):
    monkeypatch.setattr("tinyres.autograd.calling.PRIMITIVES", {})  # what is declared here goes with the test
    monkeypatch.setattr("tinyres.autograd.calling.FUNCTIONS", {})

    @tr.primitive
    def swish(x, beta):
        return x / (1 + np.exp(-beta * x))

    swish.vjp(x=lambda g, x, y: g)
    with pytest.raises(TypeError, match=r"give it a rule: swish\.vjp\(beta=\.\.\.\)"):
        tr.gradcheck(swish, [np.array([0.5, -1.0]), np.array([1.0, 2.0])])


def test_only_what_the_rules_name_is_saved():
    x = leaf(1000)
    assert (x + 1.0).node.saved == ()
    y = tr.tanh(x)
    assert len(y.node.saved) == 1
    assert y.node.saved[0] is y._data
    w = tr.tensor(np.ones(1000))  # needs no gradient, so that x is not kept for it
    assert len((x * w).node.saved) == 1


def test_the_declaration_of_an_operation_is_found_beside_the_passes():
    assert autograd.primitive is primitive  # and not the module of that name
