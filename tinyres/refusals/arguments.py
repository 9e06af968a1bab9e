"""Arguments by name that PyTorch has and we do not: what is missing, and what to do instead.

Where such an argument has the value that PyTorch gives it by default, it asks for nothing, and is left out. Functions
ask only after Python has refused a call, so that a call that goes well costs nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, wraps
from inspect import Parameter, isclass, signature
from typing import Any, Self, TypeVar, cast

from tinyres_kernels.command_line import suggested

from tinyres.refusals.kinds import check_kinds

F = TypeVar("F", bound=Callable[..., Any])

# By the name of the argument, or of its function and its name. {} is the function.
INSTEAD = {
    "max_norm": "scale the rows down yourself after each step",
    "scale_grad_by_freq": "divide the gradient by tr.bincount of the indices yourself",
    "device": "call .to(device) on what it makes",
    "dtype": "call .to(dtype) on what it makes",
    "proj_size": "put an nn.Linear after it",
    "process_group": "leave it out",
    "reduce": 'write reduction="mean", "sum" or "none"',
    "size_average": 'write reduction="mean" or "sum"',
    "out": "a tensor is not written into: leave it out, and bind the result, y = {}(...)",
    "inplace": "a tensor is not written into: leave it out, and bind the result, x = {}(x)",
    "pin_memory": "leave it out: copies to a GPU need no pinned memory",
    "names": "leave it out: axes have numbers",
    "layout": "leave it out: all tensors are dense",
    "memory_format": "leave it out: kernels choose the layout",
    "capturable": "leave it out: tr.compile captures the steps of every optimiser",
    "maximize": "give backward() the loss with the other sign, (-loss).backward()",
    "differentiable": "write the step yourself, with gradients of tr.grad(loss, params, create_graph=True)",
    "verbose": "leave it out, and print scheduler.get_last_lr() where you want to see the rate",
    "last_epoch": "leave it out; to go on from a saved place, call scheduler.load_state_dict(...)",
    "mmap": "leave it out: the whole file is read and checked",
    "pickle_module": "leave it out: files are safetensors, not pickles",
    "multiprocessing_context": "leave it out: samples are loaded in this process",
    "batch_sampler": "write sampler= and batch_size=",
    "inputs": "leave it out; tr.grad(y, inputs) gives the gradients of some tensors alone",
    "compile.mode": "leave it out: on a GPU, tr.compile(step, model, optimizer) captures a whole training step",
    "compile.backend": "leave it out: on a GPU, tr.compile(step, model, optimizer) captures a whole training step",
    "compile.fullgraph": "leave it out: the whole step is captured, or it is refused",
    "compile.dynamic": "leave it out: each shape is captured once",
}  # fmt: skip
# By the name of the argument, or of its class and its name: the values by which PyTorch does nothing.
_NONE_OR_FALSE = """
_freeze _weight antialias batch_sampler capturable decoupled_weight_decay device differentiable driver dtype generator
inplace layout max_norm max_value maximize memory_format min_value multiprocessing_context names out pin_memory
process_group reduce scale_grad_by_freq size_average sparse sparse_grad verbose
"""
_OFF: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(_NONE_OR_FALSE.split(), (None, False)),
    "last_epoch": (-1,), "norm_type": (2,), "pin_memory_device": ("",), "proj_size": (0,), "in_order": (True,),
    "_stacklevel": (3,),
    **{f"{kind}{n}d.bias": (True,) for kind in ("BatchNorm", "InstanceNorm") for n in (1, 2)},
    **dict.fromkeys(["_Norm.bias", "_InstanceNorm.bias", "GroupNorm.bias"], (True,)),
}  # fmt: skip
# PyTorch's names of arguments, and ours.
_RENAMED = {
    "input": ("x", "a", "A"), "other": ("b", "y", "w"), "tensors": ("xs",), "modules": ("entries",),
    "parameters": ("entries",),
}  # fmt: skip
_OF_NEW_TENSORS = ("device", "requires_grad")  # what `**how` stands for in `tinyres.ops.creation`


@cache
def taken(function: Callable[..., Any]) -> tuple[str, ...] | None:
    """The arguments of a function or a class by name; None where it takes any, or says nothing.

    `also_takes` of a function are those that its signature, which is the wrapped function's, lacks.
    """
    try:
        parameters = list(signature(function).parameters.values())
    except ValueError:
        return None
    found = [p.name for p in parameters if p.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)]
    found += getattr(function, "also_takes", ())
    rest = next((p.name for p in parameters if p.kind is Parameter.VAR_KEYWORD), None)
    if rest is None:
        return tuple(found)
    return (*found, *_OF_NEW_TENSORS) if rest == "how" else None


def mend_of(function: Callable[..., Any], named: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first of these arguments that a function does not take, and what to do; None if it takes them all."""
    known = taken(function)
    wrong = next((name for name in as_taken(function, named) if known is not None and name not in known), None)
    if wrong is None:
        return None
    called = function.__name__
    near = suggested(wrong, known or ())
    meant = f"did you mean {' or '.join(near)}?" if near else "leave it out."
    mend = INSTEAD.get(f"{called}.{wrong}", INSTEAD.get(wrong))
    said = f"{mend.format(called if isclass(function) else f'tr.{called}')}." if mend else meant
    return wrong, f"{said} It takes {', '.join(known or ()) or 'no arguments'}"


