"""A convolution that costs enough is tried in the ways that are plausible, once on a machine.

The limits in `choices.py` were found on a few machines, at a few sizes. So when a process first meets a convolution of
`worth_a_trial` multiplications or more, it runs the planned way and the others on the arrays at hand. The planned way
stays, unless another was faster in each of its runs. What came out is on disk before the first result is returned:
a convolution gives the same bits in every run on a machine. Where nothing can be kept, nothing is tried.

A trial runs each way two or three times, of which there are two to four, beside what has to be compiled for it.
"""

import time
from collections.abc import Callable
from math import prod
from typing import Any

from tinyres_kernels.cpu import host, measured
from tinyres_kernels.cpu.choices import LIMITS, Wanted, forced, wanted
from tinyres_kernels.cpu.plan import Plan, Shape, decide, forget
from tinyres_kernels.cpu.turns import Turn

PLANNED: Wanted = ()
OTHERS: tuple[Wanted, ...] = (
    *(((way, taken),) for way in ("winograd", "strided", "blas") for taken in (True, False)),
    *(((size, 2 * LIMITS[size].value),) for size in ("winograd_tiles", "strided_band")),
)
BETTER = 0.95  # of the planned way's time: less is noise

Run = Callable[[Plan], bool]  # whether all that came out is finite
_met: set[Any] = set()


def multiplications(op: str, shapes: tuple[Shape, ...]) -> int:
    """Of the direct sum: N OH OW KH KW C O / groups."""
    first, second, out = shapes
    y, w = {"conv2d": (out, second), "conv2d_dx": (first, second), "conv2d_dw": (second, out)}[op]
    return prod(y[:3]) * prod(w)


def settle(op: str, shapes: tuple[Shape, ...], itemsize: int, s: Any, run: Run) -> None:
    """Hold the trial, if this process meets the convolution for the first time and it costs enough."""
    about = op, shapes, itemsize, host.threads(), s
    if about in _met:
        return
    _met.add(about)
    if wanted() or multiplications(op, shapes) < LIMITS["worth_a_trial"].value or not (where := measured.file()):
        return
    name = measured.key(*about)
    if name in measured.found():
        return
    turn = Turn(where.parent, "trial")  # two at a time would time each other
    turn.take()
    try:
        measured.found().update(measured.read())  # another process may have held it
        if name not in measured.found():
            best = fastest(lambda: decide(op, shapes, itemsize, s), run)
            if best is not None and measured.keep(name, best):
                measured.found()[name] = best
        forget()
    finally:
        turn.end()


def fastest(plan: Callable[[], Plan], run: Run) -> Wanted | None:
    """Of the planned way, and those of OTHERS that differ from it; None where a result is not finite, which no way has
    to stand. plan: asked for each, under what it forces."""
    plans = {PLANNED: plan()}
    known = {repr(plans[PLANNED])}  # plans hold arrays, which do not compare
    for other in OTHERS:
        try:
            with forced(**dict(other)):
                found = plan()
        except ValueError:  # it cannot be taken
            continue
        if repr(found) not in known:
            plans[other] = found
            known.add(repr(found))
    times: dict[Wanted, list[float]] = {choice: [] for choice in plans}
    contenders = list(plans)
    for turn in range(3):  # the first one compiles, and is not counted
        for choice in contenders:
            start = time.perf_counter()
            with forced(**dict(choice)):
                if not run(plans[choice]):
                    return None
            if turn:
                times[choice].append(time.perf_counter() - start)
        if turn:
            limit = BETTER * min(times[PLANNED])
            contenders = [choice for choice in contenders if choice == PLANNED or max(times[choice]) < limit]
        if len(contenders) == 1:
            break
    return min(contenders[1:], key=lambda choice: max(times[choice]), default=PLANNED)
