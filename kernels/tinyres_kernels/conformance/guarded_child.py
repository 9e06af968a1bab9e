"""The process in which `guarded` runs cases: an array that is overrun ends it.

Tasks come pickled on the standard input; the file descriptor that is its argument takes a line of JSON for each step.
"""

import json
import os
import pickle
import resource
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from tinyres_kernels.conformance.agree import disagreements
from tinyres_kernels.conformance.asked import ROUNDINGS
from tinyres_kernels.conformance.calling import call
from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.gate import Misfit, gated
from tinyres_kernels.conformance.guarded import Forced, Packed
from tinyres_kernels.conformance.kernel import load
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.guard import Side, guarded, guarding


def main(descriptor: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # a crash is no news
    tasks: list[Packed] = pickle.load(sys.stdin.buffer)
    kernels = cache(load)
    with os.fdopen(descriptor, "w") as report:

        def tell(step: str, what: Any) -> None:
            report.write(json.dumps([step, what]) + "\n")
            report.flush()

        for place, told, forced, side in tasks:
            case = Case(**told | {"op": OPS[told["op"]]})
            kernel = gated(kernels(place), case.op.name, [{}])
            tell("begins", "")
            tell("ends", _faults(kernel, case, forced, side, lambda name: tell("inside", name)))


def _faults(
    kernel: Callable[..., Any], case: Case, forced: Forced, side: Side, tell: Callable[[str], None]
) -> list[str]:
    """What is wrong with the results of one call, which are not touched beyond their arrays."""
    inputs = case.inputs()
    for a in inputs.values():
        a.flags.writeable = not case.readonly
    outputs = {a.name: np.full(case.shape(a), -77 if a.dtype else np.nan, a.dtype or case.dtype) for a in case.writes}
    given = case.copies(inputs) if case.over else inputs
    if case.over:
        given[case.over] = outputs["out"] = given[case.over].copy()
    everything = {**given, **outputs}
    positional = [everything[arg.name] if arg else None for arg in case.arguments]
    error: Exception | SystemExit | None = None
    try:
        with guarding(side, tell), np.errstate(all="ignore"), _forcing(forced):
            guarded(lambda *arrays: call(case.op.name, kernel, arrays, case.keywords), *positional, side=side)
    except Misfit:  # the checker's own fault, and not the kernel's
        raise
    except (Exception, SystemExit) as caught:  # whatever it is, it is the kernel's and belongs in the report
        error = caught
    if case.refused and not isinstance(error, ValueError):
        came = f"raised {type(error).__name__}: {error}" if error else "accepted them"
        return [f"needed ValueError for shapes that do not belong together, but the contract {came}"]
    if error:
        return [] if case.refused else [f"raised {type(error).__name__}: {error}"]
    return disagreements(case.op.name, inputs, outputs, case.keywords, roundings=ROUNDINGS)


def _forcing(forced: Forced) -> AbstractContextManager[None]:
    return import_module("tinyres_kernels.cpu").forced(**dict(forced)) if forced else nullcontext()


if __name__ == "__main__":
    main(int(sys.argv[1]))
