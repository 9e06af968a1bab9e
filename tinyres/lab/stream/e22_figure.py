"""The figure of E22: one picture of five normalisations."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.flow.theory import path_lengths
from tinyres.flow.theory.stream import branch_gains
from tinyres.lab.dots import dots_and_line
from tinyres.lab.stream.looks import COLOURS, LABELS

LOWEST = 1e-8  # shares below it are left out
DEEPEST = 100


def draw(figure: Any, found: dict[str, Any], s: float) -> None:
    """The distribution over lengths, on a scale of decades, and the mean length at any depth."""
    left, right = figure.subplots(1, 2, width_ratios=[1.35, 1])
    depth = next(iter(found.values())).shape[1] - 1
    k, depths = np.arange(depth + 1), np.arange(1, max(DEEPEST, depth) + 1)
    for norm, shares in found.items():
        mean, theory = shares.mean(axis=0), path_lengths.poisson_binomial(branch_gains(norm, depth, s))
        seen = mean > LOWEST
        label = f"{LABELS[norm]}: {mean @ k:.2g} branches"
        dots_and_line(left, (k[seen], mean[seen]), (k, theory), COLOURS[norm], label, log="y")
        lengths = [path_lengths.mean_length(branch_gains(norm, int(L), s)) for L in depths]
        dots_and_line(right, ([depth], [mean @ k]), (depths, lengths), COLOURS[norm], log="xy")
        right.annotate(LABELS[norm], (depths[-1], lengths[-1]), (4, 0), textcoords="offset points",
                       color=COLOURS[norm], fontsize=8, va="bottom" if norm == "peri" else "top")  # fmt: skip
    left.set(xlabel="branches on the way back", ylabel="share of the squared gradient", ylim=(LOWEST, 200))
    left.set_title(f"{depth} blocks: how long is the way back?\n(dots measured, lines theory)")
    left.legend(fontsize=8, loc="upper right")
    right.set(xlabel="blocks, L", ylabel="mean number of branches on the way", xlim=(1, 4 * depths[-1]))
    right.set_title("Half of all blocks, a few, or none")
