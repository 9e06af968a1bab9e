"""Checks that a parameter, its gradient and its optimiser state are on one device."""

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


__all__ = ["check_devices"]
