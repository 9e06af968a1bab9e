"""E10: gradients through time: an RNN multiplies them by the same matrix at every step, an LSTM's cell by a gate.

Hochreiter & Schmidhuber 1997 [hochreiter1997long], "Long short-term memory"; Gers et al. 2000 [gers2000learning],
"Learning to forget"; Pascanu et al. 2013 [pascanu2013difficulty], "On the difficulty of training recurrent neural
networks".

Only the rates of linear nets are laws: a cotangent needs time to align with the largest eigenvalues. That no gradient
exceeds the bound, that one reaches it, and the gradient along an LSTM's cell are theorems and identities: they check
`nn.RNNCell` and `nn.LSTMCell`, as do the gradients by hand.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.flow.theory import recurrent
from tinyres.lab.experiment import Experiment, Law, Options, Result, Tick
from tinyres.lab.laws.e10_figure import draw

HIDDEN, STEPS, BATCH = 32, 200, 16
RADII = (0.9, 0.98, 1.0, 1.03)
BOUNDED = [("tanh", 1.0), ("tanh", 1.5), ("sigmoid", 3.8), ("sigmoid", 8.0)]  # nonlinearity, largest singular value
FORGET, MEMORY = (0.0, 1.0, 2.0, 5.0), 100
PASCANU, LSTM = "Pascanu et al. 2013", "Hochreiter & Schmidhuber 1997; Gers et al. 2000"
BY_HAND = "derived: the chain rule by hand"


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


def by_hand(seed: int) -> list[Law]:
    """One step of each cell with all its weights and biases, against its gradients by hand; relative errors."""
    rng, size = np.random.default_rng((seed, 2)), (BATCH, HIDDEN)
    arrays = rng.standard_normal((3, *size))
    x, h, c = (tr.tensor(array, requires_grad=True) for array in arrays)
    g_h, g_c = rng.standard_normal((2, *size))
    rnn, lstm = nn.RNNCell(HIDDEN, HIDDEN, rng=rng).to("float64"), nn.LSTMCell(HIDDEN, HIDDEN, rng=rng).to("float64")
    pairs = {
        "RNN": (tr.grad(rnn(x, h), [x, h], g_h), recurrent.rnn_gradients(arrays[0], arrays[1], g_h, *_parts(rnn))),
        "LSTM": (
            tr.grad(list(lstm(x, (h, c))), [x, h, c], [g_h, g_c]),
            recurrent.lstm_gradients(arrays[0], arrays[1], arrays[2], g_h, g_c, *_parts(lstm)),
        ),
    }
    return [
        Law(
            f"{name}, a step with random weights: gradient less the one by hand",
            _error(found, expected),
            0.0,
            1e-12,
            "check",
            BY_HAND,
        )
        for name, (found, expected) in pairs.items()
    ]


def _parts(cell: Any) -> Any:
    """Both matrices, and the sum of both biases."""
    return cell.weight_ih.numpy(), cell.weight_hh.numpy(), cell.bias_ih.numpy() + cell.bias_hh.numpy()


def _error(found: Any, expected: Any) -> float:
    return max(float(np.linalg.norm(f.numpy() - e) / np.linalg.norm(e)) for f, e in zip(found, expected, strict=True))


def linear_law(radius: float, found: Any) -> Law:
    """The rate of the second half: by then the largest eigenvalues have the rest of the gradient behind them."""
    half = STEPS // 2
    rate = float((found[-1] / found[half]) ** (1 / (STEPS - half)))
    name = f"linear, spectral radius {radius:g}: rate per step"
    return Law(name, rate, radius, 0.02 * radius, "asymptotic", PASCANU)


def run(options: Options, tick: Tick) -> Result:
    """Linear nets against their spectral radius, tanh and sigmoid below their bound, the LSTM's cell exactly."""
    laws, curves = [], {}
    for radius in RADII:
        rng = np.random.default_rng((options.seed, 0))
        found = np.exp(np.log(norms(cell_with(normal_matrix(radius, rng), "linear", rng), rng)).mean(axis=1))
        curves[radius] = found
        laws.append(linear_law(radius, found))
        tick()
    bounded, margins = {}, []
    for nonlinearity, largest in BOUNDED:
        rng = np.random.default_rng((options.seed, 1))
        w = rng.standard_normal((HIDDEN, HIDDEN))  # not normal: its singular values are not its eigenvalues' moduli
        cell = cell_with(w * (largest / np.linalg.norm(w, 2)), nonlinearity, rng)
        found = norms(cell, rng).max(axis=1)
        bounded[nonlinearity, largest] = found
        steps = np.arange(STEPS + 1)
        bound = recurrent.norm_bound(largest, nonlinearity, 1) ** steps
        margins.append(float(np.log(bound[1:] / found[1:]).min()))
        name = f"{nonlinearity}, s_max={largest:g}: ln(gradient / bound) where it is exceeded, {STEPS} steps"
        laws.append(Law(name, max(0.0, -margins[-1]), 0.0, 1e-12, "check", PASCANU))
        name = f"{nonlinearity}, s_max={largest:g}: one step from rest, divided by its bound, worst cotangent"
        laws.append(Law(name, attained(cell, nonlinearity, largest), 1.0, 1e-12, "check", PASCANU))
        tick()
    paths = {bias: cell_path(bias) for bias in FORGET}
    for bias, path in paths.items():
        predicted = recurrent.cell_path(bias, MEMORY)
        name = f"LSTM, b_f={bias:g}: dc_T/dc_0 at T={MEMORY}"
        laws.append(Law(name, float(path[-1]), predicted, 1e-10 * predicted, "check", LSTM))
        name, life = f"LSTM, b_f={bias:g}: half-life in steps", _half_life(path)
        laws.append(Law(name, life, recurrent.half_life(bias), 1e-10 * life, "check", LSTM))
        tick()
    laws += by_hand(options.seed)
    note = (
        "Rates of the gradient's norm (not of its square). Bound: (γ s_max)ᵀ with γ = 1 (tanh), 1/4 (sigmoid), s_max "
        "the largest singular value of the recurrent matrix, for the worst of 16 cotangents at every T to 200."
    )
    low, high = curves[RADII[1]][-1], curves[RADII[-1]][-1]
    found_words = (
        f"In {STEPS} steps a linear recurrent net multiplies the gradient's norm by {low:.2g} if the spectral radius "
        f"is {RADII[1]:g} and by {high:.2g} if it is {RADII[-1]:g}; gradients of tanh and sigmoid nets come no nearer "
        f"to their bound than a factor of {np.exp(min(margins)):.2f}; along an LSTM's cell its half-life in steps is "
        f"{_half_life(paths[FORGET[0]]):.3g} at forget bias {FORGET[0]:g} and "
        f"{_half_life(paths[FORGET[-1]]):.3g} at {FORGET[-1]:g}."
    )
    return Result(laws, figures={"": lambda figure: draw(figure, curves, bounded, paths)}, note=note, found=found_words)


