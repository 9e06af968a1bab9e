"""The steps of optimisers, declared. Each is a chain of products, sums and one root, followed here term by term."""

from math import prod
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinyres_kernels.conformance.calling import Arrays
from tinyres_kernels.conformance.declare import NORMAL, Arg, Family, Named, Op, Put, Shape, Structure

SLOPE = "(rng.standard_normal({shape}) * (not {still})).astype({dtype!r})"
SQUARES = "rng.uniform({least}, {least} + 1, {shape}).astype({dtype!r})"
CENTRES = "rng.uniform({centre} - 1, {centre} + 1, {shape}).astype({dtype!r})"


def _shapes(s: Structure, *keys: str) -> tuple[dict[str, Shape], dict[str, Any]]:
    names = [f"axis{i}" for i in range(len(s["axes"]))]
    shape = dict(zip(names, s["axes"], strict=True))
    settings = {key: s[key] for key in keys}
    if "step" in settings and s["first"]:
        settings["step"] = 1
    return {"p": shape, "state": shape, "out": shape}, settings


def _slope(inputs: Arrays, keywords: dict[str, Any]) -> Any:
    """|g| + weight_decay |p|: the terms of the gradient that the step is made from (0 times infinity is none)."""
    decay = keywords["weight_decay"]
    return abs(inputs["g"]) + (decay * abs(inputs["p"]) if decay else 0)


def _average(old: Any, new: Any, keep: float) -> Any:
    return (0 if old is None else keep * abs(old)) + (1 - keep) * new


def _quotient(above: Any, slope: Any, root: Any, square: Any, eps: float) -> Any:
    """How uncertain above / (root + eps) is, if above is by `slope` and root^2 by `square`."""
    halved = np.where(root > 0, square / (2 * root), 0)  # a root of 0 is one of exactly 0
    return (slope + 2 * abs(above) + abs(above) * halved / (root + eps)) / (root + eps)


def _sgd_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    made = {}
    step = slope = _slope(inputs, keywords)
    if "new_buffer" in expected:
        first = "buffer" not in inputs
        share = slope * (1 if first else 1 - keywords["dampening"])
        made["new_buffer"] = share + (0 if first else keywords["momentum"] * abs(inputs["buffer"]))
        step = slope + keywords["momentum"] * made["new_buffer"] if keywords["nesterov"] else made["new_buffer"]
    return {"out": abs(inputs["p"]) + keywords["lr"] * step, **made}


def _adam_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    lr, step = keywords["lr"], keywords["step"]
    slope = abs(inputs["g"]) if keywords["decoupled"] else _slope(inputs, keywords)
    mean = _average(inputs.get("m"), slope, keywords["beta1"])
    square = _average(inputs.get("v"), 2 * slope**2, keywords["beta2"])
    root, corrected = np.sqrt(expected["new_v"]), (1 - keywords["beta2"] ** step) ** 0.5
    off = _quotient(expected["new_m"], mean, root / corrected, square / corrected**2, keywords["eps"])
    return {
        "out": (1 + lr * keywords["weight_decay"]) * abs(inputs["p"]) + lr / (1 - keywords["beta1"] ** step) * off,
        "new_m": mean,
        "new_v": square,
    }


def _rmsprop_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    slope, alpha = _slope(inputs, keywords), keywords["alpha"]
    square = _average(inputs.get("v"), 2 * slope**2, alpha)
    made, spread, uncertain = {"new_v": square}, expected["new_v"], square
    if "new_a" in expected:
        made["new_a"] = _average(inputs.get("a"), slope, alpha)
        spread = np.maximum(spread - expected["new_a"] ** 2, 0)
        uncertain = square + 2 * abs(expected["new_a"]) * made["new_a"]
    step = _quotient(slope, slope, np.sqrt(spread), uncertain, keywords["eps"])
    if "new_b" in expected:
        step = step + (keywords["momentum"] * abs(inputs["b"]) if "b" in inputs else 0)
        made["new_b"] = step
    return {"out": abs(inputs["p"]) + keywords["lr"] * step, **made}


