"""Our own kernels conform, on every rung."""

import numpy as np
import pytest
from tinyres_kernels import conformance, cpu, im2col, reference
from tinyres_kernels.conformance.examine import examine

from tests.kernels.conformance.faulty import CONVOLUTIONS, plain

LONG = "linear", "matmul", "attention", "attention_dx"  # in loops; the two other rungs are held to these


RUNGS = {"reference": reference, "im2col": im2col, "cpu": cpu}


@pytest.mark.parametrize(
    ("rung", "op"),
    [
        pytest.param(rung, op, marks=pytest.mark.slow if rung == "reference" and op in LONG else [], id=f"{op}-{rung}")
        for op in conformance.OPS
        for rung in RUNGS
    ],
)
def test_our_own_kernels_conform(rung, op):
    """The named cases, and two drawn ones. The loops are slow, the same in either dtype, and what the others are held
    against: they are held to the narrower tolerance.
    """
    dtypes = ["float64"] if rung == "reference" else conformance.search.DTYPES
    conformance.assert_conforms(getattr(RUNGS[rung], op), op, examples=2, dtypes=dtypes)


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("op", conformance.OPS)
@pytest.mark.slow
def test_our_own_kernels_conform_in_what_is_drawn(rung, op):
    """Ten more, without the named cases; the loops in float32, too."""
    dtypes = ["float32"] if rung == "reference" else conformance.search.DTYPES
    kernel, named = getattr(RUNGS[rung], op), len(conformance.search.cases(op, examples=0, dtypes=dtypes))
    drawn = conformance.search.cases(op, examples=12, dtypes=dtypes)[named:]
    assert len(drawn) > 6
    assert [finding.faults for finding in (examine(kernel, case) for case in drawn) if not finding.ok] == []


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
