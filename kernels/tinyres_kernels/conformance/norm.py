"""Batch norm, declared. It is not multilinear, so how far its results are rounded is written out here."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinyres_kernels.conformance.calling import Arrays
from tinyres_kernels.conformance.declare import NORMAL, Arg, Family, Named, Op, Put, Shape, Structure

LEAST = float(np.finfo("float32").tiny)
POSITIVE = "rng.uniform(0.5, 2, {shape}).astype({dtype!r})"
RUNNING = [  # one batch more than a float32 can tell from the next
    Arg("running_mean", "running"),
    Arg("running_var", "running", POSITIVE),
    Arg("batches", "one", "rng.integers(2**24, 2**30, {shape})", "int64"),
    Arg("new_mean", "running", ""),
    Arg("new_var", "running", ""),
    Arg("new_batches", "one", "", "int64"),
]


def _shapes(s: Structure) -> tuple[dict[str, Shape], dict[str, Any]]:
    shapes = {"x": {"m": s["M"], "c": s["C"]}, "channels": {"c": s["C"]}}
    return shapes, {key: s[key] for key in ("eps", "training", "relu")}


def _forward_shapes(s: Structure) -> tuple[dict[str, Shape], dict[str, Any]]:
    shapes, keywords = _shapes(s)
    return {**shapes, "running": shapes["channels"], "one": {"one": 1}}, {**keywords, "momentum": s["momentum"]}


def _forward(s: Structure) -> list[Arg | None]:
    mean, variance = ("", "") if s["training"] else (NORMAL, POSITIVE)
    return [
        Arg("x", "x"),
        Arg("weight", "channels"),
        Arg("bias", "channels"),
        Arg("residual", "x") if s["residual"] else None,
        Arg("out", "x", ""),
        Arg("mean", "channels", mean),
        Arg("variance", "channels", variance),
        *(arg if s["training"] and s["running"] and s["M"] > 1 else None for arg in RUNNING),
    ]


def _backward(s: Structure) -> list[Arg | None]:
    mean, variance = ("x.mean(axis=0)", "x.var(axis=0)") if s["training"] else (NORMAL, POSITIVE)
    return [
        Arg("g", "x"),
        Arg("x", "x"),
        Arg("y", "x", "np.maximum(rng.standard_normal({shape}), 0).astype({dtype!r})") if s["y"] else None,
        Arg("weight", "channels"),
        Arg("bias", "channels"),
        Arg("mean", "channels", mean),
        Arg("variance", "channels", variance),
        Arg("out", "x", ""),
        Arg("dweight", "channels", ""),
        Arg("dbias", "channels", ""),
        Arg("dresidual", "x", "") if s["residual"] else None,
    ]


def _forward_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    x, statistics = abs(inputs["x"]), {**inputs, **expected}
    scale = 1 / np.sqrt(statistics["variance"] + keywords["eps"])
    mean = x.mean(axis=0) if keywords["training"] else abs(statistics["mean"])
    units = (x + mean) * scale  # what cancels where they are subtracted
    h = abs(inputs["x"] - statistics["mean"]) * scale
    # How uncertain the variance is: by its terms, by a rounding of each number (`row_norm.py` says why), by the square
    # of what the mean is off by.
    variance = statistics["variance"]
    spread = 2 * variance + 2 * mean * np.sqrt(variance) + float(np.finfo("float32").eps) * mean**2 + LEAST
    squares = 1 + spread * scale**2 if keywords["training"] else 1
    made = {
        "out": abs(inputs["weight"]) * (units + h * squares) + abs(inputs["bias"]) + abs(inputs.get("residual", 0)),
        "mean": mean,
        "variance": spread,
    }
    if "new_mean" in expected:
        keep, share = 1 - keywords["momentum"], keywords["momentum"]
        made["new_mean"] = keep * abs(inputs["running_mean"]) + share * mean
        unbiased = len(x) / (len(x) - 1)
        made["new_var"] = keep * abs(inputs["running_var"]) + share * unbiased * made["variance"]
        made["new_batches"] = np.zeros(1)
    return {name: made[name] for name in expected}


def _backward_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    scale = 1 / np.sqrt(inputs["variance"] + keywords["eps"])
    units = abs(inputs["x"] - inputs["mean"]) * scale
    off = (abs(inputs["x"]) + abs(inputs["mean"])) * scale  # whose difference they are, and as uncertain as that
    plain = (inputs["x"] - inputs["mean"]) * scale * inputs["weight"] + inputs["bias"]
    g, M = abs(np.where(keywords["relu"] & (inputs.get("y", plain) <= 0), 0, inputs["g"])), len(inputs["g"])
    total, along, across = g.sum(axis=0), (g * units).sum(axis=0), (g * off).sum(axis=0)
    own = (total + units * (along + across) + off * along) / M if keywords["training"] else 0
    made = {
        "out": abs(inputs["weight"]) * scale * (g + own),
        "dweight": along + across,
        "dbias": total,
        "dresidual": 0 * g,
    }
    return {name: made[name] for name in expected}


PLAIN = {"M": 6, "C": 3, "eps": 1e-5, "training": True, "relu": True, "residual": True, "y": True}
NORM = Family(
    plain=PLAIN,
    shapes=_shapes,
    structures=st.fixed_dictionaries(
        {
            "M": st.integers(1, 70),
            "C": st.integers(1, 40),
            "eps": st.sampled_from([1e-5, 0.1]),
            "training": st.booleans(),
            "relu": st.booleans(),
            "residual": st.booleans(),
            "y": st.just(True),  # without it the signs follow from x, and one so close to 0 as to be rounded may differ
        }
    ),
    traits={
        "training=True": lambda s: bool(s["training"]),
        "training=False": lambda s: not s["training"],
        "relu=True": lambda s: bool(s["relu"]),
        "relu=False": lambda s: not s["relu"],
        "a residual": lambda s: bool(s["residual"]),
        "no residual": lambda s: not s["residual"],
        "several channels": lambda s: s["C"] > 1,
        "a large eps": lambda s: s["eps"] > 1e-3,
    },
    sizes=("M", "C"),
    plurals={"M": "pixels", "C": "channels"},
    nouns={"m": "pixel", "c": "channel"},
    named={
        "plain": Named(),
        "read-only inputs": Named(readonly=True),
        "no residual": Named({"residual": False}),
        "no y (its signs from x)": Named({"residual": False, "y": False}),
        "no ReLU": Named({"relu": False}),
        "neither": Named({"relu": False, "residual": False}),
        "evaluation": Named({"training": False}),
        "evaluation, no residual": Named({"training": False, "residual": False}),
        "evaluation, no ReLU": Named({"training": False, "relu": False}),
        "two pixels": Named({"M": 2}),
        "one pixel (no variance)": Named({"M": 1}),
        "one channel": Named({"C": 1}),
        "16 channels (whole tiles)": Named({"C": 16}),
        "17 channels (tile tail)": Named({"C": 17}),
        "32 pixels (whole tiles)": Named({"M": 32}),
        "33 pixels (tile tail)": Named({"M": 33}),
        "as many pixels as channels": Named({"M": 3}),
        "numbers that are large beside their spread": Named({"M": 40}, shift=("x", 1000.0)),
        "many pixels": Named({"M": 1000, "C": 2}),
        "a large eps": Named({"eps": 0.5}),
        "not a number": Named(put=Put(0, np.nan)),
        "not a number, evaluation": Named({"training": False}, Put(0, np.nan)),
    },
)
_RUNNING = {"running": True, "momentum": 0.1}
FORWARD = replace(
    NORM,
    plain=PLAIN | _RUNNING,
    shapes=_forward_shapes,
    structures=st.builds(
        dict.__or__,
        NORM.structures,
        st.fixed_dictionaries({"running": st.booleans(), "momentum": st.sampled_from([0.1, 0.5, 1.0])}),
    ),
    traits={**NORM.traits, "running statistics": lambda s: bool(s["running"] and s["training"] and s["M"] > 1)},
    named={
        **NORM.named,
        "no running statistics": Named({"running": False}),
        "running statistics forgotten at once": Named({"momentum": 1.0}),
        "refused: more running statistics than channels": Named(spoil=("running", "c"), refused=True),
        "refused: two numbers of batches": Named(spoil=("one", "one"), refused=True),
    },
)
# Whether an infinity that meets another ends as NaN depends on the order of terms, which is not specified: NaN only.
OPS = [
    Op("batch_norm", FORWARD, _forward, size=_forward_size, special=(np.nan,)),
    Op("batch_norm_dx", NORM, _backward, size=_backward_size, special=(np.nan,)),
]