TRAITS = {
    "the first step": lambda s: bool(s["first"]),
    "a later step": lambda s: not s["first"],
    "weight decay": lambda s: s["weight_decay"] > 0,
    "several numbers": lambda s: prod(s["axes"]) > 1,
    "several axes": lambda s: len(s["axes"]) > 1,
}
# A first step is one without a state, and number 1. `still`: the gradient is 0 everywhere.
PLAIN: Structure = {"axes": (3, 4), "first": False, "still": False, "lr": 0.1, "weight_decay": 0.0}
CORNERS = {
    "plain": Named(),
    "read-only inputs": Named(readonly=True),
    "first step": Named({"first": True}),
    "weight decay": Named({"weight_decay": 0.1}),
    "first step, weight decay": Named({"first": True, "weight_decay": 0.1}),
    "no gradient": Named({"still": True}),
    "first step, no gradient": Named({"first": True, "still": True}),
    "one number": Named({"axes": (1,)}),
    "no number": Named({"axes": (3, 0)}),
    "a vector of 16 (whole vectors)": Named({"axes": (16,)}),
    "a vector of 17 (tail)": Named({"axes": (17,)}),
    "a vector, weight decay": Named({"axes": (4,), "weight_decay": 0.1}),
    "a kernel of a convolution": Named({"axes": (5, 3, 3, 3)}),
    "many numbers": Named({"axes": (1003,)}),
    "not a number": Named(put=Put(0, np.nan)),
    "not a number in the gradient": Named(put=Put(1, np.nan)),
    "infinity": Named(put=Put(0, np.inf)),
    "an infinite gradient": Named(put=Put(1, np.inf)),
    "an infinite parameter, weight decay": Named({"weight_decay": 0.1}, Put(0, np.inf)),
    "refused: another shape of the state": Named(spoil=("state", "axis1"), refused=True),
    "refused: another shape of the result": Named(spoil=("out", "axis1"), refused=True),
}
DRAWN = {
    "axes": st.one_of(
        st.tuples(st.integers(0, 40)),
        st.tuples(st.integers(1, 5), st.integers(0, 12)),
        st.tuples(*[st.integers(1, 4)] * 3),
    ),
    "first": st.booleans(),
    "lr": st.sampled_from([0.1, 1e-3]),
    "weight_decay": st.sampled_from([0.0, 0.1]),
}


KEYWORDS = {"momentum", "dampening", "nesterov", "beta1", "beta2", "eps", "decoupled", "step", "alpha"}


def _family(own: Structure, drawn: dict[str, Any], named: dict[str, Named], traits: dict[str, Any]) -> Family:
    plain = PLAIN | own
    return Family(
        plain=plain,
        shapes=lambda s: _shapes(s, "lr", "weight_decay", *(key for key in own if key in KEYWORDS)),
        structures=st.fixed_dictionaries({key: st.just(value) for key, value in plain.items()} | DRAWN | drawn),
        traits=TRAITS | traits,
        sizes=("axes",),
        named=CORNERS | named,
    )


