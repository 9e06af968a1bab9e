"""A module, and what follows it in the same pass over memory."""

from __future__ import annotations

from typing import Any

from tinyres import ops
from tinyres.context import layers_are_watched
from tinyres.nn.module import Module


def takes_along(module: Module) -> Any:
    """What of a residual and a ReLU the module's `forward` does itself: `module.takes_along`.

    Nothing if a subclass, or the instance, brought a forward of its own and did not say so again: it may know neither
    argument.
    """
    if "forward" in vars(module):
        return ()
    kind = next(kind for kind in type(module).__mro__ if "forward" in vars(kind) or "takes_along" in vars(kind))
    return module.takes_along if "takes_along" in vars(kind) else ()


def followed(module: Module, x: Any, residual: Any = None, relu: bool = False) -> Any:
    """max(module(x) + residual, 0): the sum where there is a residual, the maximum where `relu`.

    A batch norm computes all of it in one pass, and so does whatever ends in one (`takes_along`). While somebody
    watches the forward pass each operation is recorded by itself, so that the sum and its two routes are seen. Either
    way the routes carry the roles "branch" and "skip".

    Raises:
        ValueError: the residual has another shape than the module's result. (Nothing is broadcast.)
    """
    asked = ({} if residual is None else {"residual": residual}) | ({"relu": True} if relu else {})
    if not layers_are_watched() and all(name in takes_along(module) for name in asked):
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


__all__ = ["followed", "takes_along"]
