"""What a kernel of a norm, a loss, a softmax or a step seems to compute: it is compared with well-known wrong formulas.

A formula is recognised only where every number that differs from the specification is the one that it gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from warnings import catch_warnings

import numpy as np

from tinyres_kernels.conformance.agree import right, standard
from tinyres_kernels.conformance.asked import ROUNDINGS
from tinyres_kernels.conformance.calling import Arrays
from tinyres_kernels.conformance.examine import Finding
from tinyres_kernels.conformance.formula import Given, Known
from tinyres_kernels.conformance.formulas_losses import OF_LOSSES
from tinyres_kernels.conformance.formulas_norms import OF_NORMS

LARGEST, COMPARED = 30_000, 8  # elements of a case, and cases
RARELY = 0.5  # the share of wrong numbers, at most, that the formula has just within rounding
ROOM = 4  # times what a result may be rounded by: the formula is rounded, too
FORMULAS = OF_LOSSES | OF_NORMS


def known(findings: Sequence[Finding]) -> tuple[str, str]:
    """The sentence on the wrong formula that all of these cases follow, and the heading; both empty for none."""
    usable = [f for f in findings if f.outputs and not f.ok and f.signs == {"wrong"} and f.case.elements <= LARGEST]
    if not usable or usable[0].case.op.name not in FORMULAS:
        return "", ""
    seen = [(f, *_given(f)) for f in usable[:COMPARED]]
    found: list[tuple[float, Known]] = []
    for formula in FORMULAS[usable[0].case.op.name]():
        apart = [_apart(formula, *one) for one in seen]
        if all(np.isfinite(apart)):
            found.append((max(apart), formula))
    _, nearest = min(found, key=lambda one: one[0], default=(0.0, None))
    return (nearest.text, nearest.heading) if nearest else ("", "")


def _given(finding: Finding) -> tuple[Given, Arrays]:
    case, own = finding.case, finding.case.inputs()
    needed, allowed = standard(case.op, own, finding.outputs, case.keywords, ROUNDINGS)
    wide = {name: a if a.dtype.kind == "i" else a.astype("float64") for name, a in own.items()}
    return Given(case.op.name, wide, own, case.keywords, needed, case.op.order), allowed


def _apart(formula: Known, finding: Finding, given: Given, allowed: Arrays) -> float:
    """How far the results that are not right are from what the formula gives, in what they may be rounded by; infinite
    where one is further off than that, or most would be right by the formula."""
    largest = 0.0
    with np.errstate(all="ignore"), catch_warnings(action="ignore"):
        made = formula.results(given)
        for name, got in finding.outputs.items():
            wrong = ~right(got, given.needed[name], allowed[name])
            if not wrong.any():
                continue
            room = ROOM * allowed[name] + np.zeros(got.shape)
            if name not in made or not right(got, made[name], room).all():
                return np.inf
            if right(made[name], given.needed[name], allowed[name])[wrong].mean() > RARELY:
                return np.inf
            off = np.where(np.isfinite(got) & (got != made[name]), abs(got - made[name]) / room, 0.0)
            largest = max(largest, float(off.max()))
    return largest


__all__ = ["known"]
