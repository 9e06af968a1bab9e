"""The adjoint identity: an operation beside the other sides of the multilinear form that it is one side of."""

import numpy as np

from tinyres_kernels.conformance.agree import WIDE
from tinyres_kernels.conformance.asked import asked
from tinyres_kernels.conformance.calling import Arrays, specification
from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.ops import OPS

ADJOINT = "the adjoint identity"  # how its sentences begin


def adjoint(case: Case, inputs: Arrays, outputs: Arrays, allowed: Arrays) -> list[str]:
    """Check the identities that make the operation one side of a multilinear form, the other sides being specified.

    For `conv2d`: <g, conv2d(x, w)> = <conv2d_dx(g, w), x> = <conv2d_dw(x, g), w>, for a drawn g.
    """
    form = case.op.form
    if not form or case.put:  # with a NaN both sides are NaN
        return []
    own = next(variable for variable, op in form.items() if op == case.op.name)
    result = outputs[case.writes[0].name].astype("float64")
    cotangent = np.random.default_rng(case.seed + 1).standard_normal(result.shape)
    arrays = {**inputs, **outputs, own: cotangent}
    value = float(np.vdot(cotangent, result))
    slack = float((abs(cotangent) * (allowed[case.writes[0].name] + 8 * WIDE * abs(result))).sum())
    faults = []
    for variable, name in form.items():
        if variable == own:
            continue
        order = OPS[name].order
        read = {key: arrays[key] for key in order if key in arrays and key != "out"}
        others = {} if read.keys() & outputs.keys() else asked(case).others
        if name not in others:
            others[name] = specification(name, read, {"out": arrays[variable]}, case.keywords, order)["out"]
        paired = float(np.vdot(others[name], arrays[variable]))
        if not abs(value - paired) <= slack:
            faults.append(
                f"{ADJOINT} does not hold: <{own}, {case.op.name}> is {value:.6g}, "
                f"but <{name}, {variable}> is {paired:.6g}"
            )
    return faults
