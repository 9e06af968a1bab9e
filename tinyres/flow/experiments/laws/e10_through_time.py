"""E10: through time a gradient is multiplied by the same matrix again and again; an LSTM's cell by a gate instead.

Hochreiter & Schmidhuber 1997, "Long short-term memory"; Pascanu et al. 2013, "On the difficulty of training recurrent
neural networks".
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.flow.experiments.experiment import Experiment, Law, Options, Result, Tick
from tinyres.flow.theory import recurrent

HIDDEN, STEPS, BATCH = 32, 200, 16
RADII = (0.9, 0.98, 1.0, 1.03)
BOUNDED = [("tanh", 1.0), ("tanh", 1.5), ("sigmoid", 3.8), ("sigmoid", 8.0)]  # nonlinearity, largest singular value
FORGET, MEMORY = (0.0, 1.0, 2.0, 5.0), 100
PASCANU, LSTM = "Pascanu et al. 2013", "Hochreiter & Schmidhuber 1997; Gers et al. 2000"


class SigmoidCell(nn.RNNCell):
    """h' = sigmoid(W_ih x + b_ih + W_hh h + b_hh): the classic, which PyTorch leaves out."""

    def forward(self, x: Any, h: Any = None) -> Any:
        linear = nn.RNNCell.forward(self, x, h)
        return tr.sigmoid(linear)


