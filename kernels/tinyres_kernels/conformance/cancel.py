"""Whether a norm computes its variance as E[x^2] - E[x]^2, which is rounded as the squares are, not as their spread."""

from collections.abc import Sequence

import numpy as np

from tinyres_kernels.conformance.agree import standard
from tinyres_kernels.conformance.examine import WRONG, Finding
from tinyres_kernels.namespace import Array

STEPS = 8  # roundings of the squares by which such a variance may be off
LEAST = 0.05  # of the error that the formula itself makes of these numbers: another order of its sums changes it

CANCELS = (
    "It seems to compute the variance as E[x^2] - E[x]^2: two large numbers cancel, and what is left is their "
    "rounding. Subtract the mean first, then square: ((x - mean) ** 2).mean()."
)


def cancelled(findings: Sequence[Finding]) -> str:
    """The sentence, where in every failing case the variance is off by as much as the squares are rounded, and the mean
    is right; empty for any other fault."""
    told = [_off_by_the_squares(f) for f in findings if f.outputs and not f.case.put and not f.ok]
    return CANCELS if told and all(told) else ""


def _off_by_the_squares(finding: Finding) -> bool:
    case, outputs = finding.case, finding.outputs
    name = next((n for n in ("variance", "scale") if n in outputs and WRONG in finding.marks.get(n, "")), "")
    if not name or WRONG in finding.marks.get("mean", "") or "mean" not in outputs:
        return False
    needed = standard(case.op, case.inputs(), outputs, case.keywords, 0)[0]
    eps = case.keywords["eps"] if name == "scale" else 0.0
    with np.errstate(all="ignore"):
        got, right = ((a[name] ** -2.0 - eps if name == "scale" else a[name]) for a in (outputs, needed))
        squares = needed["mean"] ** 2 + right + eps
        bound = STEPS * float(np.finfo(case.dtype).eps) * squares
        if (np.abs(got - right) > bound).any():  # a NaN is the root of a variance below 0
            return False
        off, naive = (np.nan_to_num(np.abs(one - right), nan=np.inf).max() for one in (got, _naive(finding)))
        return bool(off >= LEAST * naive)


def _naive(finding: Finding) -> Array:
    """The variance by that formula, in the dtype of the case."""
    x = finding.case.inputs()["x"]
    axis = 0 if "variance" in finding.outputs else 1
    made: Array = (x * x).mean(axis) - x.mean(axis) ** 2
    return made


__all__ = ["CANCELS", "cancelled"]
