"""The matrix product, a fully connected layer and sums of columns, declared."""

import numpy as np
from hypothesis import strategies as st

from tinyres_kernels.conformance.declare import Arg, Family, Named, Op, Put

PRODUCT = Family(
    plain={"M": 4, "K": 3, "N": 5},
    shapes=lambda s: (
        {"a": {"m": s["M"], "k": s["K"]}, "b": {"k": s["K"], "n": s["N"]}, "out": {"m": s["M"], "n": s["N"]}},
        {},
    ),
    structures=st.fixed_dictionaries({"M": st.integers(0, 40), "K": st.integers(1, 40), "N": st.integers(0, 40)}),
    traits={
        "several rows": lambda s: s["M"] > 1,
        "several terms": lambda s: s["K"] > 1,
        "several columns": lambda s: s["N"] > 1,
    },
    sizes=("M", "K", "N"),
    plurals={"N": "columns"},
    nouns={"m": "row", "n": "column"},
    named={
        "plain": Named(),
        "read-only inputs": Named(readonly=True),
        "one number": Named({"M": 1, "K": 1, "N": 1}),
        "one row": Named({"M": 1}),
        "one column": Named({"N": 1}),
        "one term": Named({"K": 1}),
        "no row": Named({"M": 0}),
        "16 columns (whole vectors)": Named({"N": 16}),
        "17 columns (tail)": Named({"N": 17}),
        "33 rows (tail)": Named({"M": 33}),
        "square": Named({"M": 3, "K": 3, "N": 3}),
        "many terms": Named({"K": 1003}),
        "more than one thread should have": Named({"M": 70, "K": 900, "N": 110}),
        "not a number": Named(put=Put(0, np.nan)),
        "not a number in the second argument": Named(put=Put(1, np.nan)),
        "infinity": Named(put=Put(0, np.inf)),
        "refused: too many columns of a": Named(spoil=("a", "k"), refused=True),
        "refused: an out with a row too many": Named(spoil=("out", "m"), refused=True),
    },
)
DENSE = Family(
    plain={**PRODUCT.plain, "bias": True},
    shapes=lambda s: (
        {
            "x": {"m": s["M"], "k": s["K"]},
            "w": {"n": s["N"], "k": s["K"]},
            "b": {"n": s["N"]},
            "out": {"m": s["M"], "n": s["N"]},
        },
        {},
    ),
    structures=st.fixed_dictionaries(
        {"M": st.integers(0, 40), "K": st.integers(1, 40), "N": st.integers(0, 40), "bias": st.booleans()}
    ),
    traits={**PRODUCT.traits, "a bias": lambda s: bool(s["bias"]), "no bias": lambda s: not s["bias"]},
    sizes=("M", "K", "N"),
    plurals={"N": "columns"},
    nouns={"m": "row", "n": "column"},
    named={
        **{name: case for name, case in PRODUCT.named.items() if "refused" not in name},
        "without a bias": Named({"bias": False}),
        "no term": Named({"K": 0}),
        "refused: a bias too many": Named(spoil=("b", "n"), refused=True),
        "refused: too many columns of x": Named(spoil=("x", "k"), refused=True),
    },
)
COLUMNS = Family(
    plain={"M": 5, "C": 4},
    shapes=lambda s: ({"x": {"m": s["M"], "c": s["C"]}, "columns": {"c": s["C"]}}, {}),
    structures=st.fixed_dictionaries({"M": st.integers(0, 70), "C": st.integers(0, 70)}),
    traits={"several rows": lambda s: s["M"] > 1, "several columns": lambda s: s["C"] > 1},
    sizes=("M", "C"),
    nouns={"m": "row", "c": "column"},
    named={
        "plain": Named(),
        "read-only inputs": Named(readonly=True),
        "one number": Named({"M": 1, "C": 1}),
        "no row": Named({"M": 0}),
        "no column": Named({"C": 0}),
        "many rows": Named({"M": 1003, "C": 17}),
        "33 rows (one after a whole block)": Named({"M": 33}),
        "not a number": Named(put=Put(0, np.nan)),
        "infinity": Named(put=Put(0, np.inf)),
        "refused: a column too many": Named(spoil=("columns", "c"), refused=True),
    },
)
OPS = [
    Op("matmul", PRODUCT, lambda s: [Arg("a", "a"), Arg("b", "b"), Arg("out", "out", "")]),
    Op("linear", DENSE, lambda s: [Arg("x", "x"), Arg("w", "w"), Arg("b", "b") if s["bias"] else None,
                                   Arg("out", "out", "")]),
    Op("column_sums", COLUMNS, lambda s: [Arg("x", "x"), Arg("out", "columns", "")]),
]  # fmt: skip