def normal_matrix(radius: float, rng: np.random.Generator) -> Any:
    """Q D Q^T with rotations of 16 planes, scaled by moduli from radius / 2 to radius: W W^T = W^T W."""
    q = np.linalg.qr(rng.standard_normal((HIDDEN, HIDDEN)))[0]
    d = np.zeros((HIDDEN, HIDDEN))
    for k, modulus in enumerate(np.linspace(radius / 2, radius, HIDDEN // 2)):
        angle = rng.uniform(0, 2 * np.pi)
        c, s = modulus * np.cos(angle), modulus * np.sin(angle)
        d[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = [[c, -s], [s, c]]
    return q @ d @ q.T


def cell_with(recurrent_weight: Any, nonlinearity: str, rng: np.random.Generator) -> nn.RNNCell:
    """A cell in float64 with this matrix between hidden states."""
    make = SigmoidCell if nonlinearity == "sigmoid" else nn.RNNCell
    name = "linear" if nonlinearity == "sigmoid" else nonlinearity
    cell = make(HIDDEN, HIDDEN, nonlinearity=name, rng=rng).to("float64")
    cell.weight_hh.data = recurrent_weight
    return cell


def norms(cell: nn.RNNCell, rng: np.random.Generator, steps: int = STEPS) -> Any:
    """|dL/dh_{T-t}| / |dL/dh_T| for t = 0 ... T and each sample: (T + 1, N), on random inputs."""
    h = tr.tensor(rng.standard_normal((BATCH, HIDDEN)), requires_grad=True)
    states = [h]
    for _ in range(steps):
        states.append(cell(tr.tensor(rng.standard_normal((BATCH, HIDDEN))), states[-1]))
    gradients = tr.grad(states[-1], states, rng.standard_normal((BATCH, HIDDEN)))
    found = np.array([np.linalg.norm(g.numpy(), axis=1) for g in gradients[::-1]])
    return found / found[0]


def attained(cell: nn.RNNCell, nonlinearity: str, largest: float) -> float:
    """The gradient's norm over its bound after one step from rest, where phi is steepest, for the worst cotangent."""
    for name, bias in cell.named_parameters():
        if name.startswith("bias"):
            nn.init.zeros_(bias)
    h = tr.tensor(np.zeros((1, HIDDEN)), requires_grad=True)
    worst = np.linalg.svd(cell.weight_hh.data)[0][:, :1].T  # (1, HIDDEN): the first left singular vector
    (g,) = tr.grad(cell(tr.tensor(np.zeros((1, HIDDEN))), h), h, worst)
    return float(np.linalg.norm(g.numpy()) / recurrent.norm_bound(largest, nonlinearity, 1))


def cell_path(forget_bias: float) -> Any:
    """dc_T / dc_{T-t} for t = 0 ... T of an LSTM whose weights are zero, on random inputs: (T + 1,)."""
    lstm = nn.LSTMCell(1, 1, forget_bias=forget_bias, rng=0).to("float64")
    for weight in (lstm.weight_ih, lstm.weight_hh):
        nn.init.zeros_(weight)
    rng = np.random.default_rng(0)
    h = tr.tensor(np.zeros((1, 1)))
    cells = [tr.tensor(rng.standard_normal((1, 1)), requires_grad=True)]
    for _ in range(MEMORY):
        h, c = lstm(tr.tensor(rng.standard_normal((1, 1))), (h, cells[-1]))
        cells.append(c)
    return np.array([g.item() for g in tr.grad(cells[-1], cells, np.ones((1, 1)))[::-1]])


def run(options: Options, tick: Tick) -> Result:
    """Linear nets against their spectral radius, tanh and sigmoid below their bound, the LSTM's cell exactly."""
    laws, curves = [], {}
    half = STEPS // 2  # by then the largest eigenvalues have the rest of the gradient behind them
    for radius in RADII:
        rng = np.random.default_rng((options.seed, 0))
        found = np.exp(np.log(norms(cell_with(normal_matrix(radius, rng), "linear", rng), rng)).mean(axis=1))
        curves[radius] = found
        rate = float((found[-1] / found[half]) ** (1 / (STEPS - half)))
        laws.append(
            Law(f"linear, spectral radius {radius:g}: rate a step", rate, radius, 0.02 * radius, "asymptotic", PASCANU)
        )
        tick()
    bounded = {}
    for nonlinearity, largest in BOUNDED:
        rng = np.random.default_rng((options.seed, 1))
        w = rng.standard_normal((HIDDEN, HIDDEN))  # not normal: its singular values are not its eigenvalues' moduli
        cell = cell_with(w * (largest / np.linalg.norm(w, 2)), nonlinearity, rng)
        found = norms(cell, rng).max(axis=1)
        bounded[nonlinearity, largest] = found
        steps = np.arange(STEPS + 1)
        bound = recurrent.norm_bound(largest, nonlinearity, 1) ** steps
        margin = float(np.log(bound[1:] / found[1:]).min())
        name = f"{nonlinearity}, s_max={largest:g}: least of ln(bound / gradient) over {STEPS} steps"
        laws.append(Law(name, margin, 0.0, 0.0, "ordering", PASCANU))
        name = f"{nonlinearity}, s_max={largest:g}: one step from rest over its bound, worst cotangent"
        laws.append(Law(name, attained(cell, nonlinearity, largest), 1.0, 1e-12, "exact", PASCANU))
        tick()
    paths = {bias: cell_path(bias) for bias in FORGET}
    for bias, path in paths.items():
        predicted = recurrent.cell_path(bias, MEMORY)
        name = f"LSTM, b_f={bias:g}: dc_T/dc_0 at T={MEMORY}"
        laws.append(Law(name, float(path[-1]), predicted, 1e-10 * predicted, "exact", LSTM))
        life = float(np.log(0.5) * MEMORY / np.log(path[-1]))
        name = f"LSTM, b_f={bias:g}: half-life in steps"
        laws.append(Law(name, life, recurrent.half_life(bias), 1e-10 * life, "exact", LSTM))
        tick()
    note = (
        "Rates of the gradient's norm (not of its square). Bound: (γ s_max)ᵀ with γ = 1 (tanh), 1/4 (sigmoid), s_max "
        "the largest singular value of the recurrent matrix: the worst of 16 cotangents stays below for every T to 200."
    )
    return Result(laws, figures={"": lambda figure: draw(figure, curves, bounded, paths)}, note=note)


def draw(figure: Any, curves: Any, bounded: Any, paths: Any) -> None:
    """Gradient norm against steps back in time: linear nets, nonlinear ones with their bounds, the LSTM's cell."""
    linear, nonlinear, lstm = figure.subplots(1, 3)
    steps = np.arange(STEPS + 1)
    for k, (radius, found) in enumerate(curves.items()):
        half = STEPS // 2  # the tail: its rate is the radius, its constant depends on the cotangent
        shift = found[half] / radius**half
        linear.semilogy(steps, shift * radius**steps, "-", color=f"C{k}", lw=1)
        linear.semilogy(steps[::20], found[::20], "o", color=f"C{k}", ms=4, label=f"ρ = {radius:g}")
    linear.set(xlabel="steps back in time", ylabel="gradient norm", title="Linear RNN: lines ρᵀ")
    for k, ((nonlinearity, largest), found) in enumerate(bounded.items()):
        bound = recurrent.norm_bound(largest, nonlinearity, 1) ** steps
        nonlinear.semilogy(steps[:41], bound[:41], "-", color=f"C{k}", lw=1)
        nonlinear.semilogy(
            steps[:41:4], found[:41:4], "o", color=f"C{k}", ms=4, label=f"{nonlinearity}, s_max = {largest:g}"
        )
    nonlinear.set(xlabel="steps back in time", title="Nonlinear RNN: lines are bounds", ylim=(1e-24, 1e13))
    for k, (bias, path) in enumerate(paths.items()):
        steps = np.arange(MEMORY + 1)
        lstm.semilogy(steps, recurrent.cell_path(bias, 1) ** steps, "-", color=f"C{k}", lw=1)
        label = f"b_f = {bias:g}: halves in {recurrent.half_life(bias):.3g}"
        lstm.semilogy(steps[::10], path[::10], "o", color=f"C{k}", ms=4, label=label)
    lstm.set(xlabel="steps back in time", title="LSTM cell: lines σ(b_f)ᵀ")
    for axes in (linear, nonlinear, lstm):
        axes.legend(fontsize=8, loc="lower left")


EXPERIMENT = Experiment(
    name="E10",
    claim="through time: a recurrent matrix is a rate a step, a forget gate is a half-life",
    prediction="spectral radiusᵀ (normal matrix, linear); at most (γ s_max)ᵀ; σ(b_f)ᵀ along the LSTM's cell",
    source="Hochreiter & Schmidhuber 1997; Pascanu et al. 2013",
    ticks=lambda options: len(RADII) + len(BOUNDED) + len(FORGET),
    run=run,
    seconds=1,
)
