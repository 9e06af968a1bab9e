"""Softmax and cross-entropies, declared: the losses and their gradients in the logits, and how far each is rounded."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinyres_kernels.conformance.calling import Arrays
from tinyres_kernels.conformance.declare import Arg, Family, Named, Op, Put, Shape, Structure
from tinyres_kernels.namespace import Array

LOGITS = "({scale} * rng.standard_normal({shape})).astype({dtype!r})"
CLASSES = "rng.integers(0, {C}, {shape})"
LIKELY = "rng.dirichlet(np.ones({shape}[1]), {shape}[0]).astype({dtype!r})"  # rows that sum to 1
ANSWERS = "rng.integers(0, 2, {shape}).astype({dtype!r}) if {hard} else rng.uniform(0, 1, {shape}).astype({dtype!r})"
MOST = 1e5  # of a logit, where one rounding of float32 is a hundredth
# Below it float32 has no digits left, only steps: of a few of them nothing is asked.
LEAST = 8 * float(np.finfo("float32").tiny)


def _rows(s: Structure) -> tuple[dict[str, Shape], dict[str, Any]]:
    matrix = {"m": s["M"], "c": s["C"]}
    return {"x": matrix, "probabilities": matrix, "target": {"m": s["M"]}, "loss": {"m": s["M"]}}, {}


def _tops(x: Array) -> Array:
    """How uncertain differences of a row's logits are: as the largest is, by one rounding (exp(x - logsumexp) has no
    other difference). Where one such is larger than any difference that tells, only 0 and 1 are left."""
    top = abs(x.max(axis=1, keepdims=True, initial=-np.inf))
    return np.where(top < MOST, top, 0.0)


def _rows_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    """exp(d) is as far off, relatively, as d is, which is rounded itself; a sum as far as its terms are on average."""
    d = inputs["x"] - inputs["x"].max(axis=1, keepdims=True, initial=-np.inf)
    p = expected["probabilities"]
    tops = _tops(inputs["x"])
    off = np.where(p > 0, abs(d), 0) + 2 + tops
    total = (p * off).sum(axis=1)
    own = abs(np.take_along_axis(d, inputs["target"][:, None], axis=1)[:, 0])
    sums = np.log(np.exp(d).sum(axis=1))
    return {"out": total + sums + own + tops[:, 0], "probabilities": p * (off + total[:, None]) + LEAST}


def _rows_dx_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    right = np.arange(expected["out"].shape[1]) == inputs["target"][:, None]
    return {"out": abs(inputs["g"])[:, None] * (abs(inputs["probabilities"]) + right)}


def _distances(x: Array) -> tuple[Array, Array]:
    """How far below its row's largest each number is, and the sum of the exponentials of that, row by row."""
    d = x - x.max(axis=1, keepdims=True, initial=-np.inf)
    return d, np.exp(d).sum(axis=1, keepdims=True)


def _softmax_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    """As of `_rows_size`."""
    d, total = _distances(inputs["x"])
    p = np.exp(d) / total
    tops = _tops(inputs["x"])
    off = np.where(p > 0, abs(d), 0) + 2 + tops
    sums = (p * off).sum(axis=1, keepdims=True)
    return {
        "out": np.where(np.isinf(d), 0, abs(d)) + np.log(total) + sums + tops
        if keywords["log"]
        else p * (off + sums) + LEAST
    }


def _softmax_dx_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    g, y = abs(inputs["g"]), inputs["y"]
    if keywords["log"]:
        return {"out": g + np.exp(y) * (2 + abs(y)) * g.sum(axis=1, keepdims=True)}
    return {"out": abs(y) * (g + 2 * (g * abs(y)).sum(axis=1, keepdims=True)) + LEAST}


def _softplus(x: Any) -> Any:
    return np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))


def _answer_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    x, t = inputs["x"], inputs["target"]
    return {"out": abs(t) * _softplus(-x) + abs(1 - t) * _softplus(x) + LEAST}


