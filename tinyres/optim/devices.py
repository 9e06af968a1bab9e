"""A parameter, its gradient and its optimiser state belong on one device and have one dtype."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinyres.arrays import device_of
from tinyres.autograd.tensor import Tensor, raw


def check_devices(kind: str, i: int, p: Tensor, state: Mapping[str, Any]) -> None:
    """Check params[i] of an optimiser before a step.

    Args:
        kind: the class of the optimiser, for the message.

    Raises:
        RuntimeError: the gradient, or an array of the state, is on another device; the message says how to move it.
    """
    here = device_of(raw(p))
    if p.grad is not None and p.grad.device != here:
        raise RuntimeError(
            f"{kind}: params[{i}], of shape {p.shape}, is on {here}, its .grad on {p.grad.device}; move the model "
            "before the backward pass, or the gradient: p.grad = p.grad.to(p.device)"
        )
    for name, value in state.items():
        if hasattr(value, "shape") and device_of(value) != here:
            raise RuntimeError(
                f"{kind}: params[{i}], of shape {p.shape}, is on {here}, its {name} on {device_of(value)}; after "
                "moving a model, optimizer.load_state_dict(optimizer.state_dict()) moves the state as well"
            )


def in_dtype_of(p: Tensor, g: Any, state: dict[str, Any]) -> Any:
    """The gradient `g` in the parameter's dtype. So are the arrays of the state, which change if a model was converted
    after its first step: kernels take one dtype at a time."""
    dtype = raw(p).dtype
    for name, value in state.items():
        if hasattr(value, "shape") and value.dtype != dtype and value.dtype.kind == "f":
            state[name] = value.astype(dtype)
    return g if g.dtype == dtype else g.astype(dtype)


__all__ = ["check_devices", "in_dtype_of"]
