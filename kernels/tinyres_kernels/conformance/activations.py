"""Smooth activation functions, declared: all of them at ordinary, large and tiny arguments, and how each is rounded."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinyres_kernels.conformance.calling import Arrays
from tinyres_kernels.conformance.declare import Arg, Family, Named, Op, Put, Structure
from tinyres_kernels.conformance.elementwise import NUMBERS
from tinyres_kernels.conformance.loss import LEAST, LOGITS
from tinyres_kernels.settings import ACTIVATIONS
from tinyres_kernels.smooth import FUNCTIONS

sigmoid = FUNCTIONS["sigmoid"][0]


def _size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    """GELU is as far off as x times a number near 1; the others keep their digits even where they are tiny."""
    x = abs(inputs["x"])
    return {"out": (x if "gelu" in keywords["name"] else 2 * abs(expected["out"])) + LEAST}


def _dx_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    x = inputs["x"]
    gate, size = sigmoid(x), abs(x)
    terms = {
        "tanh": 1 + x * x,
        "sigmoid": size * (1 + size),
        "softplus": 2 * gate,
        "silu": 2 * (gate + np.where(np.isfinite(x), size, 0) * gate * sigmoid(-x)),
        "gelu": 2 + 0 * gate,
        "gelu_tanh": 4 + 0 * gate,
    }
    return {"out": abs(inputs["g"]) * (terms[keywords["name"]] + LEAST)}


def _called(name: str) -> Callable[[Structure], bool]:
    return lambda s: bool(s["name"] == name)


SMOOTH = Family(
    plain={"M": 7, "name": "tanh", "scale": 1.0},
    shapes=lambda s: ({"x": {"m": s["M"]}}, {"name": s["name"]}),
    structures=st.fixed_dictionaries(
        {"M": st.integers(0, 70), "name": st.sampled_from(ACTIVATIONS), "scale": st.sampled_from([1e-6, 1.0, 8.0, 1e4])}
    ),
    traits={
        "several numbers": lambda s: s["M"] > 1,
        "large arguments": lambda s: s["scale"] > 1,
        "tiny arguments": lambda s: s["scale"] < 1,
        **{name: _called(name) for name in ACTIVATIONS},
    },
    sizes=("M",),
    plurals={"M": "numbers"},
    nouns={"m": "number"},
    named={
        **{name: case for name, case in NUMBERS.items() if "infinity" not in name},
        **{name: Named({"M": 100, "name": name}) for name in ACTIVATIONS},
        **{f"{name} in the tails": Named({"M": 100, "name": name, "scale": 8.0}) for name in ACTIVATIONS},
        **{f"{name} far out": Named({"M": 40, "name": name, "scale": 1e4}) for name in ACTIVATIONS},
        **{f"{name}, tiny": Named({"M": 40, "name": name, "scale": 1e-6}) for name in ACTIVATIONS},
        **{f"{name}, not a number": Named({"name": name}, Put(0, np.nan)) for name in ACTIVATIONS},
    },
)
INFINITE = {
    f"{name} of {'minus ' if sign < 0 else ''}infinity": Named({"name": name}, Put(0, sign * np.inf))
    for name in ACTIVATIONS
    for sign in (1, -1)
}
SLOPES = {
    f"{name} at {'minus ' if sign < 0 else ''}infinity": Named({"name": name}, Put(1, sign * np.inf))
    for name in ACTIVATIONS
    for sign in (1, -1)
}

OPS = [
    Op(
        "activation",
        SMOOTH,
        lambda s: [Arg("x", "x", LOGITS), Arg("out", "x", "")],
        size=_size,
        special=(np.nan, np.inf, -np.inf),
        named=INFINITE,
    ),
    # What 0 times infinity comes to depends on when a number too small for float32 has become 0: NaN only.
    Op(
        "activation_dx",
        SMOOTH,
        lambda s: [Arg("g", "x"), Arg("x", "x", LOGITS), Arg("out", "x", "")],
        size=_dx_size,
        special=(np.nan,),
        named=SLOPES,
    ),
]
