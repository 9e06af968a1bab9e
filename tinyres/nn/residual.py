"""The residual connection."""

from __future__ import annotations

from typing import Any

from tinyres.nn.fused import fused_add_relu
from tinyres.nn.module import Module


class Residual(Module):
    """y = branch(x) + shortcut(x); without a shortcut y = F(x) + x.

    The gradient then reaches x by two routes,

        dL/dx = g (F'(x) + I),    g = dL/dy,

    of which the second is there however small F' is. He et al. 2016 [he2016deep], "Deep residual learning for image
    recognition", and He et al. 2016 [he2016identity], "Identity mappings in deep residual networks". The sum's node
    carries the roles ("branch", "skip"), so that backward events tell the routes apart.

    Args:
        branch: F, called `branch` in names.
        shortcut: called `shortcut` in names; a projection where branch changes the shape. None: the identity.

    Raises:
        ValueError: branch and shortcut give different shapes. (They are never broadcast.)
    """

    def __init__(self, branch: Module, shortcut: Module | None = None) -> None:
        self.branch = branch
        self.shortcut = shortcut

    fuses = ("relu",)

    def forward(self, x: Any, relu: bool = False) -> Any:
        return fused_add_relu(self.branch, x, residual=x if self.shortcut is None else self.shortcut(x), relu=relu)


__all__ = ["Residual"]
