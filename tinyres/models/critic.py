"""Critic, the common form of discriminators: a shape check, a choice of norm, image sizes."""

from __future__ import annotations

from typing import Any

from tinyres import nn

NORMS = ("batch", "layer", "none")
PYRAMIDS = {8: (2, 2), 28: (7, 2), 32: (4, 3), 64: (4, 4)}  # size: (side, steps), size = side 2**steps


class Critic(nn.Sequential):
    """Modules in sequence, from samples of one shape to logits (N, 1). Other shapes raise an error.

    Args:
        sample: the shape of one sample: (C, H, W) or (D,).
    """

    def __init__(self, sample: tuple[int, ...], *modules: nn.Module) -> None:
        super().__init__(*modules)
        self.sample = sample

    def forward(self, x: Any, residual: Any = None, relu: bool = False) -> Any:
        if tuple(x.shape[1:]) != self.sample:
            needed = ", ".join(["N", *map(str, self.sample)])
            raise ValueError(
                f"{type(self).__name__}: needs samples of shape ({needed}), got {tuple(x.shape)}; real samples "
                "and fakes must have the same shape: make both players for it"
            )
        return super().forward(x, residual, relu)


def pyramid(player: str, size: int) -> tuple[int, int]:
    """(side, steps): after `steps` halvings, an image of this size has side x side pixels.

    Raises:
        ValueError: the architecture does not exist in this size.
    """
    if size not in PYRAMIDS:
        known = ", ".join(f"{s}x{s}" for s in PYRAMIDS)
        raise ValueError(f"{player}: size must be that of images of {known} pixels, got size={size!r}")
    return PYRAMIDS[size]


def norm_layers(norm: str, *shape: int) -> list[nn.Module]:
    """The normalisation layer for samples (C, H, W) or (D,), as a list of one module or none.

    Args:
        norm: "batch"; "layer", over all of `shape`, which works with a gradient penalty; or "none".

    Raises:
        ValueError: there is no such norm.
    """
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(NORMS)}, got {norm!r}")
    if norm == "none":
        return []
    if norm == "layer":
        return [nn.LayerNorm(shape)]
    return [nn.BatchNorm2d(shape[0]) if len(shape) == 3 else nn.BatchNorm1d(shape[0])]
