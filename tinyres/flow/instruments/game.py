"""The game's Jacobian at the present point of two players: whether a step draws them together, apart or in circles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.arrays import to_device
from tinyres.arrays.random import rng_of
from tinyres.autograd.tensor import Array, Tensor
from tinyres.context import context
from tinyres.figures import palette
from tinyres.flow.measurement import Measurement

DENSE = 64  # parameters up to which the whole matrix is written down
PROBES = 16  # random directions in which S and A are compared beyond

Product = Callable[[Array], Array]


def game_spectrum(
    losses: Callable[[], tuple[Tensor, Tensor]],
    generator: Iterable[Tensor],
    discriminator: Iterable[Tensor],
    *,
    k: int = 6,
    iterations: int = 200,
    tolerance: float = 1e-6,
    products: int | None = None,
    probes: int = PROBES,
    rng: np.random.Generator | int = 0,
) -> Measurement:
    """Eigenvalues of J = dv/dw, v = (-dL_G/dw_G, -dL_D/dw_D) being the direction in which both players go.

    A step of size h multiplies a small displacement along an eigenvector by 1 + h λ: both converge if every real part
    is negative and h is below -2 Re λ / |λ|² for each; imaginary parts make them circle (Mescheder et al. 2017
    [mescheder2017numerics]). J = S + A: S, symmetric, is what each player does to its own loss and what they agree on,
    and A, antisymmetric, is the rotation, a zero-sum game's alone (Balduzzi et al. 2018 [balduzzi2018mechanics]).

        flow.game_spectrum(lambda: (loss_of_g(), loss_of_d()), g.parameters(), d.parameters())

    J is never written down: a product J u is two backward passes through the graph of v, which is built once, and
    Arnoldi's iteration (SciPy's ARPACK) finds the outermost eigenvalues from such products. Up to 64 parameters all
    products are taken, and every eigenvalue is exact.

    Args:
        losses: computes both players' losses, (L_G, L_D), of the parameters as they are, without random draws that
            differ; it is called once, and running statistics are left alone.
        generator, discriminator: the parameters of each player.
        k: how many eigenvalues to look for at each end: the largest in absolute value, and the largest real parts.
        iterations, tolerance: of Arnoldi's iteration: restarts, and the relative error that ends it.
        products: if given, Arnoldi's iteration stops after so many and is not restarted: a look at a fixed price, whose
            eigenvalues are estimates (Ritz values). The outermost are the best; `residual` says how good each is.
        probes: random directions for `rotation`, two products each.
        rng: generator or seed of its first vector, and of the probes.

    Returns:
        eigenvalues (n,), complex, the largest real part first; rotation, |A|² / |J|² in Frobenius' norm: 0 where the
        players descend together, 1 where they only circle (from random directions, beyond 64 parameters); step, the
        step below which no eigenvalue that was found makes the players diverge, 0 if one does at any; field, |v|.
        While both follow it, the field changes at the rate Jv = Sv + Av: consensus is |Sv| / |v| and turning
        |Av| / |v| (NaN where the players rest). With `products` also residual (n,): |J x - λ x| for each estimate λ and
        its vector x of length 1.

    Raises:
        ValueError: a player without parameters, a parameter of both, k, products or probes below 1, or a loss with
            several elements.
        FloatingPointError: the field or a product is not finite, or the iteration has not converged.
        ImportError: SciPy is missing and there are more than 64 parameters (`pip install "tinyres[lab]"`).
    """
    mine, theirs = list(generator), list(discriminator)
    if not mine or not theirs:
        raise ValueError("game_spectrum: each player needs parameters; pass g.parameters() and d.parameters()")
    if {id(p) for p in mine} & {id(p) for p in theirs}:
        raise ValueError("game_spectrum: a parameter belongs to both players; a game is between separate ones")
    for name, number in (("k", k), ("products", products or 1), ("probes", probes)):
        if number < 1:
            raise ValueError(f"game_spectrum: {name} must be at least 1, got {number}")
    v, forward, backward = _products(losses, mine, theirs)
    rng, exact = rng_of(rng), len(v) <= DENSE
    directions = np.eye(len(v)) if exact else rng.standard_normal((probes, len(v)))
    along, across = (np.array([product(u) for u in directions]) for product in (forward, backward))
    if exact:
        values = np.linalg.eigvals(along.T)
        residuals = np.zeros(len(values))
    elif products is not None:
        values, residuals = ritz(forward, rng.standard_normal(len(v)), products)
    else:
        values = _outermost(forward, len(v), min(k, len(v) - 2), iterations, tolerance, rng)
    order = np.lexsort((-values.imag, -values.real))
    values = values[order]
    symmetric, rotating = ((along + across) ** 2).sum(), ((along - across) ** 2).sum()
    total = symmetric + rotating
    arrays = {
        "eigenvalues": values,
        "rotation": np.asarray(rotating / total if total else np.nan),
        "step": np.asarray(_largest_step(values)),
        "field": np.asarray(np.linalg.norm(v)),
    } | _change(v, forward, backward)
    if products is not None:
        arrays["residual"] = residuals[order]
    axes: dict[str, tuple[str, ...]] = {name: ("value",) * array.ndim for name, array in arrays.items()}
    cost = "both losses with a recorded gradient, then about two backward passes per product: some ten per eigenvalue"
    return Measurement("game spectrum", arrays, axes, cost, _draw)


def _products(
    losses: Callable[[], tuple[Tensor, Tensor]], mine: list[Tensor], theirs: list[Tensor]
) -> tuple[Array, Product, Product]:
    """v, u -> J u and u -> J^T u, on long vectors in float64."""
    leaves = [*mine, *theirs]
    with context(recording=True, replaying=True):
        found = losses()
        if len(found) != 2 or any(not isinstance(y, Tensor) or y.size != 1 for y in found):
            raise ValueError("game_spectrum: losses() must return two tensors of one element, (L_G, L_D)")
        field = [
            g * -1.0
            for loss, own in zip(found, (mine, theirs), strict=True)
            for g in _gradients(loss, own, create_graph=True)
        ]
        # J^T w is linear in w, so its derivative in w is J, wherever w stands.
        w = [tr.tensor(np.zeros(p.shape, p.dtype)).to(p.device).requires_grad_() for p in leaves]
        pulled = _gradients(_dot(field, w), leaves, create_graph=True)
    ends = np.cumsum([0, *(p.size for p in leaves)])

    def parts(u: Array) -> list[Any]:
        return [
            to_device(u[a:b].reshape(p.shape).astype(p.dtype), p.device)
            for p, a, b in zip(leaves, ends, ends[1:], strict=False)
        ]

    def product(outputs: list[Tensor], inputs: list[Tensor]) -> Product:
        used = [place for place, y in enumerate(outputs) if y.requires_grad]

        def apply(u: Array) -> Array:
            cotangents = parts(u)
            columns: Any = [None] * len(inputs)
            if used:
                columns = tr.grad([outputs[i] for i in used], inputs, [cotangents[i] for i in used],
                                  retain_graph=True, allow_unused=True)  # fmt: skip
            line = _line(columns, inputs)
            if not np.isfinite(line).all():
                raise FloatingPointError("game_spectrum: a product with the Jacobian is not finite")
            return line

        return apply

    v = _line(field, leaves)
    if not np.isfinite(v).all():
        raise FloatingPointError("game_spectrum: a player's gradient is not finite")
    return v, product(pulled, w), product(field, leaves)


def _gradients(loss: Tensor, parameters: list[Tensor], create_graph: bool) -> list[Tensor]:
    found: Any = [None] * len(parameters)
    if loss.requires_grad:
        found = tr.grad(loss, parameters, create_graph=create_graph, allow_unused=True)
    return [tr.zeros_like(p) if g is None else g for g, p in zip(found, parameters, strict=True)]


def _dot(a: list[Tensor], b: list[Tensor]) -> Tensor:
    total: Tensor = tr.tensor(np.zeros((), a[0].dtype)).to(a[0].device)
    for x, y in zip(a, b, strict=True):
        total = total + (x * y).sum()
    return total


def _line(parts: list[Any], like: list[Tensor]) -> Array:
    return np.concatenate([
        np.zeros(p.size) if part is None else to_device(part.data, "cpu").reshape(-1).astype("float64")
        for part, p in zip(parts, like, strict=True)
    ])  # fmt: skip


def _change(v: Array, forward: Product, backward: Product) -> dict[str, Array]:
    """|Sv| / |v| and |Av| / |v|."""
    size = np.linalg.norm(v)
    if not size:
        return {name: np.asarray(np.nan) for name in ("consensus", "turning")}
    along, across = forward(v / size), backward(v / size)
    return {
        "consensus": np.asarray(np.linalg.norm(along + across) / 2),
        "turning": np.asarray(np.linalg.norm(along - across) / 2),
    }


def ritz(product: Product, start: Array, steps: int) -> tuple[Array, Array]:
    """Estimates of eigenvalues from `steps` products, and their residuals |J x - λ x|: Arnoldi's iteration.

    It builds an orthonormal basis Q of start, J start, J² start, ..., in which J is H = Qᵀ J Q; H's eigenvalues come
    near J's outermost ones first. Saad 2011 [saad2011numerical], "Numerical methods for large eigenvalue problems".

    Args:
        product: u -> J u.
        start: the first vector, not 0.
    """
    steps = min(steps, len(start))
    basis, h, rest = [start / np.linalg.norm(start)], np.zeros((steps, steps)), 0.0
    for j in range(steps):
        w = product(basis[j])
        for _ in range(2):  # the second time takes away what rounding has left
            for i, q in enumerate(basis):
                part = q @ w
                h[i, j] += part
                w = w - part * q
        rest = float(np.linalg.norm(w))
        if j + 1 == steps or rest <= 1e-12 * np.abs(h).max():  # the space is closed: all of its values are exact
            h = h[: j + 1, : j + 1]
            break
        h[j + 1, j] = rest
        basis.append(w / rest)
    values, vectors = np.linalg.eig(h)
    return values.astype(complex), rest * np.abs(vectors[-1])


def _outermost(product: Product, size: int, k: int, iterations: int, tolerance: float, rng: Any) -> Array:
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs

    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    found: list[Array] = []
    for which in ("LM", "LR"):
        try:
            found.append(eigs(operator, k, which=which, v0=rng.standard_normal(size), maxiter=iterations,
                              tol=tolerance, return_eigenvectors=False))  # fmt: skip
        except ArpackNoConvergence as error:
            raise FloatingPointError(
                f"game_spectrum: {len(error.eigenvalues)} of {k} eigenvalues after {iterations} restarts; ask for "
                "fewer, or raise iterations or tolerance"
            ) from None
    values = np.concatenate(found)
    scale = np.abs(values).max()
    kept: list[complex] = []
    for value in values:  # both ends may have found the same
        if all(abs(value - other) > 100 * tolerance * scale for other in kept):
            kept.append(complex(value))
    return np.array(kept)


def _largest_step(values: Array) -> float:
    """min over λ of -2 Re λ / |λ|²: below it, |1 + h λ| < 1 for all."""
    sizes = np.abs(values) ** 2
    steps = -2 * values.real[sizes > 0] / sizes[sizes > 0]
    return float(max(0.0, steps.min())) if len(steps) else float("inf")


def _draw(figure: Any, found: Measurement) -> None:
    axes = figure.subplots()
    values = found["eigenvalues"]
    axes.axvline(0, color=palette.FAINT, lw=1)
    axes.axhline(0, color=palette.FAINT, lw=1)
    converging = values.real < 0
    axes.plot(values.real[converging], values.imag[converging], "o", color=palette.CASES[0], label="draws together")
    axes.plot(values.real[~converging], values.imag[~converging], "o", color=palette.BAD, label="does not")
    axes.set(xlabel="real part", ylabel="imaginary part: circling")
    axes.set_title(f"The game's eigenvalues; {float(found['rotation']):.0%} of the Jacobian is rotation")
    axes.legend(fontsize=9)


__all__ = ["game_spectrum"]