SGD = _family(
    {"momentum": 0.9, "dampening": 0.0, "nesterov": False},
    {
        "momentum": st.sampled_from([0.0, 0.5, 0.9]),
        "dampening": st.sampled_from([0.0, 0.3]),
        "nesterov": st.booleans(),
    },
    {
        "no momentum": Named({"momentum": 0.0}),
        "dampening": Named({"dampening": 0.3}),
        "first step, dampening (which it has none of)": Named({"first": True, "dampening": 0.3}),
        "nesterov": Named({"nesterov": True}),
        "first step, nesterov": Named({"first": True, "nesterov": True}),
        "nesterov, weight decay": Named({"nesterov": True, "weight_decay": 0.1}),
        "everything": Named({"nesterov": True, "weight_decay": 0.1, "dampening": 0.3}),
    },
    {
        "momentum": lambda s: s["momentum"] > 0,
        "dampening (and momentum)": lambda s: s["dampening"] > 0 and s["momentum"] > 0,
        "nesterov (and momentum)": lambda s: bool(s["nesterov"]) and s["momentum"] > 0,
    },
)
ADAM = _family(
    {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "decoupled": False, "step": 3, "least": 0.1},
    {
        "beta1": st.sampled_from([0.0, 0.5, 0.9]),
        "beta2": st.sampled_from([0.9, 0.999]),
        "eps": st.sampled_from([1e-8, 1e-3]),
        "decoupled": st.booleans(),
        "step": st.sampled_from([2, 10, 1000, 10**6]),
    },
    {
        "step 1000000 (no correction is left)": Named({"step": 10**6}),
        "decoupled": Named({"decoupled": True}),
        "decoupled, weight decay": Named({"decoupled": True, "weight_decay": 0.1}),
        "no mean (beta1 = 0)": Named({"beta1": 0.0}),
        "a large eps": Named({"eps": 0.5}),
        "first step, no gradient, eps 0 (0 / 0)": Named({"first": True, "still": True, "eps": 0.0}),
    },
    {
        "decoupled=True": lambda s: bool(s["decoupled"]),
        "decoupled=False": lambda s: not s["decoupled"],
        "weight decay, decoupled": lambda s: s["weight_decay"] > 0 and bool(s["decoupled"]),
    },
)
# A centre of 0 +- 1 under squares of 1.5 to 2.5: their difference is far from 0, where a root magnifies roundings.
RMSPROP = _family(
    {"alpha": 0.9, "eps": 1e-8, "momentum": 0.9, "centered": True, "least": 1.5, "centre": 0},
    {
        "alpha": st.sampled_from([0.5, 0.9, 0.99]),
        "eps": st.sampled_from([1e-8, 1e-3]),
        "momentum": st.sampled_from([0.0, 0.9]),
        "centered": st.booleans(),
    },
    {
        "not centred": Named({"centered": False}),
        "no momentum": Named({"momentum": 0.0}),
        "neither": Named({"centered": False, "momentum": 0.0}),
        "neither, first step": Named({"centered": False, "momentum": 0.0, "first": True}),
        "neither, weight decay": Named({"centered": False, "momentum": 0.0, "weight_decay": 0.1}),
        "a large eps": Named({"eps": 0.5}),
        "a variance rounded to below 0": Named({"alpha": 0.99, "least": 0.0, "centre": 5}),
        "first step, no gradient, eps 0 (0 / 0)": Named({"first": True, "still": True, "eps": 0.0}),
    },
    {
        "centred": lambda s: bool(s["centered"]),
        "not centred": lambda s: not s["centered"],
        "momentum": lambda s: s["momentum"] > 0,
    },
)


def _state(s: Structure, name: str, values: str, there: bool = True) -> Arg | None:
    """State that is read: none before the first step, nor where the setting that needs it is off."""
    return Arg(name, "state", values) if there and not s["first"] else None


def _sgd(s: Structure) -> list[Arg | None]:
    moves = s["momentum"] > 0
    return [
        Arg("p", "p"),
        Arg("g", "p", SLOPE),
        _state(s, "buffer", NORMAL, moves),
        Arg("out", "out", ""),
        Arg("new_buffer", "state", "") if moves else None,
    ]


def _adam(s: Structure) -> list[Arg | None]:
    old = [_state(s, "m", NORMAL), _state(s, "v", SQUARES)]
    new = [Arg("new_m", "state", ""), Arg("new_v", "state", "")]
    return [Arg("p", "p"), Arg("g", "p", SLOPE), *old, Arg("out", "out", ""), *new]


def _rmsprop(s: Structure) -> list[Arg | None]:
    return [
        Arg("p", "p"),
        Arg("g", "p", SLOPE),
        _state(s, "v", SQUARES),
        _state(s, "a", CENTRES, s["centered"]),
        _state(s, "b", NORMAL, s["momentum"] > 0),
        Arg("out", "out", ""),
        Arg("new_v", "state", ""),
        Arg("new_a", "state", "") if s["centered"] else None,
        Arg("new_b", "state", "") if s["momentum"] > 0 else None,
    ]


OPS = [
    Op("sgd", SGD, _sgd, size=_sgd_size),
    Op("adam", ADAM, _adam, size=_adam_size),
    Op("rmsprop", RMSPROP, _rmsprop, size=_rmsprop_size),
]
