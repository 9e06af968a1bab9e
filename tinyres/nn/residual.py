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
        shortcut: by name, and called `shortcut` in names; a projection where branch changes the shape. None: the
            identity.

    Raises:
        TypeError: a second module comes without its name, as if the layers of a branch were listed.
        ValueError: branch and shortcut give different shapes. (They are never broadcast.)
    """

    def __init__(self, branch: Module, *others: Any, shortcut: Module | None = None) -> None:
        if others:
            what = type(self).__name__
            layers = ", ".join(type(layer).__name__ for layer in (branch, *others))
            raise TypeError(
                f"{what}: takes one branch, got {1 + len(others)} modules ({layers}): join the layers of a branch, "
                f"nn.{what}(nn.Sequential(...)); a module on the other way goes by name, shortcut=..."
            )
        self.branch = branch
        self.shortcut = shortcut

    fuses = ("relu",)

    def forward(self, x: Any, relu: bool = False, **options: Any) -> Any:
        """`options` are passed on to the branch, such as the masks of attention."""
        return fused_add_relu(
            given(self.branch, options), x, residual=x if self.shortcut is None else self.shortcut(x), relu=relu
        )


def given(branch: Module, options: dict[str, Any]) -> Module:
    """The branch, to be called with `options`."""
    return _Given(branch, options) if options else branch


class _Given(Module):
    """The branch with further arguments. It has no name of its own, so the branch keeps its path."""

    def __init__(self, branch: Module, options: dict[str, Any]) -> None:
        self.branch, self.options = branch, options

    def forward(self, x: Any) -> Any:
        return self.branch(x, **self.options)


__all__ = ["Residual", "given"]
