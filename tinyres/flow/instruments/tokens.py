"""Tokens block by block: how alike those of a sequence are, and how many directions they span."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.arrays import to_device
from tinyres.autograd.tensor import Array, raw
from tinyres.context import Observer, context
from tinyres.figures import palette
from tinyres.flow.instruments.blocks import chosen, held, label, modules_of
from tinyres.flow.measurement import Measurement


def token_similarity(model: nn.Module, x: Any, blocks: list[str] | None = None) -> Measurement:
    """Correlation and rank of the tokens after each block of a model, for inputs (N, T, ...).

        correlation = mean over pairs i != j of <x_i, x_j> / (|x_i| |x_j|),    apart = 1 - correlation

    Attention alone drives `apart` to 0 (Dong et al. 2021 [dong2021attention]; E25). It is computed from distances, so
    that values far below rounding error of the correlation are still right. Two ranks of the T x d matrix of a
    sequence's tokens follow: stable_rank = |X|_F² / |X|², and effective_rank = exp(entropy of s_k² / sum s²), with the
    singular values s_k; both are 1 if all tokens are multiples of one vector, and at most min(T, d).

    Args:
        model: any module whose blocks give (N, T, d); blocks with other outputs are left out. It runs in its current
            mode and is left unchanged.
        x: the model's input.
        blocks: dotted names; default: the children of `model.blocks`, or else of the model.

    Returns:
        Arrays by block, means over the batch: correlation, apart, stable_rank, effective_rank.

    Raises:
        ValueError: a block that does not exist, or none whose output is (N, T, d) with at least two tokens.
    """
    names = chosen(model, blocks)
    modules = modules_of(model)
    found: list[tuple[str, Array]] = []
    members = {name: [f"{name}.{own}" for own in held(modules[name])] for name in names}
    hooked = dict.fromkeys([*names, *(member for below in members.values() for member in below)])
    handles = [modules[name].register_forward_hook(_keeping(found, name)) for name in hooked]
    try:
        with Observer(), context(recording=False, replaying=True):  # the idle observer keeps blocks from being fused
            model(tr.tensor(x))
    finally:
        for handle in handles:
            handle.remove()
    # An nn.Sequential that was gone through, and never called itself, is its members.
    ran = {name for name, _ in found}
    names = [one for name in names for one in (members[name] if name not in ran and members[name] else [name])]
    found = [(name, array) for name, array in found if name in names]
    shapes = [array.shape for _, array in found]
    others = [f"{name} {array.shape}" for name, array in found if array.ndim != 3 or array.shape[1] < 2]
    others += [f"{name}, which never ran" for name in names if all(name != ran for ran, _ in found)]
    found = [(name, array) for name, array in found if array.ndim == 3 and array.shape[1] > 1]
    if not found:
        raise ValueError(
            f"token_similarity: no block gives (N, T, d) with T > 1; their outputs are {shapes[:4]}. Name other blocks"
        )
    columns = np.array([[_apart(array), *_ranks(array)] for _, array in found]).T
    arrays = dict(zip(("apart", "stable_rank", "effective_rank"), columns, strict=True))
    arrays = {"correlation": 1 - arrays["apart"], **arrays}
    axes: dict[str, tuple[str, ...]] = dict.fromkeys(arrays, ("block",))
    cost = "one forward pass, and a singular value decomposition per block and sequence"
    cost += f"; left out, since not (N, T, d): {', '.join(others)}" if others else ""
    return Measurement("tokens", arrays, axes, cost, _draw, {"block": _labels([name for name, _ in found])})


def _keeping(found: list[tuple[str, Array]], name: str) -> Any:
    def hook(module: Any, args: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output  # attention gives its weights as well
        found.append((name, np.asarray(to_device(raw(first), "cpu"), "float64")))

    return hook


def _apart(x: Array) -> float:
    """1 - mean correlation of two tokens, (N, T, d): from the distances of unit tokens to their mean."""
    with np.errstate(all="ignore"):
        unit = x / np.linalg.norm(x, axis=2, keepdims=True)
    squares = ((unit - unit.mean(axis=1, keepdims=True)) ** 2).sum(axis=(1, 2))
    return float(squares.mean() / (x.shape[1] - 1))


def _ranks(x: Array) -> tuple[float, float]:
    """Stable and effective rank, means over the batch; NaN if a token is not finite."""
    if not np.isfinite(x).all():
        return np.nan, np.nan
    squares = np.linalg.svd(x, compute_uv=False) ** 2  # (N, min(T, d))
    with np.errstate(all="ignore"):
        share = squares / squares.sum(axis=1, keepdims=True)
        entropy = -(share * np.log(np.where(share > 0, share, 1))).sum(axis=1)
        return float((1 / share.max(axis=1)).mean()), float(np.exp(entropy).mean())


def _labels(names: list[str]) -> list[str]:
    """A block that ran more than once has a number for each run."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        found.append(label(name, seen.get(name, 0)) if names.count(name) > 1 else name)
        seen[name] = seen.get(name, 0) + 1
    return found


def _draw(figure: Any, found: Measurement) -> None:
    left, right = figure.subplots(1, 2)
    place = np.arange(len(found["apart"]))
    left.semilogy(place, np.where(found["apart"] > 0, found["apart"], np.nan), "o-", ms=4, color=palette.CASES[0])
    left.set(ylabel="1 - correlation of two tokens", title="How different the tokens still are")
    right.plot(place, found["effective_rank"], "o-", ms=4, color=palette.CASES[0], label="effective")
    right.plot(place, found["stable_rank"], "o-", ms=4, color=palette.CASES[1], label="stable")
    right.set(ylabel="rank", ylim=(0, None), title="How many directions they span")
    right.legend()
    for axes in (left, right):
        axes.set_xticks(place, found.labels["block"], rotation=45, ha="right", fontsize=8)


__all__ = ["token_similarity"]
