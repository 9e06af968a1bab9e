"""What a kernel of an operation is called with, in words: its signature, the shapes, what to do with `out`."""

from collections.abc import Iterator
from inspect import Parameter, signature
from textwrap import wrap
from typing import Any

from tinyres_kernels.conformance.adapt import AS_SPECIFIED, Adapt, turns
from tinyres_kernels.conformance.declare import Op
from tinyres_kernels.conformance.layouts import VIEWS
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.contract import OPERATIONS
from tinyres_kernels.settings import PAIRS

NO_BREAK = "\0"  # a space where no line ends
AXES = {"cg": "C/groups"}  # the others are written as they are called, in capitals


def parameters(op: str) -> list[str]:
    """The names of a kernel's arguments, in order."""
    operation = OPERATIONS[op]
    return [*operation.arrays, *(["s"] if operation.settings else [])]


def lines(op: str, how: Adapt = AS_SPECIFIED) -> Iterator[str]:
    """The signature, the shapes, the settings, and the rule for results."""
    operation, declared = OPERATIONS[op], OPS[op]
    yield f"{op}({', '.join(parameters(op))})"
    shapes = _shapes(declared, how.layout)
    arrays = [
        name + shapes.get(name, " a settings.Running") + (" or None" if name in operation.optional else "")
        for name in operation.arrays
    ]
    yield from _wrapped("  ".join(array.replace(" ", NO_BREAK) for array in arrays))
    if operation.settings:
        fields = [f"s.{name}" for name in operation.settings._fields]
        pairs = "; pairs are vertical, horizontal" if PAIRS & set(operation.settings._fields) else ""
        yield from _wrapped(f"s: {', '.join(fields)}{pairs}")
    results = ", ".join(operation.writes).replace("running", "running.new_...")
    are, them = ("is", "it") if len(operation.writes) == 1 else ("are", "them")
    end = f", or return {them}." if how.arrays else ". What is returned is ignored."
    yield from _wrapped(f"{results} {are} given: fill {them}, as in out[...] = y{end}")


def memory(op: str) -> Iterator[str]:
    """Which strides the arrays may have, and which may be the same."""
    last = {"attention_dx": "results lie element by element along their last axis"}
    steps = dict.fromkeys(("sgd", "adam", "rmsprop"), "results have no gaps, their axes lie in any order")
    results = (last | steps).get(op, "results are C-contiguous")
    over = OPS[op].over
    shared = f"out may be {' or '.join(over)}" if over else "no result shares memory with an input"
    yield from _wrapped(f"Inputs may be views with any strides ({', '.join(VIEWS.values())}); {results}; {shared}.")


def _wrapped(text: str) -> list[str]:
    """Lines of at most 80 characters."""
    return [line.replace(NO_BREAK, " ") for line in wrap(text, 80, initial_indent="  ", subsequent_indent="     ")]


def _shapes(declared: Op, layout: str) -> dict[str, str]:
    """The shape of each array, its axes in capitals."""
    turned = turns(declared) if layout == "nchw" else {}
    family = declared.family
    shapes = family.shapes(family.plain)[0]
    made = {}
    for arg in declared.arguments(family.plain):
        if arg:
            names = list(shapes[arg.shape])
            names = [names[i] for i in turned.get(arg.name, range(len(names)))]
            axes = [capital(axis) for axis in names]
            shape = "..." if axes[0] == "AXIS0" else ", ".join(axes) + "," * (len(axes) == 1)  # ...: any, all alike
            made[arg.name] = f" ({shape}){f' {arg.dtype}' if arg.dtype else ''}"
    return made


def capital(axis: str) -> str:
    """The axis as headers write it."""
    return AXES.get(axis, axis.upper())


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
    fields = OPERATIONS[op].settings._fields if OPERATIONS[op].settings else ()
    if settings := [name for name in given if name in fields and name not in needed]:
        told = ", ".join(f"s.{name}" for name in settings)
        return (
            f"It takes ({', '.join(given)}), but it is called as ({', '.join(needed)}): settings come in one object, "
            f"as {told}. Change its first line to `def {getattr(kernel, '__name__', op)}({', '.join(needed)}):`."
        )
    return None
