"""The picture of E11."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinyres.flow.theory import gates
from tinyres.lab.dots import dots_and_line


def draw(figure: Any, norms: Mapping[float, Any]) -> None:
    """Norm of the gradient against depth for each bias; norm after all layers against the bias.

    norms: bias -> (layers + 1,), the norm at each layer relative to the top.
    """
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    depth = np.arange(len(next(iter(norms.values()))))
    each = max(1, len(depth) // 10)
    for k, (bias, norm) in enumerate(norms.items()):
        dots, line = (depth[::each], norm[::each]), (depth, gates.highway_gain(bias) ** (depth / 2))
        dots_and_line(left, dots, line, k, f"b = {bias:g}: T = {gates.sigmoid(bias):.3f}", log="y")
        right.semilogy(bias, norm[-1], "o", color=f"C{k}")
    left.set(xlabel="Highway layers below the top", ylabel="gradient norm, relative to the top")
    left.set_title("Highway nets: dots measured, lines ((1 − T)² + T²)^(layers / 2)")
    left.legend(fontsize=8)
    reach = max(6.0, *map(abs, norms))
    grid = np.linspace(-reach, reach, 200)
    right.semilogy(grid, [gates.highway_gain(b) ** (depth[-1] / 2) for b in grid], "k-", lw=1)
    right.set(xlabel="bias b of the gate", ylabel=f"gradient norm after {depth[-1]} layers")
    right.set_title("Half open is worst: b = 0")
