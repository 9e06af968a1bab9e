"""Layer norm and RMS norm, declared, and how their results are rounded."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinyres_kernels.conformance.calling import Arrays
from tinyres_kernels.conformance.declare import Arg, Family, Named, Op, Put, Structure
from tinyres_kernels.conformance.loss import LEAST

X = "({offset} + rng.standard_normal({shape})).astype({dtype!r})"
MEAN = "x.mean(axis=1)"
ROOT = "(1 / np.sqrt((x * x).mean(axis=1, dtype='d') + {eps})).astype({dtype!r})"
SCALE = "(1 / np.sqrt(x.var(axis=1, dtype='d') + {eps})).astype({dtype!r})"


def _size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    """The mean is off by a rounding of the numbers that it is of, and each difference from it by as much.

    The variance is as uncertain as the numbers are themselves: one rounding of each changes it by up to 2 kappa of its
    own, kappa = |x| / spread being its condition number. Two passes and Welford's update are within that;
    E[x^2] - E[x]^2 is off by kappa^2.
    """
    x, scale = inputs["x"], expected["scale"][:, None]
    weight, bias = abs(inputs.get("weight", np.ones(1))), abs(inputs.get("bias", np.zeros(1)))
    off = abs(x).mean(axis=1, keepdims=True)
    apart = abs(x - x.mean(axis=1, keepdims=True))
    square = (apart * apart).mean(axis=1, keepdims=True)
    stretched = 2 + off * scale + (off * off * float(np.finfo("float32").eps) + square) * scale * scale
    return {
        "out": (off + apart * stretched) * scale * weight + bias + LEAST,
        "mean": off[:, 0],
        "scale": (scale * stretched)[:, 0],
    }


def _dx_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    """A unit is as uncertain as the two numbers are whose difference it is."""
    g, scale, mean = abs(inputs["g"]), inputs["scale"][:, None], inputs["mean"][:, None]
    unit, off = abs(inputs["x"] - mean) * scale, (abs(inputs["x"]) + abs(mean)) * scale
    d = g * abs(inputs.get("weight", np.ones(1)))
    along, across = ((d * one).mean(axis=1, keepdims=True) for one in (unit, off))
    sums = d.mean(axis=1, keepdims=True) + 2 * unit * along + unit * across + off * along
    return {
        "out": 2 * scale * (d + sums) + LEAST,
        "dweight": (g * (2 * unit + off)).sum(axis=0) + LEAST,
        "dbias": g.sum(axis=0) + LEAST,
    }


def _rms_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    scale = expected["scale"]
    return {"out": 3 * abs(expected["out"]) + LEAST, "scale": 2 * scale}


def _rms_dx_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    """As without a mean, which nothing is subtracted for."""
    found = _dx_size(op, {**inputs, "mean": np.zeros_like(inputs["scale"])}, keywords, expected)
    return {name: found[name] for name in ("out", "dweight")}


LAYER = Family(
    plain={"M": 5, "C": 4, "eps": 1e-5, "weight": True, "bias": True, "offset": 0.0},
    shapes=lambda s: (
        {"x": {"m": s["M"], "c": s["C"]}, "columns": {"c": s["C"]}, "rows": {"m": s["M"]}},
        {"eps": s["eps"]},
    ),
    structures=st.fixed_dictionaries(
        {
            "M": st.integers(0, 40),
            "C": st.one_of(st.integers(2, 40), st.sampled_from([127, 128, 129])),
            "eps": st.sampled_from([1e-5, 1e-3, 1.0]),
            "weight": st.booleans(),
            "bias": st.booleans(),
            "offset": st.sampled_from([0.0, 10.0]),
        }
    ),
    traits={
        "several rows": lambda s: s["M"] > 1,
        "several columns": lambda s: s["C"] > 1,
        "a weight": lambda s: bool(s["weight"]),
        "no weight": lambda s: not s["weight"],
        "a bias": lambda s: bool(s["bias"]),
        "no bias": lambda s: not s["bias"],
        "a mean that is large": lambda s: s["offset"] > 0,
    },
    sizes=("M", "C"),
    nouns={"m": "row", "c": "column"},
    named={
        "plain": Named(),
        "read-only inputs": Named(readonly=True),
        "without weight and bias": Named({"weight": False, "bias": False}),
        "a weight alone": Named({"bias": False}),
        "no row": Named({"M": 0}),
        "one row": Named({"M": 1}),
        "one column": Named({"C": 1}),
        "16 columns (whole vectors)": Named({"C": 16}),
        "17 columns (tail)": Named({"C": 17}),
        "as many rows as columns": Named({"M": 4}),
        "33 rows (one after a whole block)": Named({"M": 33}),
        "many rows": Named({"M": 1003}),
        "long rows": Named({"C": 1003}),
        "far from 0": Named({"offset": 10.0}),
        "numbers that are large beside their spread": Named({"offset": 1000.0, "C": 40}),
        "not a number": Named(put=Put(0, np.nan)),
        "refused: a column too many": Named(spoil=("columns", "c"), refused=True),
    },
)

TOO_MANY = {"refused: a row too many of the results": Named(spoil=("rows", "m"), refused=True)}


def _forward(s: Structure) -> list[Arg | None]:
    return [
        Arg("x", "x", X),
        Arg("weight", "columns") if s["weight"] else None,
        Arg("bias", "columns") if s["bias"] else None,
        Arg("out", "x", ""),
        Arg("mean", "rows", ""),
        Arg("scale", "rows", ""),
    ]


def _backward(s: Structure) -> list[Arg | None]:
    return [
        Arg("g", "x"),
        Arg("x", "x", X),
        Arg("weight", "columns") if s["weight"] else None,
        Arg("mean", "rows", MEAN),
        Arg("scale", "rows", SCALE),
        Arg("out", "x", ""),
        Arg("dweight", "columns", "") if s["weight"] else None,
        Arg("dbias", "columns", "") if s["bias"] else None,
    ]


def _rms_forward(s: Structure) -> list[Arg | None]:
    return [arg for i, arg in enumerate(_forward(s)) if i not in (2, 4)]  # neither bias nor mean


def _rms_backward(s: Structure) -> list[Arg | None]:
    kept = [arg for i, arg in enumerate(_backward(s)) if i not in (3, 7)]
    kept[3] = Arg("scale", "rows", ROOT)
    return kept


OPS = [
    Op("layer_norm", LAYER, _forward, size=_size, special=(np.nan,), named=TOO_MANY),
    Op("layer_norm_dx", LAYER, _backward, size=_dx_size, special=(np.nan,)),
    Op("rms_norm", LAYER, _rms_forward, size=_rms_size, special=(np.nan,), named=TOO_MANY),
    Op("rms_norm_dx", LAYER, _rms_backward, size=_rms_dx_size, special=(np.nan,)),
]
