"""Singular values of Jacobians: of a whole net, or of one block at the input that it receives there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.arrays import namespace, to_device
from tinyres.autograd.tensor import Array, Tensor
from tinyres.context import Observer, context
from tinyres.flow.instruments.blocks import modules_of
from tinyres.flow.instruments.replaced import replaced
from tinyres.flow.measurement import Measurement

EXACT = 512  # the smaller side of a Jacobian, up to which "auto" computes all of it
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
    """The singular values of J = d function(x) / dx, x and the result being taken as two long vectors.

    So x[:1] asks for one sample; a batch gives the spectra of all samples together, or, where batch norm couples them
    in training, of the coupled map. A model runs in the mode in which it is, and is left as it was.

    "exact" computes J from min(outputs, inputs) passes. "randomised" finds the largest k from a sketch of the range
    with power iterations (Halko et al. 2011 [halko2011finding], "Finding structure with randomness", algorithms 4.4 and
    5.1), in k + 10 columns. Its values never exceed the true ones in order, and a true one lies within `error` of each.
    The sum of all squares comes from Hutchinson's estimator, |J|^2 = E |u^T J|^2 with random signs u.

    Args:
        function: a module or any differentiable function of one tensor; see `of_block` for a block inside a net.
        x: tensor or array.
        method: "exact", "randomised", or "auto": exact where min(outputs, inputs) is at most 512.
        k: how many values, where randomised.
        power_iterations: each sharpens the k values at the price of 2 (k + 10) passes.
        samples: of Hutchinson's estimator, where randomised.
        rng: of sketch and signs.

    Returns:
        singular_values, falling; error, of each (0 where exact); frobenius_square, the sum of the squares of all, with
        frobenius_error, one standard error; mean_square, that sum by min(outputs, inputs).

    Raises:
        ValueError: an unknown method, k or samples below 1, or a result that does not depend on x.
        TypeError: x has no derivative, being of integers or booleans.
    """
    if method not in ("auto", "exact", "randomised"):
        raise ValueError(f"jacobian_spectrum: method must be 'auto', 'exact' or 'randomised', got {method!r}")
    if k < 1 or samples < 2:
        raise ValueError(f"jacobian_spectrum: needs k >= 1 and samples >= 2, got k={k} and samples={samples}")
    dtype = tr.tensor(x).dtype
    if not np.issubdtype(dtype, np.floating):
        raise TypeError(
            f"jacobian_spectrum: x is of {dtype}, which has no derivative; give floating-point numbers: "
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
        generator = np.random.default_rng(rng)
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


def of_block(model: nn.Module, name: str, x: Any) -> tuple[Callable[[Any], Any], Tensor]:
    """A block of a model and the input that it receives at its first call in model(x); costs one forward pass.

        flow.jacobian_spectrum(*flow.of_block(model, "blocks.3", x[:1]))

    Raises:
        ValueError: the model has no such block, does not run it, or gives it more than one argument.
    """
    modules = modules_of(model)
    if name not in modules:
        known = ", ".join(n for n in list(modules)[:9] if n)
        raise ValueError(f"of_block: no block called {name!r}; name a module of the model, such as {known}")
    block = modules[name]
    calls: list[tuple[Any, ...]] = []

    forward = block.forward

    def listening(*args: Any, **kwargs: Any) -> Any:
        calls.append((*args, *kwargs.values()))
        return forward(*args, **kwargs)

    # Somebody watches, so that nothing is fused into the block.
    with replaced({block: listening}), Observer(), context(recording=False, replaying=True):
        model(tr.tensor(x))
    if not calls or len(calls[0]) != 1:
        what = f"receives {len(calls[0])} arguments" if calls else "does not run"
        raise ValueError(f"of_block: {name!r} {what} in model(x); name a block that is a function of one tensor")
    return block, calls[0][0].detach()


class _Jacobian:
    """J as a linear operator on vectors, from one forward pass.

    u^T J is a backward pass. It is linear in u, so its own derivative, applied to v, is J v: a backward pass as well.
    Vectors come as the rows of a matrix, which goes to the device, and its result back, in one copy.
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
        """(outputs, inputs), by rows or by columns, whichever are fewer."""
        outputs, inputs = self.shape
        if outputs <= inputs:
            return self.transposed(np.eye(outputs))
        return self.times(np.eye(inputs)).T


def _largest(jacobian: _Jacobian, k: int, iterations: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """The k largest singular values, and for each how far off the nearest true one may be."""
    columns = min(k + _OVERSAMPLING, *jacobian.shape)
    basis = _orthonormal(jacobian.times(rng.standard_normal((columns, jacobian.shape[1]))))
    for _ in range(iterations):
        basis = _orthonormal(jacobian.transposed(basis))  # (columns, inputs)
        basis = _orthonormal(jacobian.times(basis))  # (columns, outputs)
    small = jacobian.transposed(basis)  # (columns, inputs): Q^T J
    if not np.isfinite(small).all():
        return np.full(k, np.nan), np.full(k, np.nan)
    left, values, right = np.linalg.svd(small, full_matrices=False)
    # J^T u = s v holds exactly, so all that (u, v) / sqrt 2 lacks of an eigenvector of the symmetric [[0, J], [J^T, 0]]
    # is J v - s u, and an eigenvalue, which is a true singular value, lies as near to s as |J v - s u| / sqrt 2.
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
        axes.errorbar(place, values, yerr=error, fmt="o", ms=4, color="tab:blue", label="largest singular values")
    else:
        axes.plot(place, values, "o", ms=4, color="tab:blue", label="singular values")
    axes.axhline(np.sqrt(found["mean_square"]), color="tab:red", lw=1, label="root mean square of all")
    if (values > 0).any():
        axes.set_yscale("log")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="number, from the largest", ylabel="singular value", title="singular values of the Jacobian")
    axes.legend()
