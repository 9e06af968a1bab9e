"""The numbers recorded in a training step, and all recorded steps as arrays.

By step and block (if a block runs several times in a step, one entry per run: cell[0], cell[1], ...):
    forward_norm, forward_mean, forward_variance      of the block's output, over the whole batch
    backward_norm, backward_mean, backward_variance   of the loss's gradient there
    dead_fraction         share of units whose output is 0 for the whole batch: channels of (N, C, H, W), otherwise
                          entries of the last axis. After a ReLU, these units pass no gradient
    activation_histogram  share of the output's elements in bins of standard deviations from its mean
    gradient_histogram    share of the gradient's elements in bins of log10 |g|; exact zeros fall in no bin
By step and residual connection, where its routes rejoin:
    skip_norm, branch_norm, gate_norm    norm of the gradient along each route (gate: `nn.Highway`)
    skip_share, branch_share             that norm divided by the sum of the routes' norms
    route_cosine                         cosine between the gradients along skip and branch
By step and parameter:
    weight_norm, gradient_ratio, update_ratio         |w|, |dL/dw| / |w| and |new w - w| / |w|

NaN means "not seen in this step". The outer bins are open. Histograms of larger arrays sample 4096 elements, the same
ones in every step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyres.autograd.tensor import Array
from tinyres.flow.instruments import pictures
from tinyres.flow.instruments.blocks import seen
from tinyres.flow.instruments.routes import RouteNorms, share
from tinyres.flow.instruments.statistics import LOG_EDGES, SCORE_EDGES, Summary
from tinyres.flow.instruments.updates import Updates
from tinyres.flow.measurement import Measurement

COST = "a recorded step takes about 1.5 ordinary ones: no fusion, and two passes over each block's output and gradient"


def nothing_recorded(entered: int, every: int) -> str:
    """What to say if something is asked of no recorded step."""
    if entered:
        due = -(-entered // every) * every
        return f"record: none of the steps was recorded, since every={every}: the next is step {due}"
    return "record: nothing has been recorded yet; run a step inside `with recording:` first"


@dataclass
class Step:
    """One recorded step: numbers only, plus the old weights until the next step begins."""

    number: int
    updates: Updates
    forward: dict[str, Summary] = field(default_factory=dict)
    backward: dict[str, Summary] = field(default_factory=dict)
    routes: dict[str, RouteNorms] = field(default_factory=dict)
    one_way: list[str] = field(default_factory=list)  # residual connections to whose input nothing came back
    not_finite: str | None = None  # where a NaN or infinity appeared first
    differentiated: bool = False  # a backward pass has begun
    reached_twice: str | None = None  # a block run that a second backward pass has reached
    runs: dict[str, int] = field(default_factory=dict)  # how often each block ran
    idle: set[str] = field(default_factory=set)  # blocks that were called and computed nothing, such as a dropout of 0

    def __post_init__(self) -> None:
        bad = next((name for name, norm in self.updates.before.items() if not np.isfinite(norm)), None)
        self.not_finite = None if bad is None else f"the weight {bad}"

    def check(self, found: Summary, where: str) -> None:
        if self.not_finite is None and not np.isfinite(found.mean):
            self.not_finite = where

    def rename(self, name: str, new: str) -> None:
        """Rename a block's first run once a second one begins."""
        for found in (self.forward, self.backward):
            items = list(found.items())
            found.clear()
            found.update({new if key == name else key: value for key, value in items})
        if self.not_finite in (f"the output of {name}", f"the gradient at the output of {name}"):
            self.not_finite = self.not_finite.removesuffix(name) + new

    def finish(self) -> None:
        """The optimiser has stepped: keep the size of the update and release the old weights."""
        self.updates.finish()


def collect(steps: list[Step], blocks: list[str], not_finite: str | None) -> Measurement:
    """Stack the steps' numbers into one `Measurement`."""
    residuals = list(dict.fromkeys(name for step in steps for name in [*step.one_way, *step.routes]))
    parameters = list(dict.fromkeys(name for step in steps for name in step.updates.before))

    def table(names: list[str], row: Callable[[Step], dict[str, Any]]) -> Array:
        rows = [row(step) for step in steps]
        return np.array([[found.get(name, np.nan) for name in names] for found in rows]).reshape(len(steps), len(names))

    def summaries(which: str, field_name: str) -> Array:
        found = [[seen(getattr(step, which), name) for name in blocks] for step in steps]
        filled = np.array([[np.nan if s is None else getattr(s, field_name) for s in row] for row in found])
        return filled.reshape(len(steps), len(blocks))

    def histograms(which: str, bins: int) -> Array:
        nothing = np.full(bins, np.nan)
        found = [[seen(getattr(step, which), name) for name in blocks] for step in steps]
        filled = np.array([[nothing if s is None else s.histogram for s in row] for row in found])
        return filled.reshape(len(steps), len(blocks), bins)

    arrays = {
        f"{way}_{what}": summaries(way, what)
        for way in ("forward", "backward")
        for what in ("norm", "mean", "variance")
    }
    arrays["dead_fraction"] = summaries("forward", "dead")
    axes: dict[str, tuple[str, ...]] = dict.fromkeys(arrays, ("step", "block"))
    for name, way, edges in (("activation", "forward", SCORE_EDGES), ("gradient", "backward", LOG_EDGES)):
        arrays[f"{name}_histogram"] = histograms(way, len(edges) - 1)
        axes[f"{name}_histogram"] = ("step", "block", f"{name}_bin")
        arrays[f"{name}_edges"], axes[f"{name}_edges"] = edges, (f"{name}_edge",)
    routes: dict[str, Callable[[RouteNorms], float]] = {
        "skip_norm": lambda m: m.skip,
        "branch_norm": lambda m: m.branch,
        "gate_norm": lambda m: m.gate,
        "skip_share": lambda m: share(m.skip, m),
        "branch_share": lambda m: share(m.branch, m),
        "route_cosine": lambda m: m.cosine,
    }
    for name, of in routes.items():
        arrays[name] = table(residuals, lambda s, of=of: {n: of(m) for n, m in s.routes.items()})  # type: ignore[misc]
        axes[name] = ("step", "residual")
    arrays["weight_norm"] = table(parameters, lambda s: s.updates.before)
    arrays["gradient_ratio"] = table(parameters, lambda s: s.updates.gradient_ratios())
    arrays["update_ratio"] = table(parameters, lambda s: s.updates.update_ratios())
    axes |= dict.fromkeys(["weight_norm", "gradient_ratio", "update_ratio"], ("step", "parameter"))
    labels: dict[str, list[Any]] = {
        "step": [step.number for step in steps],
        "block": blocks,
        "residual": residuals,
        "parameter": parameters,
    }
    return Measurement(
        "record", arrays, axes, COST, lambda figure, found: pictures.history(figure, found, not_finite), labels
    )
