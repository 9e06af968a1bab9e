"""E12: dynamical isometry: orthogonal weights keep all singular values of a linear net at 1; depth spreads all others.

Saxe et al. 2014, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks"; Pennington et
al. 2017, "Resurrecting the sigmoid in deep learning through dynamical isometry".
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres.backend import to_device
from tinyres.flow.experiments.experiment import BOTH, Experiment, Law, Options, Result, Tick
from tinyres.flow.theory import isometry
from tinyres.nn import init

WIDTH, DEPTHS, SEEDS = 128, (4, 8), 40
SOURCE = "Saxe et al. 2014; Pennington et al. 2017"
CASES = [(active, orthogonal) for active in (1.0, 0.5) for orthogonal in (False, True)]


def label(active: float, orthogonal: bool) -> str:
    return f"{'ReLU' if active < 1 else 'linear'}, {'orthogonal' if orthogonal else 'Gaussian'}"


def weights(orthogonal: bool, rng: np.random.Generator) -> list[Any]:
    """One matrix a layer of the deepest net, each with a mean squared gain of 1."""
    blank = [tr.tensor(np.zeros((WIDTH, WIDTH))) for _ in range(max(DEPTHS))]
    if orthogonal:
        return [init.orthogonal_(w, rng=rng) for w in blank]
    return [init.normal_(w, std=WIDTH**-0.5, rng=rng) for w in blank]


def jacobian(layers: list[Any], active: float, rng: np.random.Generator) -> Any:
    """d h_L / d h_0 at a random input; ReLU is scaled by sqrt(2), for half of the units are off."""
    device = layers[0].device
    x = tr.tensor(to_device(np.tile(rng.standard_normal(WIDTH), (WIDTH, 1)), device), requires_grad=True)
    h = x  # the same input in every row: one reverse pass with the identity on top gives every row of J
    for w in layers:
        h = tr.relu(h @ w) * np.sqrt(2) if active < 1 else h @ w
    return tr.grad(h, x, to_device(np.eye(WIDTH), device))[0].numpy()


def singular_values(j: Any) -> Any:
    """From the eigenvalues of J J^T, several times faster than from J; those below 1e-7 are rounding errors."""
    return np.sqrt(np.maximum(np.linalg.eigvalsh(j @ j.T), 0))


def spread(values: Any) -> float:
    """Var / mean^2 of the eigenvalues of J J^T, which are the squares of the singular values."""
    return float(np.var(values**2) / np.mean(values**2) ** 2)


def run(options: Options, tick: Tick) -> Result:
    """The geometric mean of the spread over 40 nets a setting, and all their singular values."""
    nets: dict[tuple[int, float, bool], list[Any]] = {(d, a, o): [] for d in DEPTHS for a, o in CASES}
    for seed in range(SEEDS):
        for orthogonal in (False, True):
            drawn = weights(orthogonal, np.random.default_rng((options.seed, seed)))
            layers = [w.to(options.device) for w in drawn]
            for depth, active in (
                (d, a) for d in DEPTHS for a in (1.0, 0.5)
            ):  # the shallower nets are parts of the deeper
                rng = np.random.default_rng((options.seed, seed, 1))
                nets[depth, active, orthogonal].append(singular_values(jacobian(layers[:depth], active, rng)))
        tick()
    laws = []
    for (depth, active, orthogonal), values in nets.items():
        logs = np.log([spread(v) for v in values])
        predicted = isometry.spread(depth, orthogonal=orthogonal, active=active)
        error = predicted * np.std(logs, ddof=1) / np.sqrt(SEEDS)
        tolerance = max(0.08 * predicted, 3 * error) if predicted else 1e-10
        kind = "asymptotic" if predicted else "exact"
        name = f"{label(active, orthogonal)}, {depth} layers: spread of JJᵀ"
        laws.append(Law(name, float(np.exp(logs.mean())), predicted, tolerance, kind, SOURCE))
    found = {case: np.sort(np.concatenate(values)) for case, values in nets.items()}
    note = (
        f"Spread: Var / mean² of the eigenvalues of JJᵀ, J = d output / d input: geometric mean of {SEEDS} nets of "
        f"width {WIDTH} with mean squared gain 1. A ReLU switches half of the units off: no weights undo that."
    )
    data = {
        f"{label(active, orthogonal)}, {depth}": values.tolist()
        for (depth, active, orthogonal), values in found.items()
    }
    return Result(
        laws, figures={"": lambda figure: draw(figure, found, laws)}, data={"singular_values": data}, note=note
    )


def draw(figure: Any, found: dict[tuple[int, float, bool], Any], laws: list[Law]) -> None:
    """Singular values, largest first, for each kind of net."""
    measured = dict(zip(found, laws, strict=True))
    for axes, depth in zip(figure.subplots(1, len(DEPTHS), sharey=True), DEPTHS, strict=True):
        for k, (active, orthogonal) in enumerate(CASES):
            values = found[depth, active, orthogonal][::-1]
            rank = np.arange(1, len(values) + 1) / len(values)
            law = measured[depth, active, orthogonal]
            text = f"{label(active, orthogonal)}: {law.predicted:g}, {law.measured:.2f}"
            axes.semilogy(rank, values, "-", color=f"C{k}", lw=2, label=text)
        axes.set(xlabel="share of the singular values that are larger", ylim=(1e-4, 30))
        axes.set_title(f"Singular values of the input-output Jacobian, {depth} layers")
        axes.legend(fontsize=8, loc="lower left", title="spread of JJᵀ: theory, measured", title_fontsize=8)
    figure.axes[0].set_ylabel("singular value")


EXPERIMENT = Experiment(
    name="E12",
    claim="dynamical isometry: depth spreads the singular values; orthogonal weights prevent it, if units are linear",
    prediction="Var / mean² of the eigenvalues of JJᵀ: Gaussian L, orthogonal 0; with ReLU 2L and L",
    source=SOURCE,
    ticks=lambda options: SEEDS,
    run=run,
    seconds=4,
    devices=BOTH,
)
