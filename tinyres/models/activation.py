"""Another activation for a finished model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tinyres import nn

M = TypeVar("M", bound=nn.Module)


def swap_activation(model: M, kind: Callable[[], nn.Module]) -> M:
    """Put `kind()` in the place of every ReLU below the model, and give the model back: swap_activation(net, nn.Tanh).

    Weights, their names and values stay. Mind that they were drawn for ReLU, with twice the variance that keeps the
    size of a signal through a linear layer.

    Args:
        model: it is changed. What only descends from `nn.ReLU` is left as it is.
        kind: makes an activation; it is called once for each ReLU.

    Raises:
        ValueError: there is no ReLU below the model.
    """
    places = [(parent, name) for parent in model.modules() for name, child in parent.named_children()
              if type(child) is nn.ReLU]  # fmt: skip
    if not places:
        raise ValueError(f"swap_activation: there is no nn.ReLU below this {type(model).__name__}, nothing to swap")
    for parent, name in places:
        setattr(parent, name, kind().train(model.training))
    return model
