"""What `gradcheck` says: a report when all is well, an explanation when it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tinyres.gradcheck.probe import Finding, Probe, Vector


class GradcheckError(AssertionError):
    """A gradient and the differences of its function do not agree; the message is the explanation."""


@dataclass(frozen=True, slots=True)
class Order:
    """The closest call of one order: how far apart, how far is allowed, and where."""

    order: int
    error: float
    allowed: float
    where: str
    probes: int
    zero: tuple[str, ...]  # inputs on which nothing of this order depends

    def __str__(self) -> str:
        zero = f"; zero in {', '.join(self.zero)}" if self.zero else ""
        return (
            f"order {self.order}: {self.probes} comparisons, closest call: error {self.error:.1e} "
            f"(allowed {self.allowed:.1e}) {self.where}{zero}"
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked, an entry an order."""

    orders: tuple[Order, ...]

    def __str__(self) -> str:
        return "\n".join(["gradcheck passed", *(f"  {order}" for order in self.orders)])


def explain(probe: Probe, finding: Finding, order: int) -> str:
    lines = [
        f"gradcheck, order {order}: rules and differences disagree, {probe.where(finding)}",
        f"  by the rules      {finding.rules:.9g}",
        f"  by differences    {finding.differences:.9g}   (error {finding.error:.3g}, allowed {finding.allowed:.3g})",
    ]
    if not np.isfinite(finding.rules) or not np.isfinite(finding.differences):
        side = "the gradient" if not np.isfinite(finding.rules) else "the function, or its difference,"
        return "\n".join([*lines, f"  There {side} is not finite; detect_anomaly() names the operation."])
    if finding.differences and finding.rules:
        lines.append(f"  ratio             {finding.rules / finding.differences:.6g}")
    if finding.j is None or probe.settings.exact:
        return "\n".join([*lines, *_suspects(order)])
    d, scale = probe.step(finding.j), float(probe.scale[finding.j])
    steps = [probe.settings.eps * 10.0**k for k in (3, 2, 1, 0, -1, -2)]
    with np.errstate(all="ignore"):  # a large step may leave the function's domain
        errors = [abs(finding.rules - float(finding.g @ probe.quotient(d, h)) / scale) for h in steps]
    lines.append("  step   " + "".join(f"{h:>10.1e}" for h in steps))
    lines.append("  error  " + "".join(f"{e:>10.1e}" for e in errors))
    left, right = _slopes(probe, d, finding.g, scale)
    if _kink(probe, d, finding.g, scale):
        lines.append(
            f"  A kink at this input, or within a step of it: slope {left:.6g} from the left and {right:.6g} from "
            "the right. There is no derivative to compare with: move the sample away by more than the step."
        )
    elif any(error <= max(finding.allowed, 0.01 * finding.error) for error in errors):
        lines.append("  Some step agrees far better: the rules may well be right, and eps unfit for this function.")
    else:
        lines.append("  No step agrees, so the rules are wrong.")
        lines += _suspects(order)
    return "\n".join(lines)


def _suspects(order: int) -> list[str]:
    if order == 1:
        return []
    return [
        f"  Order {order - 1} passed. The usual reason: something that depends on the inputs went into a rule as a "
        "constant (an array kept from the forward), so that its derivative is missing."
    ]


def _slopes(probe: Probe, d: Vector, g: Vector, scale: float, shrink: float = 1.0) -> tuple[float, float]:
    h = probe.settings.eps * shrink
    left, middle, right = (float(g @ probe.f(probe.x + k * h * d)) for k in (-1, 0, 1))
    return (middle - left) / (h * scale), (right - middle) / (h * scale)


def _kink(probe: Probe, d: Vector, g: Vector, scale: float) -> bool:
    """Do the one-sided slopes differ, and by more than a smooth curve, whose gap shrinks with the step, explains?"""
    (l, r), (l_half, r_half) = (_slopes(probe, d, g, scale, shrink) for shrink in (1.0, 0.5))
    apart = abs(l - r) > 1e-3 * max(abs(l), abs(r), 1e-3)
    return apart and abs(l_half - r_half) > 0.75 * abs(l - r)
