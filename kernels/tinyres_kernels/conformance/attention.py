"""Attention, declared: with and without a mask, and how each result is rounded."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinyres_kernels.conformance.calling import Arrays
from tinyres_kernels.conformance.declare import NORMAL, Arg, Family, Named, Op, Put, Shape, Structure
from tinyres_kernels.conformance.loss import LEAST
from tinyres_kernels.namespace import Array

QUERIES = "({size} * rng.standard_normal({shape})).astype({dtype!r})"
LSE = (
    "np.log((np.exp({scale} * np.einsum('nlhe,nshe->nhls', q, k)) * (np.tri({L}, {S}) if {causal} else 1))"
    ".sum(3, dtype='d') + 1e-300).astype({dtype!r})"
)


def _shapes(s: Structure) -> tuple[dict[str, Shape], dict[str, Any]]:
    n, h, q, k, e, v = ({axis: s[name]} for axis, name in zip("nhlsev", "BHLSEV", strict=True))
    shapes = {"q": n | q | h | e, "k": n | k | h | e, "v": n | k | h | v, "y": n | q | h | v, "lse": n | h | q}
    return shapes, {"scale": s["scale"], "causal": s["causal"]}


def _logits(inputs: Arrays, keywords: dict[str, Any]) -> tuple[Array, Array]:
    """The logits, and by how many roundings the exponential of each is off: as many as its argument, times that."""
    q, k = _by_head(inputs["q"]), inputs["k"].transpose(0, 2, 3, 1)
    logits = keywords["scale"] * (q @ k)
    if keywords["causal"]:
        logits = np.where(np.tri(*logits.shape[2:]) > 0, logits, -np.inf)
    return logits, abs(keywords["scale"]) * (abs(q) @ abs(k)) + 2


def _by_head(a: Array) -> Array:
    """(N, L, H, E) as (N, H, L, E), and back."""
    return a.transpose(0, 2, 1, 3)


def _size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    logits, off = _logits(inputs, keywords)
    p = np.exp(logits - logits.max(axis=3, keepdims=True, initial=-np.inf))
    p /= p.sum(axis=3, keepdims=True)
    sums = (p * off).sum(axis=3)
    out = (p * (off + sums[..., None])) @ _by_head(abs(inputs["v"]))
    return {"out": _by_head(out) + LEAST, "lse": abs(expected["lse"]) + sums}


def _dx_size(op: Op, inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    g, q, k, v, y = (_by_head(abs(inputs[name])) for name in ("g", "q", "k", "v", "y"))
    logits, off = _logits(inputs, keywords)
    lse = inputs["lse"][..., None]
    p = np.exp(logits - lse) * (off + abs(lse))
    d = abs(keywords["scale"]) * p * (g @ v.transpose(0, 1, 3, 2) + (g * y).sum(axis=3, keepdims=True))
    turned = d.transpose(0, 1, 3, 2) @ q, p.transpose(0, 1, 3, 2) @ g
    return {name: _by_head(a) + LEAST for name, a in zip(("out", "dk", "dv"), (d @ k, *turned), strict=True)}


HEADS = Family(
    plain={"B": 2, "H": 2, "L": 5, "S": 6, "E": 3, "V": 4, "scale": 0.5, "causal": False, "size": 1.0},
    shapes=_shapes,
    structures=st.fixed_dictionaries(
        {
            "B": st.integers(0, 3),
            "H": st.integers(1, 3),
            "L": st.one_of(st.integers(0, 6), st.sampled_from([15, 28, 57, 65, 70])),
            "S": st.one_of(st.integers(0, 6), st.sampled_from([31, 32, 33, 65, 70])),
            "E": st.sampled_from([1, 3, 8, 16, 17, 33]),
            "V": st.sampled_from([1, 4, 16, 31, 33]),
            "scale": st.sampled_from([0.125, 0.5, 1.0]),
            "causal": st.booleans(),
            "size": st.sampled_from([1.0, 4.0]),
        }
    ),
    traits={
        "several samples": lambda s: s["B"] > 1,
        "several heads": lambda s: s["H"] > 1,
        "several queries": lambda s: s["L"] > 1,
        "several keys": lambda s: s["S"] > 1,
        "fewer keys than queries": lambda s: s["S"] < s["L"],
        "a causal mask": lambda s: bool(s["causal"]),
        "no mask": lambda s: not s["causal"],
        "large logits": lambda s: s["size"] > 1,
    },
    sizes=("B", "H", "L", "S", "E", "V"),
    nouns={"n": "sample", "h": "head", "l": "query", "s": "key", "e": "feature", "v": "feature"},
    named={
        "plain": Named(),
        "causal": Named({"causal": True}),
        "read-only inputs": Named(readonly=True),
        "no sample": Named({"B": 0}),
        "no head": Named({"H": 0}),
        "no query": Named({"L": 0}),
        "no key": Named({"S": 0}),
        "one of each": Named({"B": 1, "H": 1, "L": 1, "S": 1, "E": 1, "V": 1}),
        "causal, more keys than queries": Named({"L": 4, "S": 9, "causal": True}),
        "causal, fewer keys than queries": Named({"L": 9, "S": 4, "causal": True}),
        "whole tiles": Named({"L": 64, "S": 64, "E": 32, "V": 32}),
        "causal, whole tiles": Named({"L": 64, "S": 64, "E": 32, "V": 32, "causal": True}),
        "tails everywhere": Named({"L": 67, "S": 35, "E": 17, "V": 33, "causal": True}),
        "several blocks of keys": Named({"B": 1, "H": 1, "L": 3, "S": 1100, "size": 2.0}),
        "causal, several blocks of both": Named({"B": 1, "H": 1, "L": 150, "S": 600, "E": 2, "V": 2, "causal": True}),
        "refused: another number of keys": Named(spoil=("v", "s"), refused=True),
    },
)
LARGE = {
    "logits that are large beside their spread": Named(shift=("k", 100.0)),
    "large logits (nothing may overflow)": Named({"size": 1e3}),
    "causal, large logits": Named({"size": 1e3, "causal": True, "S": 1100, "L": 3}),
    "refused: another width": Named(spoil=("k", "e"), refused=True),
    "refused: another number of sums": Named(spoil=("lse", "l"), refused=True),
    "a query that is not a number": Named(put=Put(0, np.nan)),
}

OPS = [
    Op(
        "attention",
        HEADS,
        lambda s: [Arg("q", "q", QUERIES), Arg("k", "k"), Arg("v", "v"), Arg("out", "y", ""), Arg("lse", "lse", "")],
        size=_size,
        special=(),
        named=LARGE,
    ),
    Op(
        "attention_dx",
        HEADS,
        lambda s: [
            Arg("g", "y"),
            Arg("q", "q", QUERIES),
            Arg("k", "k"),
            Arg("v", "v", NORMAL),
            Arg("y", "y"),
            Arg("lse", "lse", LSE),
            Arg("out", "q", ""),
            Arg("dk", "k", ""),
            Arg("dv", "v", ""),
        ],
        size=_dx_size,
        special=(),
    ),
]