def _answer_dx_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    x, t, power = inputs["x"], inputs["target"], np.exp(-abs(inputs["x"]))
    more, less = 1 / (1 + power), power / (1 + power)
    yes, no = np.where(x > 0, more, less), np.where(x > 0, less, more)
    return {"out": abs(inputs["g"]) * (abs(1 - t) * yes + abs(t) * no + LEAST)}


ROWS = Family(
    plain={"M": 4, "C": 5, "scale": 1.0},
    shapes=_rows,
    structures=st.fixed_dictionaries(
        {
            "M": st.integers(0, 20),
            "C": st.one_of(st.integers(1, 12), st.sampled_from([15, 16, 17, 33, 127, 128, 130])),
            "scale": st.sampled_from([1.0, 30.0, 1e4]),
        }
    ),
    traits={
        "an empty batch": lambda s: s["M"] == 0,
        "several rows": lambda s: s["M"] > 1,
        "several classes": lambda s: s["C"] > 1,
        "large logits": lambda s: s["scale"] > 1,
    },
    sizes=("M", "C"),
    plurals={"C": "classes"},
    nouns={"m": "row", "c": "class"},
    named={
        "plain": Named(),
        "read-only inputs": Named(readonly=True),
        "empty batch": Named({"M": 0}),
        "one row": Named({"M": 1}),
        "one class": Named({"C": 1}),
        "two classes": Named({"C": 2}),
        "16 classes (whole tiles)": Named({"C": 16}),
        "17 classes (tile tail)": Named({"C": 17}),
        "33 rows (tile tail)": Named({"M": 33}),
        "as many rows as classes": Named({"M": 5}),
        "1000 classes": Named({"M": 3, "C": 1000}),
        "many rows": Named({"M": 1001, "C": 3}),
        "not a number": Named(put=Put(0, np.nan)),
        "refused: another number of rows in the target": Named(spoil=("target", "m"), refused=True),
        "refused: another number of losses": Named(spoil=("loss", "m"), refused=True),
        "refused: another number of classes": Named(spoil=("probabilities", "c"), refused=True),
    },
)
LARGE = {
    "logits that are large beside their spread": Named(shift=("x", 1e4)),
    "large logits (nothing may overflow)": Named({"scale": 1e4}),
    "huge logits": Named({"scale": 1e30}),
    "infinity": Named(put=Put(0, np.inf)),
    "minus infinity": Named(put=Put(0, -np.inf)),
    "nothing but minus infinity": Named(put=Put(0, -np.inf, everywhere=True)),
    "one class, minus infinity": Named({"C": 1}, Put(0, -np.inf)),
}

SOFTMAX = Family(
    plain=ROWS.plain | {"log": False},
    shapes=lambda s: ({"x": {"m": s["M"], "c": s["C"]}}, {"log": s["log"]}),
    structures=st.tuples(ROWS.structures, st.booleans()).map(lambda drawn: drawn[0] | {"log": drawn[1]}),
    traits={**ROWS.traits, "a logarithm": lambda s: bool(s["log"]), "no logarithm": lambda s: not s["log"]},
    sizes=ROWS.sizes,
    plurals=ROWS.plurals,
    nouns=ROWS.nouns,
    named={
        **{name: case for name, case in ROWS.named.items() if not case.refused},
        **{
            f"logarithm: {name}": replace(case, changes=case.changes | {"log": True})
            for name, case in ROWS.named.items()
            if not case.refused
        },
    },
)
LOGARITHMS = {f"logarithm: {name}": replace(case, changes=case.changes | {"log": True}) for name, case in LARGE.items()}
LIKELY_OR_LOG = f"np.log({LIKELY}) if {{log}} else {LIKELY}"

