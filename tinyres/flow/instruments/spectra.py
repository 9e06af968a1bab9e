"""Jacobian singular values: of a whole net, or of one block at the input it receives inside the net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.arrays import namespace, to_device
from tinyres.arrays.random import rng_of
from tinyres.autograd.tensor import Array, Tensor
from tinyres.context import Observer, context
from tinyres.figures import palette, whole
from tinyres.flow.instruments.blocks import modules_of
from tinyres.flow.instruments.replaced import replaced
from tinyres.flow.measurement import Measurement

EXACT = 512  # "auto" computes the full Jacobian if its smaller side is at most this
_OVERSAMPLING = 10


def jacobian_spectrum(
    function: Callable[[Any], Any],
    x: Any,
    *,
    method: str = "auto",
    k: int = 10,
    power_iterations: int = 2,
    samples: int = 16,
    rng: np.random.Generator | int = 0,
) -> Measurement:
    """The singular values of the Jacobian J = d function(x) / dx, with x and the result flattened to vectors.

    Pass x[:1] for a single sample. A batch gives the spectra of all samples together or, if batch norm couples them
    in training mode, that of the coupled map. The model runs in its current mode and is left unchanged.

    "exact" computes J in min(outputs, inputs) passes. "randomised" finds the largest k from a sketch of the range
    with power iterations (Halko et al. 2011 [halko2011finding], "Finding structure with randomness", algorithms 4.4 and
    5.1), in k + 10 columns. Its i-th value never exceeds the true i-th value, and a true one lies within `error` of
    each. The sum of all squares comes from Hutchinson's estimator, |J|^2 = E |u^T J|^2 with random signs u.

    Args:
        function: a module or any differentiable function of one tensor; see `block_and_input` for a block inside a net.
        x: tensor or array.
        method: "exact", "randomised", or "auto": exact if min(outputs, inputs) is at most 512.
        k: how many values the randomised method finds.
        power_iterations: each sharpens the k values at the cost of 2 (k + 10) passes.
        samples: the number of samples of Hutchinson's estimator (randomised method).
        rng: generator or seed of the sketch and the signs.

    Returns:
        singular_values, in descending order; error of each (0 if exact); frobenius_square, the sum of all squared
        singular values, with frobenius_error, one standard error; mean_square, that sum over min(outputs, inputs).

    Raises:
        ValueError: an unknown method, k < 1, samples < 2, or a result that does not depend on x.
        TypeError: x holds integers or booleans, which have no derivative.
    """
    if method not in ("auto", "exact", "randomised"):
        raise ValueError(f"jacobian_spectrum: method must be 'auto', 'exact' or 'randomised', got {method!r}")
    if k < 1 or samples < 2:
        raise ValueError(f"jacobian_spectrum: needs k >= 1 and samples >= 2, got k={k} and samples={samples}")
    dtype = tr.tensor(x).dtype
    if not np.issubdtype(dtype, np.floating):
        raise TypeError(
            f"jacobian_spectrum: x is of {dtype}, which has no derivative; pass floating-point numbers: "
            'x.astype("float32")'
        )
    jacobian = _Jacobian(function, x)
    rank = min(jacobian.shape)
    if method == "exact" or (method == "auto" and rank <= EXACT):
        values = _svd(jacobian.explicit())
        found = {"singular_values": values, "error": np.zeros(rank), "frobenius_square": (values**2).sum()}
        found["frobenius_error"] = 0.0
        cost = f"one forward and {rank} backward passes"
    else:
        generator = rng_of(rng)
        k = min(k, rank)
        values, error = _largest(jacobian, k, power_iterations, generator)
        signs = generator.choice([-1.0, 1.0], (samples, jacobian.shape[0]))
        squares = np.array([row @ row for row in jacobian.transposed(signs)])
        found = {"singular_values": values, "error": error, "frobenius_square": squares.mean()}
        found["frobenius_error"] = squares.std(ddof=1) / np.sqrt(samples)
        columns = min(k + _OVERSAMPLING, rank)
        cost = f"one forward and {2 * (1 + power_iterations) * columns + k + samples} backward passes"
    found["mean_square"] = found["frobenius_square"] / max(rank, 1)
    arrays = {name: np.asarray(value, "float64") for name, value in found.items()}
    axes: dict[str, tuple[str, ...]] = {name: ("value",) * value.ndim for name, value in arrays.items()}
    return Measurement("Jacobian spectrum", arrays, axes, cost, _draw)


def block_and_input(model: nn.Module, name: str, x: Any) -> tuple[Callable[[Any], Any], Tensor]:
    """A block of a model and the input it receives at its first call in model(x); costs one forward pass.

        flow.jacobian_spectrum(*flow.block_and_input(model, "blocks.3", x[:1]))

    Raises:
        ValueError: the model has no such block, does not run it, or calls it with more than one argument.
    """
    modules = modules_of(model)
    if name not in modules:
        known = ", ".join(n for n in list(modules)[:9] if n)
        raise ValueError(f"block_and_input: the model has no block {name!r}; it has {known}")
    block = modules[name]
    calls: list[tuple[Any, ...]] = []

    forward = block.forward

    def recording(*args: Any, **kwargs: Any) -> Any:
        calls.append((*args, *kwargs.values()))
        return forward(*args, **kwargs)

    # The idle observer keeps anything from being fused into the block.
    with replaced({block: recording}), Observer(), context(recording=False, replaying=True):
        model(tr.tensor(x))
    if not calls or len(calls[0]) != 1:
        what = f"receives {len(calls[0])} arguments" if calls else "does not run"
        raise ValueError(
            f"block_and_input: {name!r} {what} in model(x); choose a block that is a function of one tensor"
        )
    return block, calls[0][0].detach()


class _Jacobian:
    """J as a linear operator on vectors, from one forward pass.

    u^T J is a backward pass. It is linear in u, so differentiating it again and applying the result to v gives J v,
    another backward pass. Vectors are the rows of a matrix, which is copied to the device in one piece, as is its
    result to the host.
    """

    def __init__(self, function: Callable[[Any], Any], x: Any) -> None:
        with context(recording=True, replaying=True):
            self._x = tr.tensor(x, requires_grad=True)
            self._y = function(self._x)
            self._u = tr.tensor(namespace(self._y.data).zeros_like(self._y.data), requires_grad=True)
            found = tr.grad(self._y, self._x, self._u, create_graph=True, allow_unused=True) if self._y.node else [None]
        if found[0] is None:
            raise ValueError(f"jacobian_spectrum: the result, of shape {self._y.shape}, does not depend on x")
        self._back = found[0]
        self.shape = self._y.size, self._x.size

    def transposed(self, us: Array) -> Array:
        """u^T J of each row: (k, outputs) -> (k, inputs)."""
        return _each(self._y, self._x, us)

    def times(self, vs: Array) -> Array:
        """J v of each row: (k, inputs) -> (k, outputs)."""
        if self._back.node is None:  # J is 0 wherever it is defined
            return np.zeros((len(vs), self.shape[0]))
        return _each(self._back, self._u, vs)

    def explicit(self) -> Array:
        """J as an array (outputs, inputs), computed by rows or by columns, whichever are fewer."""
        outputs, inputs = self.shape
        if outputs <= inputs:
            return self.transposed(np.eye(outputs))
        return self.times(np.eye(inputs)).T


def _largest(jacobian: _Jacobian, k: int, iterations: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """The k largest singular values, and for each an upper bound on the distance to the nearest true one."""
    columns = min(k + _OVERSAMPLING, *jacobian.shape)
    basis = _orthonormal(jacobian.times(rng.standard_normal((columns, jacobian.shape[1]))))
    for _ in range(iterations):
        basis = _orthonormal(jacobian.transposed(basis))  # (columns, inputs)
        basis = _orthonormal(jacobian.times(basis))  # (columns, outputs)
    small = jacobian.transposed(basis)  # (columns, inputs): Q^T J
    if not np.isfinite(small).all():
        return np.full(k, np.nan), np.full(k, np.nan)
    left, values, right = np.linalg.svd(small, full_matrices=False)
    # J^T u = s v holds exactly, so the residual of (u, v) / sqrt 2 as an eigenvector of the symmetric
    # [[0, J], [J^T, 0]] is J v - s u, and an eigenvalue, which is a true singular value, lies within
    # |J v - s u| / sqrt 2 of s.
    missing = jacobian.times(right[:k]) - values[:k, None] * (left.T[:k] @ basis)  # (k, outputs)
    return values[:k], np.linalg.norm(missing, axis=1) / np.sqrt(2)


def _orthonormal(rows: Array) -> Array:
    return np.linalg.qr(rows.T)[0].T if np.isfinite(rows).all() else rows


def _svd(matrix: Array) -> Array:
    if not np.isfinite(matrix).all():
        return np.full(min(matrix.shape), np.nan)
    return np.linalg.svd(matrix, compute_uv=False)


def _each(output: Tensor, input: Tensor, rows: Array) -> Array:
    """The gradient of <row, output> for each row: (k, outputs) -> (k, inputs), float64 on the host."""
    if not len(rows):
        return np.zeros((0, input.size))
    cotangents = to_device(rows.astype(output.dtype), output.device)
    found = [tr.grad(output, input, row.reshape(output.shape), retain_graph=True)[0].data for row in cotangents]
    return to_device(namespace(*found).stack([g.reshape(-1) for g in found]), "cpu").astype("float64")


def _draw(figure: Any, found: Measurement) -> None:
    axes = figure.subplots()
    values, error = found["singular_values"], found["error"]
    place = np.arange(1, len(values) + 1)
    if error.any():
        axes.errorbar(place, values, yerr=error, fmt="o", ms=4, color=palette.CASES[0], label="largest singular values")
    else:
        axes.plot(place, values, "o", ms=4, color=palette.CASES[0], label="singular values")
    axes.axhline(np.sqrt(found["mean_square"]), color=palette.CASES[1], lw=1, label="root mean square of all")
    if (values > 0).any():
        axes.set_yscale("log")
    whole(axes.xaxis)
    axes.set(xlabel="rank, from the largest", ylabel="singular value", title="singular values of the Jacobian")
    axes.legend()
