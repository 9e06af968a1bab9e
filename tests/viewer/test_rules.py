"""The text of rules, and their formulas."""

import json
import re
from pathlib import Path

import numpy as np

import tinyres as tr
from tests.each import for_each
from tinyres import viewer
from tinyres.autograd.primitive import PRIMITIVES
from tinyres.viewer import rules
from tinyres.viewer.rules import broadcasting, rule_text


def test_rules_are_told_in_the_names_of_operations():
    assert rule_text("tanh") == {"forward": "np.tanh(x)", "args": {"x": "g * (1 - y * y)"}}
    assert rule_text("relu").get("broadcasts") is None
    assert rule_text("matmul")["args"] == {"x": "matmul(g, w.T)", "w": "matmul(x.T, g)"}
    assert rule_text("mul")["args"] == {"a": "g * b", "b": "g * a"}
    assert rule_text("mul")["broadcasts"] is True
    assert rule_text("leaf") == {}


def test_a_rule_says_where_its_contribution_is_summed():
    a, b, w = (np.ones(shape) for shape in ((4, 3), (3,), (3, 2)))
    a, b, w = (tr.tensor(values, requires_grad=True) for values in (a, b, w))
    trace = viewer.trace(lambda: tr.relu((a + b) @ w).sum())
    told = {}
    for event in trace.events:
        if event[0] == "r":
            consumer, arg, producer = (trace.ops[event[2]], event[3], trace.ops[event[4]])
            told[consumer.kind, arg] = bool(broadcasting(consumer, arg, producer.shape))
    assert {edge for edge, summed in told.items() if summed} == {("add", 1)}
    batch = tr.tensor(np.ones((5, 4, 3)))
    trace = viewer.trace(lambda: (batch @ w).sum())
    product = next(op for op in trace.ops if op.kind == "matmul")
    assert broadcasting(product, 1, (3, 2)).startswith(", summed")
    assert broadcasting(product, 0, (5, 4, 3)) == ""


@for_each("name", [name for name, p in PRIMITIVES.items() if p.differentiable])
def test_every_rule_has_a_text(name):
    primitive = PRIMITIVES[name]
    for arg, rule in ({"*": primitive.joint} if primitive.joint is not None else dict(primitive.rules)).items():
        text = rules._text(rule, arg)
        assert text, arg
        if rule.__name__ == "<lambda>":  # the very rule: compiled again it does the same
            again = compile(text, "", "eval").co_names
            assert set(again) >= set(rule.__code__.co_names)


def test_what_is_shown_needs_no_private_name():
    shown = 0
    for name in PRIMITIVES:
        found = rule_text(name)
        for text in [found.get("forward", ""), *found["args"].values()]:
            shown += bool(text)
            assert not re.search(r"(?<!\.)\b_\w|\w_\(|kernels_for", text), (name, text)
    assert shown > 120, "most rules are readable as they stand"
    assert "forward" not in rule_text("conv2d"), "loops over kernels say less than the formula"
    assert rule_text("linear")["args"]["w"] == "matmul(g.T, x)"
    assert rule_text("linear")["args"]["x"] == "matmul(g, w)", "bringing it into the shape of x changes no number"


@for_each("name", [name for name, p in PRIMITIVES.items() if p.differentiable])
def test_every_rule_has_a_formula(name):
    formulas = json.loads((Path(viewer.__file__).parent / "web" / "formulas.json").read_text())
    primitive = PRIMITIVES[name]
    inputs = set(primitive.rules) or set(primitive.inputs)
    assert formulas[name]["y"]
    assert set(formulas[name]["args"]) <= inputs
    assert set(primitive.rules) <= set(formulas[name]["args"]) or primitive.joint is not None
    assert formulas[name]["args"]
