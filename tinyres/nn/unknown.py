"""Arguments of PyTorch's layers that those here do not have: what is missing, and what to do instead."""

from __future__ import annotations

from functools import cache
from inspect import Parameter, signature
from typing import Any

from tinyres_kernels.command_line import suggested

INSTEAD = {
    "max_norm": "scale the rows down yourself after each step",
    "scale_grad_by_freq": "divide the gradient by tr.bincount of the indices yourself",
    "device": "call .to(device) on the layer",
    "dtype": "call .to(dtype) on the layer",
    "proj_size": "put an nn.Linear after it",
    "process_group": "leave it out",
    "reduce": 'write reduction="mean", "sum" or "none"',
    "size_average": 'write reduction="mean" or "sum"',
}


@cache
def _taken(cls: type) -> tuple[str, ...] | None:
    """The arguments of a class by name; None where it takes any."""
    parameters = list(signature(cls).parameters.values())
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return tuple(p.name for p in parameters if p.kind is not Parameter.VAR_POSITIONAL)


def refuse_unknown(cls: type, named: dict[str, Any]) -> None:
    """Raises TypeError for an argument that a class of ours does not take, in a sentence with the mend."""
    if not cls.__init__.__module__.startswith("tinyres."):  # type: ignore[misc]
        return
    taken = _taken(cls)
    wrong = next((name for name in named if taken is not None and name not in taken), None)
    if wrong is None:
        return
    near = suggested(wrong, taken or ())
    meant = f"did you mean {' or '.join(near)}?" if near else "leave it out."
    mend = f"{INSTEAD[wrong]}." if wrong in INSTEAD else meant
    raise TypeError(f"{cls.__name__}: there is no argument {wrong!r} here: {mend} It takes {', '.join(taken or ())}")


__all__ = ["refuse_unknown"]
