"""The residual connection."""

from __future__ import annotations

from typing import Any

from tinyres.nn.module import Module


class Residual(Module):
    """y = branch(x) + shortcut(x); without a shortcut y = F(x) + x.

    The gradient then reaches x by two routes,

        dL/dx = g (F'(x) + I),    g = dL/dy,

    of which the second is there however small F' is. He et al. 2016, "Deep residual learning for image recognition" and
    "Identity mappings in deep residual networks". The sum's node carries the roles ("branch", "skip"), so that
    backward events tell the routes apart.

    Args:
        branch: F, called `branch` in names.
        shortcut: called `shortcut` in names; a projection where branch changes the shape. None: the identity.

    Raises:
        ValueError: branch and shortcut give different shapes. (They are never broadcast.)
    """

    def __init__(self, branch: Module, shortcut: Module | None = None) -> None:
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x: Any) -> Any:
        change = self.branch(x)
        skip = x if self.shortcut is None else self.shortcut(x)
        if change.shape != skip.shape:
            way = "the identity" if self.shortcut is None else "the shortcut"
            raise ValueError(
                f"{self.label()}: the branch gives {tuple(change.shape)}, {way} {tuple(skip.shape)}; they must agree: "
                "pass a projection as shortcut, e.g. nn.Conv2d(in_channels, out_channels, 1, stride)"
            )
        y = change + skip
        if getattr(y, "node", None) is not None:
            y.node.roles = ("branch", "skip")
        return y


__all__ = ["Residual"]
