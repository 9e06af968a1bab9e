"""The trace of the tangent kernel: how strongly a model's outputs react to its weights."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.arrays import to_device
from tinyres.arrays.random import rng_of
from tinyres.autograd.tensor import Array, Tensor
from tinyres.context import context
from tinyres.figures import palette
from tinyres.flow.instruments.statistics import size
from tinyres.flow.measurement import Measurement

EXACT = 64  # "auto" takes every output by itself if there are at most this many


def tangent_kernel_trace(
    model: nn.Module,
    x: Any,
    *,
    method: str = "auto",
    samples: int = 16,
    rng: np.random.Generator | int = 0,
) -> Measurement:
    """The trace of the tangent kernel K = J J^T, J = d model(x) / d weights, and each parameter's part of it.

        tr K = sum_i |d f_i / d w|²    over all outputs f_i of the batch

    A small step along the gradient changes the outputs by K times their gradient (Jacot et al. 2018
    [jacot2018neural], "Neural tangent kernel"). How the trace depends on depth says whether deeper nets still learn at
    the same rate; E26 has the law for residual nets. "exact" takes a backward pass per output. "randomised" is
    Hutchinson's estimator, tr K = E |u^T J|² with random signs u (Hutchinson 1990 [hutchinson1990stochastic]). The
    model runs in its current mode and is left unchanged.

    Args:
        model: any module; parameters that require no gradient are left out.
        x: its input, a batch.
        method: "exact", "randomised", or "auto": exact for at most 64 outputs.
        samples: of the estimator, one backward pass each.
        rng: generator or seed of the signs.

    Returns:
        trace, with error, one standard error (0 if exact); per_output, trace over the number of outputs; by_parameter
        (parameter,), which sum to the trace.

    Raises:
        ValueError: an unknown method, samples < 2, no parameter that requires a gradient, or an output that depends on
            none.
    """
    if method not in ("auto", "exact", "randomised"):
        raise ValueError(f"tangent_kernel_trace: method must be 'auto', 'exact' or 'randomised', got {method!r}")
    if samples < 2:
        raise ValueError(f"tangent_kernel_trace: samples must be at least 2, got {samples}")
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not parameters:
        raise ValueError("tangent_kernel_trace: no parameter of the model requires a gradient")
    with context(recording=True, replaying=True):
        y = model(tr.tensor(x))
    if not y.requires_grad:
        raise ValueError(f"tangent_kernel_trace: the output, of shape {tuple(y.shape)}, depends on no parameter")
    exact = method == "exact" or (method == "auto" and y.size <= EXACT)
    rows = np.eye(y.size) if exact else rng_of(rng).choice([-1.0, 1.0], (samples, y.size))
    squares = np.array([_squares(y, list(parameters.values()), row) for row in rows])  # (rows, parameters)
    totals = squares.sum(axis=1)
    error = 0.0 if exact else totals.std(ddof=1) / np.sqrt(samples)
    by_parameter = squares.sum(axis=0) if exact else squares.mean(axis=0)
    trace = by_parameter.sum()
    arrays = {
        "trace": np.asarray(trace), "error": np.asarray(error), "per_output": np.asarray(trace / y.size),
        "by_parameter": by_parameter,
    }  # fmt: skip
    axes: dict[str, tuple[str, ...]] = {"trace": (), "error": (), "per_output": (), "by_parameter": ("parameter",)}
    cost = f"one forward and {len(rows)} backward passes"
    return Measurement("tangent kernel", arrays, axes, cost, _draw, {"parameter": list(parameters)})


def _squares(y: Tensor, parameters: list[Any], row: Array) -> list[float]:
    """|d <row, y> / d p|² of each parameter."""
    cotangent = to_device(row.reshape(y.shape).astype(y.dtype), y.device)
    found = tr.grad(y, parameters, cotangent, retain_graph=True, allow_unused=True)
    return [0.0 if g is None else size(g) ** 2 for g in found]


def _draw(figure: Any, found: Measurement) -> None:
    axes = figure.subplots()
    parts, names = found["by_parameter"], found.labels["parameter"]
    axes.barh(np.arange(len(parts)), parts, color=palette.CASES[0])
    axes.set_yticks(np.arange(len(parts)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="sum over outputs of |gradient|²", title=f"Tangent kernel: trace {float(found['trace']):.3g}")


__all__ = ["tangent_kernel_trace"]
