"""The entropy of attention: over how many tokens each query spreads its weights."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.arrays import to_device
from tinyres.autograd.tensor import Array
from tinyres.context import Observer, context, current
from tinyres.figures import palette
from tinyres.flow.instruments.blocks import Paths, label, modules_of
from tinyres.flow.measurement import Measurement
from tinyres.ops.softmax import softmax_


class _Weights(Observer):
    """Keeps what every softmax of (..., queries, keys) gives, with the name of the module that it ran in."""

    def __init__(self, model: nn.Module) -> None:
        self._paths = Paths(model, list(modules_of(model)))
        self.found: list[tuple[str, Array]] = []

    def on_module(self, module: Any, path: str | None) -> None:
        self._paths.enter(module, path)

    def on_call(self, primitive: Any, inputs: Any, parents: Any, value: Any) -> None:
        if primitive is softmax_.primitive and value.ndim >= 3:
            name = self._paths.name_of(current().path) or ""
            self.found.append((name, np.asarray(to_device(value, "cpu"), "float64")))


def attention_entropy(model: nn.Module, x: Any, *args: Any) -> Measurement:
    """The entropy of each head's weights in every layer of attention that model(x) runs.

        H = mean over queries of -sum_j p_j ln p_j,    spread = exp(H)

    `spread` is the number of tokens that share the weight: T if a head looks at all of T tokens alike, 1 if at one.
    Entropies that collapse to 0 accompany unstable training; those that stay at ln T mean that a head has learned
    nothing yet. Every softmax of an array with three or more axes counts, whichever module computes it; while someone
    watches, `nn.MultiheadAttention` computes its weights in full. A query that may see no key at all counts as if it
    had no mask. The model runs in its current mode and is left unchanged.

    Args:
        model: any module.
        x, args: what it is called with.

    Returns:
        entropy (layer, head), in nats, means over the batch and the queries; spread, its exponential; most (layer,
        head), the mean of the largest weight. Layers with fewer heads than others have NaN in the rest.

    Raises:
        ValueError: model(x) computes no softmax over the keys of an attention.
    """
    with _Weights(model) as watching, context(recording=False, replaying=True):
        model(tr.tensor(x), *args)
    if not watching.found:
        raise ValueError("attention_entropy: the model computed no softmax of (..., queries, keys); has it attention?")
    rows = [_of_heads(weights) for _, weights in watching.found]
    heads = max(len(entropy) for entropy, _ in rows)
    entropy, most = (np.full((len(rows), heads), np.nan) for _ in range(2))
    for k, (first, second) in enumerate(rows):
        entropy[k, : len(first)], most[k, : len(second)] = first, second
    names = [name for name, _ in watching.found]
    layers = [label(name, names[:k].count(name)) if names.count(name) > 1 else name for k, name in enumerate(names)]
    arrays = {"entropy": entropy, "spread": np.exp(entropy), "most": most}
    axes: dict[str, tuple[str, ...]] = dict.fromkeys(arrays, ("layer", "head"))
    cost = "one forward pass, with all attention weights written out"
    return Measurement("attention entropy", arrays, axes, cost, _draw, {"layer": layers})


def _of_heads(weights: Array) -> tuple[Array, Array]:
    """(entropy, largest weight) of each head: weights (batch, heads, queries, keys), or (heads, queries, keys)."""
    p = weights.reshape(-1, *weights.shape[-3:])
    entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(axis=-1)
    return entropy.mean(axis=(0, 2)), p.max(axis=-1).mean(axis=(0, 2))


def _draw(figure: Any, found: Measurement) -> None:
    axes = figure.subplots()
    spread = found["spread"]
    place = np.arange(len(spread))
    for head in range(spread.shape[1]):
        colour = palette.CASES[head % len(palette.CASES)]
        axes.plot(place, spread[:, head], "o-", ms=4, color=colour, label=f"head {head}")
    axes.set_xticks(place, found.labels["layer"], rotation=45, ha="right", fontsize=8)
    top = 1.1 * float(np.nanmax(spread, initial=1))
    axes.set(ylabel="tokens that share the weight, exp(H)", ylim=(0, top), title="How widely each head looks")
    if spread.shape[1] <= 8:
        axes.legend(fontsize=8)


__all__ = ["attention_entropy"]
