"""The composite gain of mixed streams: what the mixing matrices of a net do together, branches left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyres import nn
from tinyres.arrays import to_device
from tinyres.autograd.tensor import Array, raw
from tinyres.figures import palette
from tinyres.flow.measurement import Measurement
from tinyres.nn.hyper_connections import Mixing


def composite_gain(mixing: nn.Module | Sequence[Any]) -> Measurement:
    """What the first 0, 1, ..., L mixings of several residual streams do together: C_k = M_k ... M_1.

    C takes the place of the identity in x_L = C x_0 + ..., so its size is what a signal, or a gradient, gains on the
    way that passes no branch. Xie et al. 2025 [xie2025mhc] bound it with doubly stochastic matrices; E28 has the laws.

    Args:
        mixing: a model, whose `nn.HyperConnections` are taken in their order, of dynamic ones the part of M that does
            not depend on X; or a sequence of L matrices (n, n).

    Returns:
        Arrays over the depth 0 ... L: forward, the largest absolute row sum of C, and backward, the largest absolute
        column sum: the most that one stream can gain either way; norm, the largest singular value; differences, the
        same for streams that sum to 0: what is left of what tells them apart. composite (depth, n, n): C.

    Raises:
        ValueError: the model has no `nn.HyperConnections`, or the matrices are not square and alike.
    """
    matrices = _matrices(mixing)
    n = len(matrices[0])
    products = [np.eye(n)]
    for m in matrices:
        products.append(m @ products[-1])
    composite = np.array(products)
    centre = np.eye(n) - 1 / n
    arrays = {
        "forward": np.abs(composite).sum(axis=2).max(axis=1),
        "backward": np.abs(composite).sum(axis=1).max(axis=1),
        "norm": np.linalg.norm(composite, 2, axis=(1, 2)),
        "differences": np.linalg.norm(centre @ composite @ centre, 2, axis=(1, 2)),
        "composite": composite,
    }
    axes: dict[str, tuple[str, ...]] = dict.fromkeys(arrays, ("depth",))
    axes["composite"] = ("depth", "stream", "stream")
    return Measurement("composite gain", arrays, axes, "no pass at all: products of small matrices", _draw)


def _matrices(mixing: Any) -> list[Array]:
    if isinstance(mixing, nn.Module):
        found = [m.matrix() for m in mixing.modules() if isinstance(m, Mixing)]
        if not found:
            raise ValueError("composite_gain: the model has no nn.HyperConnections; or pass a list of matrices")
    else:
        found = list(mixing)
    arrays = [np.asarray(to_device(raw(m), "cpu") if hasattr(m, "node") else m, "float64") for m in found]
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or len(square := shapes.pop()) != 2 or square[0] != square[1]:
        raise ValueError(
            f"composite_gain: needs at least one matrix, all of one shape (n, n); got {[a.shape for a in arrays][:4]}"
        )
    return arrays


def _draw(figure: Any, found: Measurement) -> None:
    axes = figure.subplots()
    depth = np.arange(len(found["norm"]))
    names = {"forward": "largest row sum: signal", "backward": "largest column sum: gradient",
             "norm": "largest singular value", "differences": "differences between streams"}  # fmt: skip
    for k, (name, text) in enumerate(names.items()):
        value = found[name]
        axes.semilogy(depth, np.where(value > 0, value, np.nan), color=palette.CASES[k], label=text)
    axes.axhline(1, color=palette.FAINT, lw=1)
    axes.set(xlabel="mixings passed", ylabel="gain", title="What all mixings do together, branches left out")
    axes.legend(fontsize=8)


__all__ = ["composite_gain"]
