"""What discriminators have in common: sizes of images, a choice of norm, and a check of what they are given."""

from __future__ import annotations

from typing import Any

from tinyres import nn

NORMS = ("batch", "layer", "none")
PYRAMIDS = {8: (2, 2), 28: (7, 2), 32: (4, 3), 64: (4, 4)}  # size: (side, steps), size = side 2**steps


class Critic(nn.Sequential):
    """A row of modules from samples of one shape to logits (N, 1), which says so when it is given others.

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
                f"{type(self).__name__}: judges samples of shape ({needed}), got {tuple(x.shape)}; real samples "
                "and fakes must have one shape: make both players for it"
            )
        return super().forward(x, residual, relu)


def pyramid(player: str, size: int) -> tuple[int, int]:
    """(side, steps): an image of this size is side x side pixels after so many halvings.

    Raises:
        ValueError: the player does not come in this size.
    """
    if size not in PYRAMIDS:
        known = ", ".join(f"{s}x{s}" for s in PYRAMIDS)
        raise ValueError(f"{player}: there are players for images of {known} pixels, got size={size!r}")
    return PYRAMIDS[size]


def norm_layers(norm: str, *shape: int) -> list[nn.Module]:
    """The norm of samples (C, H, W) or (D,), as a list of one module, or of none.

    Args:
        norm: "batch"; "layer", over all of `shape`: what a gradient penalty allows; "none".

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
