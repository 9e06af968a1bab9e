"""What a case asks for: its arrays, and what is to come of them."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tinyres_kernels.conformance.agree import standard
from tinyres_kernels.conformance.calling import Arrays
from tinyres_kernels.conformance.declare import Case

KEPT = 500  # cases whose answers are remembered: the named ones of an operation, and those of a search
ROUNDINGS = 6  # allowed, in eps of the kernel's dtype times the sum of the terms' absolute values


class Asked(NamedTuple):
    """The arrays that a case has, what its results must be, and how far each element may be from that.

    others: sides of the adjoint identity in which the kernel has no part, by the operation that makes them
    """

    inputs: Arrays
    expected: Arrays
    allowed: Arrays
    others: Arrays


@lru_cache(maxsize=KEPT)
def asked(case: Case) -> Asked:
    """Computed once: the named cases of an operation are put to one kernel after another, and the search for a plainer
    case comes by the same ones again.

    Raises ValueError where the shapes do not belong together.
    """
    inputs = case.inputs()
    like = {arg.name: np.empty(case.shape(arg), arg.dtype or case.dtype) for arg in case.writes}
    expected, allowed = standard(case.op, inputs, like, case.keywords, ROUNDINGS)
    for a in (*inputs.values(), *expected.values(), *allowed.values()):
        a.flags.writeable = False
    return Asked(inputs, expected, allowed, {})
