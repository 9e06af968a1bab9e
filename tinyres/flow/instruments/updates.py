"""How much a training step changes the weights."""

from __future__ import annotations

import math
from typing import Any

from tinyres import nn
from tinyres.arrays import device_of
from tinyres.autograd.node import Node
from tinyres.autograd.tensor import raw
from tinyres.flow.instruments.statistics import size, sizes


class Updates:
    """The weights as they were when a step began, held and not copied: training replaces arrays, it never writes.

    Attributes:
        before: {parameter: |w|}.
        gradient: {parameter: |dL/dw|}, of the last backward pass that reached it.
    """

    def __init__(self, model: nn.Module) -> None:
        self._old: dict[str, tuple[nn.Parameter, Any]] = {n: (p, raw(p)) for n, p in model.named_parameters()}
        self._leaves = {p.node: name for name, (p, _) in self._old.items() if p.node is not None}
        self.before = dict(zip(self._old, sizes([old for _, old in self._old.values()]), strict=True))
        self.gradient: dict[str, float] = {}
        self._settled: dict[str, float] | None = None

    def on_cotangent(self, node: Node, total: Any) -> None:
        if node in self._leaves:
            self.gradient[self._leaves[node]] = size(total)

    def update_ratios(self) -> dict[str, float]:
        """|new - old| / |old| by parameter; NaN where nothing has replaced the old array, or where it was 0.

        Moving a model to another device is no update.
        """
        if self._settled is not None:
            return self._settled
        changed = {
            name: raw(p) - old
            for name, (p, old) in self._old.items()
            if raw(p) is not old and p.shape == old.shape and p.device == device_of(old)
        }
        found = dict(zip(changed, sizes(list(changed.values())), strict=True))
        return {name: _ratio(found.get(name, math.nan), self.before[name]) for name in self._old}

    def settle(self) -> None:
        """The step is over: keep the ratios, let go of the old weights."""
        self._settled = self.update_ratios()
        self._old, self._leaves = {}, {}

    def gradient_ratios(self) -> dict[str, float]:
        """|dL/dw| / |w| by parameter: the ratio of the update per unit of learning rate, if that is plain SGD's."""
        return {name: _ratio(self.gradient.get(name, math.nan), norm) for name, norm in self.before.items()}


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
