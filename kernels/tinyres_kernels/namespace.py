"""Which array library do these arrays belong to?"""

import sys
from types import ModuleType
from typing import Any

import numpy
from numpy import ndarray

# Every library's arrays pass through the kernels, and those libraries are not imported here: no narrower type will do.
Array = Any

_NEUTRAL = (ndarray, numpy.generic, bool, int, float, complex)


def namespace(x: Array, /, *more: Array) -> ModuleType:
    """The module whose functions work on these arrays: `numpy`, `cupy`, ... .

    The first array which is not NumPy's decides; NumPy arrays and scalars decide nothing, and if there is nothing else
    the answer is `numpy`. A foreign array's library is the top-level module of its type. That module is looked up,
    never imported: whoever made the array has imported it. Whether the arrays may be mixed is not judged here.

    Raises TypeError for a list, None, a string or another built-in object: those belong to no array library.
    """
    if type(x) is ndarray and not more:  # nearly every call: leave before any loop is set up
        return numpy
    for array in (x, *more):
        if isinstance(array, _NEUTRAL):
            continue
        library = type(array).__module__.partition(".")[0]
        if library == "builtins":
            raise TypeError(f"expected arrays or scalars, got {type(array).__name__}: convert it with asarray first")
        return sys.modules[library]
    return numpy
