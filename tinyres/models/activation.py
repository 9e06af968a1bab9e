"""swap_activation: replace the activations of a finished model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tinyres import nn

M = TypeVar("M", bound=nn.Module)


def swap_activation(model: M, kind: Callable[[], nn.Module]) -> M:
    """Replace every ReLU in a model by `kind()`, and return the model: swap_activation(net, nn.Tanh).

    The weights, their names and values stay the same. Note that they were drawn for ReLU, with twice the variance that
    preserves a signal's size through a linear layer.

    Args:
        model: it is changed in place. Subclasses of `nn.ReLU` are not replaced.
        kind: makes an activation; it is called once for each ReLU.

    Raises:
        ValueError: the model contains no ReLU.
    """
    places = [(parent, name) for parent in model.modules() for name, child in parent.named_children()
              if type(child) is nn.ReLU]  # fmt: skip
    if not places:
        raise ValueError(
            f"swap_activation: this {type(model).__name__} contains no nn.ReLU, so there is nothing to swap"
        )
    for parent, name in places:
        setattr(parent, name, kind().train(model.training))
    return model