def _half_life(path: Any) -> float:
    return float(np.log(0.5) * MEMORY / np.log(path[-1]))


EXPERIMENT = Experiment(
    name="E10",
    question="What happens to a gradient on its way back through many time steps?",
    claim="through time: a recurrent matrix sets a rate per step, a forget gate sets a half-life",
    prediction="spectral radiusᵀ (normal matrix, linear); at most (γ s_max)ᵀ; σ(b_f)ᵀ along the LSTM's cell",
    equation=r"|g_{t-1}| \to \rho(W)\, |g_t|, \qquad |g_0| \le \left( \gamma s_{\max} \right)^T |g_T|, \qquad "
    r"\frac{\partial c_T}{\partial c_0} = \sigma(b_f)^T",
    source="Hochreiter & Schmidhuber 1997; Gers et al. 2000; Pascanu et al. 2013",
    ticks=lambda options: len(RADII) + len(BOUNDED) + len(FORGET),
    run=run,
    seconds=1,
    varies="recurrent matrices, inputs and cotangents; not the LSTM's cell path, since its weights are 0",
    conditions=f"The rate is ρ for a normal matrix (W Wᵀ = Wᵀ W), without nonlinearity, once the largest eigenvalues "
    f"dominate: between steps {STEPS // 2} and {STEPS} here, with moduli from ρ/2 to ρ. The bound holds for any "
    "matrix. The LSTM's path is the one along the cell alone; with nonzero weights there are others, through h.",
)