def as_taken(function: Callable[..., Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without those that a function of ours lacks and that, by their values, ask for nothing; and with
    our names in the place of PyTorch's."""
    known = taken(function)
    if known is None or all(name in known for name in named):
        return dict(named)
    found = {}
    for name, value in named.items():
        off = _OFF.get(f"{function.__name__}.{name}", _OFF.get(name, ()))
        if name in known:
            found[name] = value
        elif not any(value is one or (type(value) in (int, float) and value == one) for one in off):
            ours = next((our for our in _RENAMED.get(name, ()) if our in known and our not in named), name)
            found[ours] = value
    return found


def refuse_unknown(function: Callable[..., Any], named: Mapping[str, Any]) -> None:
    """Raises TypeError for an argument that a function or a class of ours does not take, in a sentence with the mend.

    One of somebody else keeps Python's sentence.
    """
    found = mend_of(function, named) if _is_ours(function) else None
    if found is not None:
        raise TypeError(f"{function.__name__}: there is no argument {found[0]!r} here: {found[1]}")


def _is_ours(function: Callable[..., Any]) -> bool:
    code = function.__init__ if isclass(function) else function
    return bool(getattr(code, "__module__", "").startswith("tinyres."))


def accepted(function: Callable[..., Any], named: dict[str, Any]) -> dict[str, Any] | None:
    """After Python has refused a call: the arguments by name with which to call again, None if they are the same."""
    if not named or not _is_ours(function):
        return None
    refuse_unknown(function, named)
    kept = as_taken(function, named)
    return None if kept.keys() == named.keys() else kept


def name_axis(function: Callable[..., Any], error: Exception) -> None:
    """Raise the error of an axis that is not there with the function's name, which NumPy does not know."""
    if str(error).startswith("axis "):
        raise type(error)(f"{function.__name__}: {error}") from error


def explain_words(function: F) -> F:
    """Wrap a function so that an argument by name that it does not take is refused by `refuse_unknown`."""

    @wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        try:
            return function(*args, **named)
        except TypeError:
            kept = accepted(function, named)
            if kept is None:
                raise
        return call(*args, **kept)

    return cast(F, call)


class Explained:
    """Base of classes whose arguments are checked before they are made; see `refuse_unknown` and `check_kinds`."""

    def __new__(cls, *args: Any, **named: Any) -> Self:
        """One without attributes. TypeError, ValueError: an argument that is not taken, or is of another kind."""
        if named:
            refuse_unknown(cls, named)
        if args or named:
            check_kinds(cls, args, named)
        return super().__new__(cls)

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Leave out, in a class of ours, what PyTorch's classes take and ours do not, where it asks for nothing."""
        super().__init_subclass__(**keywords)
        if "__init__" in vars(cls) and cls.__module__.startswith("tinyres."):
            cls.__init__ = _leaves_out(cls, cls.__init__)  # type: ignore[method-assign]


def _leaves_out(cls: type, init: Callable[..., None]) -> Any:
    @wraps(init)
    def __init__(self: Any, *args: Any, **named: Any) -> None:
        init(self, *args, **(as_taken(cls, named) if named else named))

    return __init__


__all__ = [
    "INSTEAD", "Explained", "accepted", "as_taken", "explain_words", "mend_of", "name_axis", "refuse_unknown", "taken",
]  # fmt: skip
