"""gradcheck: compare the gradient of a function with finite differences of the function itself.

With J the Jacobian of y = f(x), reverse mode computes v = J^T g and a difference quotient computes J d. For a random
direction d and a random cotangent g both give the same number,

    <g, J d> = <J^T g, d>,

the adjoint test (Griewank & Walther 2008 [griewank2008evaluating], *Evaluating Derivatives*). The cotangent must be
random: softmax and batch norm map a cotangent of ones to zero, and a wrong rule may well do the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyres.autograd.functional import jvp
from tinyres.autograd.tensor import raw
from tinyres.gradcheck.probe import ROUNDOFF, Probe, Settings, Vector, VectorFunction
from tinyres.gradcheck.report import GradcheckError, Order, Report, explain

FULL_UP_TO = 64  # with at most so many inputs and outputs, every entry of the Jacobian is compared


def gradcheck(
    function: Callable[..., Any],
    inputs: Any | Sequence[Any],
    *,
    order: int = 1,
    seed: int = 0,
    seeds: int = 3,
    eps: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    full: bool | None = None,
    complex_step: bool = False,
    allow_zero: bool = False,
) -> Report:
    """Check  J^T g  as reverse mode computes it against central differences  (f(x + h d) - f(x - h d)) / 2h = J d.

    Order 2 checks the gradient function (x, g) -> J(x)^T g the same way, in x and in the cotangent g, and so on for any
    order. From order 2 on, forward mode (`tinyres.jvp`) is checked too. Up to 64 inputs and outputs every entry of J is
    compared as well.

    Args:
        function: tensors in, a tensor or a tuple of tensors out. Bind arguments that are not float64 tensors with a
            lambda.
        inputs: where to check: a float64 tensor or array of any shape, or a sequence of them.
        order: the highest order of derivative that is checked; all lower ones are too.
        seed, seeds: the seed of the random directions and cotangents, and how many pairs of them are drawn.
        eps: the step h, scaled for each element by max(1, |x|). Default: the cube root of float64's roundoff, which
            makes the error of the quotient (h^2 from curvature, roundoff / h from rounding) smallest.
        rtol, atol: rules and differences may differ by atol + rtol |value|, plus what rounding alone explains.
            Default: 1e-6 and 1e-7; with complex_step 1e-11 and 1e-12.
        full: compare every entry of the Jacobian. Default: only if it is small.
        complex_step: compute order 1 as  Im f(x + i h d) / h  with h = 1e-30, which has no cancellation (Squire & Trapp
            1998 [squire1998using]). The function is called on complex arrays: it must be analytic, and all of its
            operations must accept them.
        allow_zero: accept an input whose derivative is zero on both sides.

    Returns:
        A report; printed, it shows the largest error of each order and where it is.

    Raises:
        GradcheckError: an AssertionError that names the worst element, both values, the error for several step sizes,
            and a likely cause: a kink, a nondeterministic function, zero compared with zero.
        TypeError: an input, an output or a gradient is not float64.
    """
    if order < 1 or seeds < 1:
        raise ValueError(f"gradcheck: order and seeds must be at least 1, got {order} and {seeds}")
    arrays = _float64([inputs] if hasattr(inputs, "dtype") else inputs)
    rng = np.random.default_rng(seed)
    f = VectorFunction(function, [a.shape for a in arrays], [f"inputs[{i}]" for i in range(len(arrays))])
    x = f.flatten(arrays)
    done: list[Order] = []
    for k in range(1, order + 1):
        exact = complex_step and k == 1
        settings = Settings(
            eps=float(np.cbrt(ROUNDOFF)) if eps is None else eps,
            rtol=(1e-11 if exact else 1e-6) if rtol is None else rtol,
            atol=(1e-12 if exact else 1e-7) if atol is None else atol,
            exact=exact,
        )
        probe = Probe(f, x, settings, _deterministic(f, x, k))
        done.append(_check(probe, k, rng, seeds, full, allow_zero))
        if k == 1:
            first = probe
        if k < order:
            f, x = _next_order(f, x, k, rng)
    if order > 1:
        _check_forward_mode(first, rng)
    return Report(tuple(done))


def _float64(inputs: Sequence[Any]) -> list[Any]:
    arrays = [np.asarray(raw(value)) for value in inputs]
    for i, array in enumerate(arrays):
        if array.dtype != np.float64:
            mend = (
                f"pass inputs[{i}].astype('float64')"
                if array.dtype.kind == "f"
                else "bind what has no derivative: gradcheck(lambda x: f(x, index), [x])"
            )
            raise TypeError(
                f"gradcheck: inputs[{i}] is {array.dtype}, but a difference needs float64 "
                f"(in float32 it has five correct digits at best): {mend}"
            )
    return arrays


def _deterministic(f: VectorFunction, x: Vector, order: int) -> Vector:
    y = f(x)
    if not np.array_equal(y, f(x), equal_nan=True):
        raise GradcheckError(
            f"gradcheck, order {order}: the function is nondeterministic: two runs on the same inputs differ. "
            "Draw random numbers beforehand, or make the generator inside the function, from a fixed seed"
        )
    return y


def _check(
    probe: Probe, order: int, rng: np.random.Generator, seeds: int, full: bool | None, allow_zero: bool
) -> Order:
    f, x, m = probe.f, probe.x, probe.y.size
    largest = np.zeros(x.size)  # the largest derivative by the rules for each element; below atol it proves nothing
    findings = []
    for _ in range(seeds):
        g = rng.standard_normal(m)
        v = f.pull(x, g)
        largest = np.maximum(largest, np.abs(v))
        findings.append(probe.along(rng.standard_normal(x.size) * probe.scale, v, g))
    if full or (full is None and max(x.size, m) <= FULL_UP_TO):
        rows = np.array([f.pull(x, unit) for unit in np.eye(m)]).reshape(m, x.size)
        largest = np.maximum(largest, np.abs(rows).max(axis=0, initial=0.0))
        findings += probe.entries(rows)
    worst = max(findings, key=lambda finding: (finding.wrong and finding.j is not None, finding.ratio))
    if worst.wrong:  # a wrong entry says more than a wrong direction, so `max` above prefers it
        raise GradcheckError(explain(probe, worst if worst.j is not None else probe.search(worst, rng), order))
    tops = [part.max(initial=0.0) for part in f.split(largest)]
    zero = tuple(name for name, top in zip(f.names, tops, strict=True) if top <= probe.settings.atol)
    if zero and order == 1 and not allow_zero:
        raise GradcheckError(
            f"gradcheck: vacuous: both sides are zero for {', '.join(zero)}, so nothing was checked there. Is it used? "
            "Does the function undo it, as sum(softmax(x)) does? Pass allow_zero=True if you expect zero"
        )
    return Order(order, worst.error, worst.allowed, probe.where(worst), len(findings), zero)


def _next_order(f: VectorFunction, x: Vector, order: int, rng: np.random.Generator) -> tuple[VectorFunction, Vector]:
    """The gradient function, recorded, at a random cotangent. It must give what an unrecorded pass gives."""
    g = rng.standard_normal(f(x).size)
    gradient, above = f.gradient("cotangent" if order == 1 else f"cotangent{order}"), np.concatenate([x, g])
    plain, recorded = f.pull(x, g), gradient(above)
    off = np.abs(plain - recorded)
    if not np.allclose(plain, recorded, rtol=1e-9, atol=1e-10):
        j = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
        raise GradcheckError(
            f"gradcheck, order {order + 1}: with create_graph=True the gradient is not that of a plain pass: at "
            f"{f.input_name(j)} {recorded[j]:.12g} against {plain[j]:.12g}. A fused operation and its decomposition "
            "disagree, or a rule treats tensors and arrays differently"
        )
    return gradient, above


def _check_forward_mode(probe: Probe, rng: np.random.Generator) -> None:
    """Compare J d by two reverse passes with the quotient (for a function that returns one tensor)."""
    f, x = probe.f, probe.x
    if f.several or not x.size:
        return
    d = rng.standard_normal(x.size) * probe.scale
    _, pushed = jvp(f.function, f.leaves(x), f.split(d))
    rules, differences = np.ravel(pushed.numpy()), probe.quotient(d)
    wrong = ~(np.abs(rules - differences) <= probe.allowed(np.abs(differences), 1.0))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise GradcheckError(
            f"gradcheck: forward mode (jvp, two reverse passes) is wrong at {f.output_name(i)}: "
            f"{rules[i]:.9g} by the rules, {differences[i]:.9g} by differences"
        )


__all__ = ["gradcheck"]
