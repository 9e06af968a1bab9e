"""Sharpness: the largest eigenvalue of a loss's Hessian, by Lanczos iteration on Hessian-vector products."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.arrays import to_device
from tinyres.arrays.random import rng_of
from tinyres.autograd.tensor import Array, Tensor
from tinyres.context import context
from tinyres.figures import palette, whole
from tinyres.flow.measurement import Measurement


def sharpness(
    loss: Callable[[], Tensor],
    parameters: Iterable[Tensor] | nn.Module,
    *,
    k: int = 1,
    iterations: int = 100,
    tolerance: float = 1e-4,
    rng: np.random.Generator | int = 0,
) -> Measurement:
    """The k largest eigenvalues of the Hessian of a loss, and the smallest, by Lanczos iteration.

        H = d² loss / d w d w,    H v = d <d loss / d w, v> / d w    (Pearlmutter 1994 [pearlmutter1994fast])

    Gradient descent with step h is stable in a quadratic valley while the largest eigenvalue, the sharpness, is below
    2/h; full-batch training drives it there (Cohen et al. 2021 [cohen2021gradient]). Lanczos' iteration (Lanczos 1950
    [lanczos1950iteration]) builds an orthonormal basis of v, H v, H² v, ... in which H is tridiagonal; its extreme
    eigenvalues converge first. The basis is orthogonalised in full at each step, and takes as many copies of the
    parameters as there are steps.

        flow.sharpness(lambda: cross_entropy(model(x), y), model.parameters())

    Args:
        loss: computes the loss of the parameters as they are; it is called once, and running statistics are left alone.
        parameters: what to differentiate with respect to, or a model, for all of its own; they are taken as one long
            vector.
        k: how many of the largest eigenvalues to find.
        iterations: at most so many Hessian-vector products.
        tolerance: stop when the k largest are within this share of the largest in absolute value.
        rng: generator or seed of the first vector.

    Returns:
        sharpness, the largest eigenvalue; eigenvalues (k,), in descending order; error (k,), a bound on the distance of
        each to a true eigenvalue; smallest, the lowest Ritz value, which may not have converged: negative if the loss
        curves downwards somewhere; iterations, the products that it took; loss.

    Raises:
        ValueError: no parameters, k or iterations below 1, a loss with more than one element, or one that does not
            depend on the parameters.
        FloatingPointError: the loss or a product is not finite.
    """
    leaves = list(parameters.parameters() if isinstance(parameters, nn.Module) else parameters)
    if not leaves:
        raise ValueError("sharpness: parameters is empty; pass model.parameters(), or a list of tensors")
    if k < 1 or iterations < 1:
        raise ValueError(f"sharpness: needs k >= 1 and iterations >= 1, got k={k} and iterations={iterations}")
    value, product = _product(loss, leaves)
    size = sum(leaf.size for leaf in leaves)
    if k > size:
        raise ValueError(f"sharpness: there are {size} parameters, so at most {size} eigenvalues; got k={k}")
    values, errors, steps = _lanczos(product, size, k, min(iterations, size), tolerance, rng_of(rng))
    found = {
        "sharpness": values[0], "eigenvalues": values[:k], "error": errors[:k], "smallest": values[-1],
        "iterations": steps, "loss": value,
    }  # fmt: skip
    arrays = {name: np.asarray(entry, "float64") for name, entry in found.items()}
    axes: dict[str, tuple[str, ...]] = {name: ("value",) * array.ndim for name, array in arrays.items()}
    cost = f"one forward and {1 + 2 * steps} backward passes (a Hessian-vector product costs about two)"
    return Measurement("sharpness", arrays, axes, cost, _draw)


def _product(loss: Callable[[], Tensor], leaves: list[Tensor]) -> tuple[float, Callable[[Array], Array]]:
    """The loss, and v -> H v on long vectors in float64: the graph of the gradient is built once and kept."""
    with context(recording=True, replaying=True):
        y = loss()
        if not isinstance(y, Tensor) or y.size != 1:
            shape = tuple(getattr(y, "shape", ()))
            raise ValueError(f"sharpness: the loss must have one element, got shape {shape}; average it")
        first = tr.grad(y, leaves, create_graph=True, allow_unused=True) if y.requires_grad else [None] * len(leaves)
    if all(g is None for g in first):
        raise ValueError("sharpness: the loss does not depend on the parameters; compute it from them inside loss()")
    if not np.isfinite(value := y.item()):
        raise FloatingPointError(f"sharpness: the loss is {value}, and has no curvature")
    used = [(g, leaf) for g, leaf in zip(first, leaves, strict=True) if g is not None and g.requires_grad]
    ends = np.cumsum([0, *(leaf.size for leaf in leaves)])

    def product(v: Array) -> Array:
        if not used:  # the loss is linear in all parameters
            return np.zeros_like(v)
        parts = {id(leaf): v[a:b].reshape(leaf.shape) for leaf, a, b in zip(leaves, ends, ends[1:], strict=False)}
        cotangents = [to_device(parts[id(leaf)].astype(leaf.dtype), leaf.device) for _, leaf in used]
        columns = tr.grad([g for g, _ in used], leaves, cotangents, retain_graph=True, allow_unused=True)
        rows = [
            np.zeros(leaf.size) if column is None else to_device(column.data, "cpu").reshape(-1).astype("float64")
            for column, leaf in zip(columns, leaves, strict=True)
        ]
        return np.concatenate(rows)

    return value, product


def _lanczos(
    product: Callable[[Array], Array], size: int, k: int, most: int, tolerance: float, rng: np.random.Generator
) -> tuple[Array, Array, int]:
    """All Ritz values in descending order, a bound on the error of each, and the number of products."""
    v = rng.standard_normal(size)
    basis: list[Array] = [v / np.linalg.norm(v)]
    diagonal: list[float] = []
    beside: list[float] = []
    while True:
        w = product(basis[-1])
        if not np.isfinite(w).all():
            raise FloatingPointError(
                "sharpness: a Hessian-vector product is not finite; is the loss close to overflow?"
            )
        diagonal.append(float(basis[-1] @ w))
        rows = np.array(basis)
        for _ in range(2):  # twice is enough
            w = w - rows.T @ (rows @ w)
        rest = float(np.linalg.norm(w))
        tridiagonal = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
        values, vectors = np.linalg.eigh(tridiagonal)
        values, errors = values[::-1], rest * np.abs(vectors[-1, ::-1])
        scale = float(np.abs(values).max())
        closed = rest <= 1e-12 * scale  # the basis spans all that H can reach from here
        enough = len(values) >= k and bool((errors[:k] <= tolerance * scale).all())
        if len(diagonal) == most or (len(values) >= k and (closed or enough)):
            return values, errors, len(diagonal)
        if closed:  # fewer directions than k: go on with one at a right angle to them
            w, rest = _orthogonal(rows, rng), 0.0
            basis.append(w)
        else:
            basis.append(w / rest)
        beside.append(rest)


def _orthogonal(rows: Array, rng: np.random.Generator) -> Array:
    w = rng.standard_normal(rows.shape[1])
    for _ in range(2):
        w = w - rows.T @ (rows @ w)
    return w / np.linalg.norm(w)


def _draw(figure: Any, found: Measurement) -> None:
    axes = figure.subplots()
    values = found["eigenvalues"]
    place = np.arange(1, len(values) + 1)
    axes.errorbar(place, values, yerr=found["error"], fmt="o", color=palette.CASES[0], label="largest eigenvalues")
    axes.axhline(float(found["smallest"]), color=palette.CASES[1], lw=1, label="lowest Ritz value")
    axes.axhline(0, color=palette.FAINT, lw=1)
    whole(axes.xaxis)
    steps = int(found["iterations"])
    axes.set(xlabel="rank, from the largest", ylabel="eigenvalue", title=f"Hessian, after {steps} products with it")
    axes.legend()


__all__ = ["sharpness"]
