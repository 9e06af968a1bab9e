"""Sums and ReLUs, declared. Rounding is a single one, so nearly every element has to be right to the bit."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinyres_kernels.conformance.calling import Arrays
from tinyres_kernels.conformance.declare import Arg, Family, Named, Op, Put, Shape, Structure

KINKED = "(rng.standard_normal({shape}) * rng.integers(0, 2, {shape})).astype({dtype!r})"  # half of it is 0 or -0


def _numbers(s: Structure) -> dict[str, Shape]:
    return {"x": {"m": s["M"]}}


def _sum_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    return {"out": abs(inputs["a"]) + abs(inputs["b"])}


def _product_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    """What is passed on is not rounded at all, and what is multiplied by the slope is."""
    signs = inputs["y" if op.name == "relu_dx" else "x"]
    return {"out": np.where(signs > 0, 0, abs(expected["out"]))}


NUMBERS = {
    "plain": Named(),
    "read-only inputs": Named(readonly=True),
    "no number": Named({"M": 0}),
    "one number": Named({"M": 1}),
    **{f"{n} numbers (whole vectors)": Named({"M": n}) for n in (16, 64)},
    **{f"{n} numbers (tail)": Named({"M": n}) for n in (15, 17, 33, 63, 65)},
    "many numbers": Named({"M": 1003}),
    "more numbers than one thread should have": Named({"M": 320_003}),
    "not a number": Named(put=Put(0, np.nan)),
    "infinity": Named(put=Put(0, np.inf)),
    "minus infinity": Named(put=Put(0, -np.inf)),
}
SIZES = st.integers(0, 70)
SUM = Family(
    plain={"M": 7},
    shapes=lambda s: (_numbers(s), {}),
    structures=st.fixed_dictionaries({"M": SIZES}),
    traits={"several numbers": lambda s: s["M"] > 1},
    sizes=("M",),
    plurals={"M": "numbers"},
    nouns={"m": "number"},
    named=NUMBERS | {"not a number in the second argument": Named(put=Put(1, np.nan))},
)
RELU = Family(
    plain={"M": 7, "slope": 0.0},
    shapes=lambda s: (_numbers(s), {"slope": s["slope"]}),
    structures=st.fixed_dictionaries({"M": SIZES, "slope": st.sampled_from([0.0, 0.01, 0.25, 1.0])}),
    traits={
        "several numbers": lambda s: s["M"] > 1,
        "a slope": lambda s: s["slope"] != 0,
        "no slope": lambda s: s["slope"] == 0,
    },
    sizes=("M",),
    plurals={"M": "numbers"},
    nouns={"m": "number"},
    named=NUMBERS
    | {
        "slope 0.2": Named({"slope": 0.2, "M": 40}),
        "slope 1 (the identity)": Named({"slope": 1.0, "M": 40}),
        "slope 0.2, not a number": Named({"slope": 0.2}, Put(0, np.nan)),
        "slope 0.2, minus infinity": Named({"slope": 0.2}, Put(0, -np.inf)),
    },
)
WAYS = {  # what decides is not what is passed on
    "nowhere positive": Named({"M": 20}, Put(1, -np.inf, everywhere=True)),
    "infinity where nothing passes": Named(put=Put(0, np.inf, everywhere=True)),
    "not a number among the signs": Named(put=Put(1, np.nan)),
    "slope 0.2, not a number among the signs": Named({"slope": 0.2}, Put(1, np.nan)),
}

INFINITE = (np.nan, np.inf, -np.inf)
OPS = [
    Op(
        "add",
        SUM,
        lambda s: [Arg("a", "x"), Arg("b", "x"), Arg("out", "x", "")],
        size=_sum_size,
        special=INFINITE,
        over=("a", "b"),
    ),
    Op(
        "relu",
        RELU,
        lambda s: [Arg("x", "x", KINKED), Arg("out", "x", "")],
        size=_product_size,
        special=INFINITE,
    ),
    Op(
        "relu_dx",
        RELU,
        lambda s: [Arg("g", "x"), Arg("y", "x", KINKED), Arg("out", "x", "")],
        size=_product_size,
        special=INFINITE,
        named=WAYS,
    ),
]
