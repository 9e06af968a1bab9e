"""Is time proportional to work? One convolution with more and more images, channels and pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinyres.bench import convolutions
from tinyres.bench.clocks import HostClock
from tinyres.bench.convolutions import PASSES, Shape
from tinyres.bench.race import Peer, race
from tinyres.bench.report import table

# What time should be proportional to, and by how much it grows in one family of shapes.
FAMILIES: dict[str, list[Shape]] = {
    "batch": [Shape(n, 32, 16, 32, 3, 1) for n in (8, 16, 32, 64, 128, 256, 512)],
    "channels squared": [Shape(64, c, 8, c, 3, 1) for c in (16, 32, 64, 128, 256)],
    "pixels": [Shape(16, 32, h, 32, 3, 1) for h in (8, 16, 32, 64, 128)],
}
AMOUNT: dict[str, Callable[[Shape], int]] = {
    "batch": lambda s: s.N,
    "channels squared": lambda s: s.C**2,
    "pixels": lambda s: s.H**2,
}

Curves = dict[str, dict[str, Any]]  # by family: the shapes' `amount`, and by pass `seconds` and `slope`


def measure(rounds: int, families: Mapping[str, Sequence[Shape]]) -> Curves:
    """Median seconds of the compiled kernels, and the slope of a line through log time over log amount: 1 is linear."""
    from tinyres_kernels import cpu

    curves: Curves = {}
    for family, shapes in families.items():
        amount = [AMOUNT[family](shape) for shape in shapes]
        calls = [convolutions.ours(cpu, shape, convolutions.draw(shape)) for shape in shapes]
        curves[family] = {"amount": amount, "seconds": {}, "slope": {}}
        for which in PASSES:
            peers = {str(n): Peer([call[which]]) for n, call in zip(amount, calls, strict=True)}
            medians = [t.median for t in race(peers, HostClock(), rounds).values()]
            curves[family]["seconds"][which] = medians
            curves[family]["slope"][which] = float(np.polyfit(np.log(amount), np.log(medians), 1)[0])
    return curves


def show(to: Any, curves: Curves) -> None:
    """Print the slopes."""
    title = "Time grows as which power? 1: in proportion"
    made = table(title, ["amount of", "from - to", *PASSES], left=2)
    for family, curve in curves.items():
        span = f"{curve['amount'][0]} - {curve['amount'][-1]}"
        made.add_row(family, span, *(f"{curve['slope'][which]:.2f}" for which in PASSES))
    to.print(made)