ANSWER = Family(
    plain={"M": 7, "scale": 1.0, "hard": False},
    shapes=lambda s: ({name: {"m": s["M"]} for name in ("x", "target", "out")}, {}),
    structures=st.fixed_dictionaries(
        {"M": st.integers(0, 70), "scale": st.sampled_from([1.0, 30.0, 1e4]), "hard": st.booleans()}
    ),
    traits={
        "an empty batch": lambda s: s["M"] == 0,
        "several logits": lambda s: s["M"] > 1,
        "large logits": lambda s: s["scale"] > 1,
        "targets of 0 and 1": lambda s: bool(s["hard"]),
        "targets between 0 and 1": lambda s: not s["hard"],
    },
    sizes=("M",),
    plurals={"M": "logits"},
    nouns={"m": "logit"},
    named={
        "plain": Named(),
        "read-only inputs": Named(readonly=True),
        "empty batch": Named({"M": 0}),
        "one logit": Named({"M": 1}),
        "targets of 0 and 1": Named({"hard": True}),
        "16 logits (whole vectors)": Named({"M": 16}),
        "17 logits (tail)": Named({"M": 17}),
        "many logits": Named({"M": 5003}),
        "large logits (nothing may overflow)": Named({"M": 40, "scale": 1e4}),
        "large logits, targets of 0 and 1": Named({"M": 40, "scale": 1e4, "hard": True}),
        "logits in the tails": Named({"M": 100, "scale": 20.0, "hard": True}),
        "not a number": Named(put=Put(0, np.nan)),
        "not a number in the second argument": Named(put=Put(1, np.nan)),
        "refused: another number of targets": Named(spoil=("target", "m"), refused=True),
        "refused: another number of results": Named(spoil=("out", "m"), refused=True),
    },
)

OPS = [
    Op(
        "softmax",
        SOFTMAX,
        lambda s: [Arg("x", "x", LOGITS), Arg("out", "x", "")],
        size=_softmax_size,
        special=(np.nan, np.inf, -np.inf),
        named=LARGE | LOGARITHMS,
    ),
    Op(
        "softmax_dx",
        SOFTMAX,
        lambda s: [Arg("g", "x"), Arg("y", "x", LIKELY_OR_LOG), Arg("out", "x", "")],
        size=_softmax_dx_size,
        special=(np.nan,),
    ),
    Op(
        "cross_entropy",
        ROWS,
        lambda s: [
            Arg("x", "x", LOGITS),
            Arg("target", "target", CLASSES, "int64"),
            Arg("out", "loss", ""),
            Arg("probabilities", "probabilities", ""),
        ],
        size=_rows_size,
        special=(np.nan, np.inf, -np.inf),
        named=LARGE,
    ),
    Op(
        "cross_entropy_dx",
        ROWS,
        lambda s: [
            Arg("g", "loss"),
            Arg("probabilities", "probabilities", LIKELY),
            Arg("target", "target", CLASSES, "int64"),
            Arg("out", "x", ""),
        ],
        size=_rows_dx_size,
        named={"not a number among the probabilities": Named(put=Put(1, np.nan))},
    ),
    # What 0 times infinity comes to depends on when a number too small for float32 has become 0: NaN only.
    Op(
        "bce_with_logits",
        ANSWER,
        lambda s: [Arg("x", "x", LOGITS), Arg("target", "target", ANSWERS), Arg("out", "out", "")],
        size=_answer_size,
        special=(np.nan,),
        named={
            "infinity": Named(put=Put(0, np.inf)),
            "minus infinity": Named(put=Put(0, -np.inf)),
        },
    ),
    Op(
        "bce_with_logits_dx",
        ANSWER,
        lambda s: [Arg("g", "x"), Arg("x", "x", LOGITS), Arg("target", "target", ANSWERS), Arg("out", "out", "")],
        size=_answer_dx_size,
        special=(np.nan,),
        named={
            "an infinite logit": Named(put=Put(1, np.inf)),
            "a logit of minus infinity": Named(put=Put(1, -np.inf)),
        },
    ),
]
