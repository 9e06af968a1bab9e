"""What a kernel of an operation is called with, in words: its signature, the shapes, what to do with `out`."""

from collections.abc import Iterator
from inspect import Parameter, signature
from typing import Any

from tinyres_kernels.conformance.declare import Op
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.contract import OPERATIONS
from tinyres_kernels.settings import PAIRS

AXES = {"cg": "C/groups"}  # the others are written as they are called, in capitals


def parameters(op: str) -> list[str]:
    """The names of a kernel's arguments, in order."""
    operation = OPERATIONS[op]
    return [*operation.arrays, *(["s"] if operation.settings else [])]


def lines(op: str) -> Iterator[str]:
    """The signature, the shapes, the settings, and the rule for results."""
    operation, declared = OPERATIONS[op], OPS[op]
    yield f"{op}({', '.join(parameters(op))})"
    shapes = _shapes(declared)
    yield "  " + "  ".join(
        name
        + shapes.get(name, " a `Running`" if name == "running" else "")
        + (" or None" * (name in operation.optional))
        for name in operation.arrays
    )
    if operation.settings:
        fields = [f"s.{name}" for name in operation.settings._fields]
        pairs = PAIRS & set(operation.settings._fields)
        note = "; pairs are (vertical, horizontal)" if pairs else ""
        yield f"  s, the settings: {', '.join(fields)}{note}"
    results = " and ".join(operation.writes)
    are, them = ("is", "it") if len(operation.writes) == 1 else ("are", "them")
    yield f"  {results} {are} given: fill {them}, as in out[...] = y. What is returned is ignored."


def _shapes(declared: Op) -> dict[str, str]:
    """The shape of each array, its axes in capitals."""
    family = declared.family
    shapes = family.shapes(family.plain)[0]
    made = {}
    for arg in declared.arguments(family.plain):
        if arg:
            axes = [AXES.get(axis, axis.upper()) for axis in shapes[arg.shape]]
            made[arg.name] = f" ({', '.join(axes)}{',' * (len(axes) == 1)})"
    return made


def misfit(kernel: Any, op: str) -> str | None:
    """A sentence for a function that cannot be called with these arguments, or has them in another order."""
    try:
        taken = signature(kernel)
    except (TypeError, ValueError):  # compiled functions need not tell
        return None
    needed = parameters(op)
    try:
        taken.bind(*needed)
    except TypeError:
        names = ", ".join(str(parameter) for parameter in taken.parameters.values())
        return (
            f"It takes ({names}), but it is called with {len(needed)} arguments, as ({', '.join(needed)}): "
            f"change its first line to `def {getattr(kernel, '__name__', op)}({', '.join(needed)}):`."
        )
    given = [p.name for p in taken.parameters.values() if p.kind is Parameter.POSITIONAL_OR_KEYWORD]
    if sorted(given) == sorted(needed) and given != needed:
        return (
            f"It takes ({', '.join(given)}), but its arguments come in the order ({', '.join(needed)}), whatever they "
            "are called: change its first line to that order."
        )
    return None
