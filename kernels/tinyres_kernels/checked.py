"""A kernel set under watch: each kernel's results are compared with the specification before anyone uses them.

    kernels = checked(cpu)              # a namespace with the same functions
    kernels.conv2d(x, w, out, s)        # raises KernelDisagreement if `out` is not what it should be

The right result is computed in float64 by `im2col` (for small calls by `reference`) from the very arguments of the
call. So errors do not accumulate over a training, and each element must be right to within a few roundings of the terms
that it sums. `conformance/in_use.py` says how many, and what is excused.
"""

from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np

from tinyres_kernels.contract import OPERATIONS
from tinyres_kernels.namespace import Array, namespace

BY_NORM = ("winograd", "strided")  # ways of the convolutions whose errors are bounded by norms, not term by term


class KernelDisagreement(RuntimeError):
    """A kernel's result differs from the specification.

    Attributes:
        op: which.
        faults: a sentence for each result that is wrong.
    """

    def __init__(self, op: str, faults: list[str], call: str) -> None:
        self.op, self.faults, self.call = op, faults, call
        super().__init__(
            f"{call} disagrees with im2col in float64: {'; '.join(faults)}. This is a fault of the kernel, not of your "
            'program: please report this message. `with tr.kernels("im2col"):` goes on without this kernel, more slowly'
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.op, self.faults, self.call)


def checked(rung: Any) -> Any:
    """The kernels of `rung` (a module or a namespace), each followed by a check of what it wrote.

    Arrays of a GPU are brought to the host to be compared. Calls with an infinity or a NaN among their arguments are
    not: the first kernel that made one out of finite numbers has been.

    Raises:
        ModuleNotFoundError: hypothesis is missing, with which `conformance` is written.
    """
    import_module("tinyres_kernels.conformance")  # or its sentence on what is missing
    functions = {name: _checked(rung, name) for name in OPERATIONS}
    return SimpleNamespace(__name__=f"{rung.__name__}, checked", **functions)


def _checked(rung: Any, name: str) -> Callable[..., Array]:
    from tinyres_kernels.conformance.in_use import faults

    operation = OPERATIONS[name]

    def kernel(*arguments: Any, **named: Any) -> Array:
        arrays, s = operation.split(arguments, named)
        given, written = operation.one_by_one(arrays), operation.written(s)
        keywords = {} if s is None else s._asdict()
        inputs = {key: _on_host(a) for key, a in given.items() if key not in written}  # `add` may write over a term
        out = getattr(rung, name)(*arguments, **named)
        outputs = {key: _on_host(a) for key, a in given.items() if key in written}
        plan = rung.explain(name, *arguments, **named) if hasattr(rung, "explain") else None
        by_norm = plan is not None and plan.way in BY_NORM
        found = faults(name, inputs, outputs, keywords, by_norm=by_norm)
        if found:
            raise KernelDisagreement(name, found, _call(f"{rung.__name__}.{name}", plan, given, keywords))
        return out

    kernel.__name__ = name
    return kernel


def _on_host(a: Array) -> Any:
    """A copy as a NumPy array."""
    xp = namespace(a)
    return np.array(a) if xp is np else xp.asnumpy(a)


def _call(kernel: str, plan: Any, given: dict[str, Array], keywords: dict[str, Any]) -> str:
    """What was called, and which way it went where the kernel set can tell: enough to call it again."""
    shapes = [f"{key} {tuple(a.shape)}" for key, a in given.items()]
    settings = [f"{key}={value!r}" for key, value in keywords.items()]
    dtype = next(a.dtype for a in given.values() if a.dtype.kind == "f")
    return f"{kernel}{f' [{plan}]' if plan else ''} in {dtype} of {', '.join(shapes + settings)}"
