"""Our own kernels conform, on every rung."""

import numpy as np
import pytest
from tinyres_kernels import conformance, cpu, im2col, reference

from tests.kernels.conformance.faulty import CONVOLUTIONS, plain

LONG = "linear", "matmul", "attention", "attention_dx"  # in loops; the two other rungs are held to these


@pytest.mark.parametrize(
    ("rung", "op"),
    [
        pytest.param(rung, op, marks=pytest.mark.slow if rung is reference and op in LONG else [], id=f"{op}-{name}")
        for op in conformance.OPS
        for name, rung in (("reference", reference), ("im2col", im2col), ("cpu", cpu))
    ],
)
@pytest.mark.parametrize("examples", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_our_own_kernels_conform(rung, op, examples):
    """The named cases, and so many drawn ones. The loops are slow, the same in either dtype, and what the others are
    held against: they are held to the narrower tolerance first, and what is drawn tells little of them.
    """
    dtypes = conformance.search.DTYPES
    if rung is reference:
        examples, dtypes = 2, ["float64" if examples == 2 else "float32"]
    conformance.assert_conforms(getattr(rung, op), op, examples=examples, dtypes=dtypes)


@pytest.mark.parametrize("rung", [im2col, cpu], ids=["im2col", "cpu"])
@pytest.mark.parametrize("op", CONVOLUTIONS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_padding_is_nothing_or_zeros(rung, op, value):
    case = plain(op, N=2, hw=(6, 7), CG=3, OG=3, padding=(1, 1))
    first, second = case.inputs().values()
    second[(0, 2, 2, 1) if op == "conv2d_dw" else (0, 0, 1, 1)] = value  # of one channel: the others stay as they are
    out = case.writes[0]
    expected, found = np.full((2, *case.shape(out)), np.nan)
    with np.errstate(invalid="ignore"):
        reference_, kernel = getattr(reference, op), getattr(rung, op)
        reference_(first, second, expected, **case.keywords)
        kernel(first, second, found, **case.keywords)
    elsewhere = ~(np.isnan(found) & ~np.isnan(expected))
    inside = np.ones(found.shape, bool) if op == "conv2d_dw" else np.zeros(found.shape, bool)
    inside[:, 1:-1, 1:-1] = True  # all terms are pixels there
    assert elsewhere[inside].all()
    assert 0 < np.isfinite(expected).mean() < 1
    np.testing.assert_allclose(found[elsewhere], expected[elsewhere], rtol=1e-12, atol=1e-12)
