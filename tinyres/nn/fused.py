"""A module with the sum and the ReLU behind it in the same pass over memory."""

from __future__ import annotations

from typing import Any

from tinyres import ops
from tinyres.context import layers_are_watched
from tinyres.nn.module import Module


def fusable(module: Module) -> Any:
    """Which of "residual" and "relu" the module's `forward` takes: its `fuses`.

    Nothing if another forward has taken the place of the one that `fuses` was declared for: in a subclass, in the class
    itself or in the instance. It may know neither. Hooks are to see the module's own result, so nothing then, either.
    """
    kind = type(module)
    own = "forward" in vars(module) or module._hooks is not None
    return module.fuses if not own and kind.forward is kind._fuses_in else ()


def fused_add_relu(module: Module, x: Any, residual: Any = None, relu: bool = False) -> Any:
    """max(module(x) + residual, 0): the sum where there is a residual, the maximum where `relu`.

    A batch norm computes all of it in one pass, and so does whatever ends in one (`Module.fuses`). While somebody
    watches the forward pass each operation is recorded by itself, so that the sum and its two routes are seen. Either
    way the routes carry the roles "branch" and "skip".

    Raises:
        ValueError: the residual has another shape than the module's result. (Nothing is broadcast.)
    """
    asked = ({} if residual is None else {"residual": residual}) | ({"relu": True} if relu else {})
    if not layers_are_watched() and all(name in fusable(module) for name in asked):
        return module(x, **asked)
    y = module(x)
    if residual is not None:
        if y.shape != residual.shape:
            raise ValueError(
                f"{module.label()}: gives {tuple(y.shape)}, the residual is {tuple(residual.shape)}; they must agree: "
                "pass a projection as shortcut, e.g. nn.Conv2d(in_channels, out_channels, 1, stride)"
            )
        y = y + residual
        if getattr(y, "node", None) is not None:
            y.node.roles = ("branch", "skip")
    return ops.relu(y) if relu else y


__all__ = ["fusable", "fused_add_relu"]
