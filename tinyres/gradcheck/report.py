"""What gradcheck prints: a report if it passes, an explanation if it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tinyres.gradcheck.probe import Finding, Probe, Vector


class GradcheckError(AssertionError):
    """A gradient and the finite differences of its function disagree; the message explains how."""


@dataclass(frozen=True, slots=True)
class Order:
    """The closest call of one order: the error, the allowed error, and where it is."""

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
    """What was checked, one entry per order."""

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
        side = "The gradient" if not np.isfinite(finding.rules) else "The function, or its difference,"
        return "\n".join([*lines, f"  {side} is not finite there; detect_anomaly() names the operation."])
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
        lines.append("  Another step agrees far better: the rules may be right, and eps wrong for this function.")
    else:
        lines.append("  No step agrees, so the rules are wrong.")
        if finding.rules == 0:
            lines.append("  0 also comes of an operation without rules: each needs its own, f.vjp(x=lambda g, x: ...).")
        lines += _suspects(order)
    return "\n".join(lines)


def _suspects(order: int) -> list[str]:
    if order == 1:
        return []
    return [
        f"  Order {order - 1} passed. The usual reason: a rule uses something that depends on the inputs as a constant "
        "(an array saved by the forward), so that its derivative is missing."
    ]


def _slopes(probe: Probe, d: Vector, g: Vector, scale: float, shrink: float = 1.0) -> tuple[float, float]:
    h = probe.settings.eps * shrink
    left, middle, right = (float(g @ probe.f(probe.x + k * h * d)) for k in (-1, 0, 1))
    return (middle - left) / (h * scale), (right - middle) / (h * scale)


def _kink(probe: Probe, d: Vector, g: Vector, scale: float) -> bool:
    """Whether the one-sided slopes differ at a kink. On a smooth curve their difference shrinks with the step."""
    (l, r), (l_half, r_half) = (_slopes(probe, d, g, scale, shrink) for shrink in (1.0, 0.5))
    apart = abs(l - r) > 1e-3 * max(abs(l), abs(r), 1e-3)
    return apart and abs(l_half - r_half) > 0.75 * abs(l - r)
