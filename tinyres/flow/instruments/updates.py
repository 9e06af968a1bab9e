"""Update-to-weight ratios: how much a training step changes the weights."""

from __future__ import annotations

import math
from typing import Any

from tinyres import nn
from tinyres.arrays import device_of
from tinyres.autograd.node import Node
from tinyres.autograd.tensor import raw
from tinyres.flow.instruments.statistics import size, sizes


class Updates:
    """The weights at the start of a step, held without a copy: training replaces arrays, it never writes into them.

    Args:
        model: whose weights; None: nobody's.

    Attributes:
        before: {parameter: |w|} at the start of the step.
        gradient: {parameter: |dL/dw|} from the last backward pass that reached it.
    """

    def __init__(self, model: nn.Module | None) -> None:
        named = [] if model is None else model.named_parameters()
        self._old: dict[str, tuple[nn.Parameter, Any]] = {n: (p, raw(p)) for n, p in named}
        self._leaves = {p.node: name for name, (p, _) in self._old.items() if p.node is not None}
        self.before = dict(zip(self._old, sizes([old for _, old in self._old.values()]), strict=True))
        self.gradient: dict[str, float] = {}
        self._final_ratios: dict[str, float] | None = None

    def on_cotangent(self, node: Node, total: Any) -> None:
        if node in self._leaves:
            self.gradient[self._leaves[node]] = size(total)

    def update_ratios(self) -> dict[str, float]:
        """|new - old| / |old| by parameter; NaN if the old array has not been replaced, or was 0.

        Moving a model to another device does not count as an update.
        """
        if self._final_ratios is not None:
            return self._final_ratios
        changed = {
            name: raw(p) - old
            for name, (p, old) in self._old.items()
            if raw(p) is not old and p.shape == old.shape and p.device == device_of(old)
        }
        found = dict(zip(changed, sizes(list(changed.values())), strict=True))
        return {name: _ratio(found.get(name, math.nan), self.before[name]) for name in self._old}

    def finish(self) -> None:
        """End the step: keep the ratios and release the old weights."""
        self._final_ratios = self.update_ratios()
        self._old, self._leaves = {}, {}

    def gradient_ratios(self) -> dict[str, float]:
        """|dL/dw| / |w| by parameter: for plain SGD, the update ratio per unit of learning rate."""
        return {name: _ratio(self.gradient.get(name, math.nan), norm) for name, norm in self.before.items()}


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
