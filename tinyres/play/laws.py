"""What theory says about a net of the playground at its initial weights: closed forms of `flow.theory`, by block.

All of them are for wide nets. A law is a relative norm for each block's output: of the gradient, 1 at the last block;
of the signal, 1 at the first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinyres.flow.theory import dense, finite_width, gates, mean_field, normalised
from tinyres.flow.theory.activations import ACTIVATIONS, Activation

Squares = list[float]


@dataclass(frozen=True)
class Law:
    """name, the formula in a sentence, its source; relative norms of gradient and signal by block, or None.

    scatter: most nets have their gradient at the first block within this factor of the law; None if unknown.
    """

    name: str
    formula: str
    source: str
    gradient: list[float] | None
    signal: list[float] | None
    scatter: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As the page reads it."""
        return {
            "name": self.name, "formula": self.formula, "source": self.source,
            "gradient": self.gradient, "signal": self.signal, "scatter": self.scatter,
        }  # fmt: skip


def law(setting: dict[str, Any], q: float) -> Law | None:
    """The law of a fully connected net; None if there is no closed form for this setting.

    Args:
        setting: the knobs.
        q: mean square of the inputs, over samples and features.
    """
    if setting["family"] != "mlp":
        return None
    kind, norm = setting["architecture"], setting["norm"]
    phi, s_w2, s_b2 = ACTIVATIONS[setting["activation"]], setting["s_w2"], setting["s_b2"]
    blocks = setting["depth"]
    q = s_w2 * q + s_b2  # of the first layer, before its activation
    if norm == "batch" and setting["activation"] == "relu":
        return _batch_norm(setting, q)
    if norm != "none" and kind != "highway":
        return None
    if kind == "plain":
        scatter = _scatter(setting["width"], blocks - 1) if setting["activation"] == "relu" else None
        return replace(_plain(phi, s_w2, s_b2, q, blocks), scatter=scatter)
    if kind in ("residual", "preact", "skipinit"):
        skipped = 1.0 if kind == "skipinit" else setting["skip"]
        return _blocks(setting, phi, q, skipped, setting["alpha" if kind == "skipinit" else "branch"])
    if kind == "highway":
        gate = gates.sigmoid(setting["gate_bias"])
        return _blocks(setting, phi, q, 1 - gate, gate)
    he = setting["activation"] == "relu" and math.isclose(s_w2, 2.0)
    if kind == "densenet" and he and s_b2 == 0:
        features = setting["width"] + setting["growth"] * np.arange(1, blocks + 1)
        growth = dense.concatenating(setting["width"], setting["growth"], blocks)[1:]
        squares = (growth[-1] / growth) * features  # per feature times features
        return Law(
            "Concatenation",
            "at block l of L the squared gradient per feature is (k₀ + k L)/(k₀ + k l) times that at the last, for "
            "k₀ features at first and k more in each block; over all features it stays",
            "Huang et al. 2017; derived", _norms(squares / squares[-1]), None,
        )  # fmt: skip
    return None


def _plain(phi: Activation, s_w2: float, s_b2: float, q: float, blocks: int) -> Law:
    variances = mean_field.variances(q, blocks, phi.value, s_w2, s_b2)  # of the first layer, then of each block
    chis = [mean_field.chi(v, phi.slope, s_w2) for v in variances[1:]]
    signal = [_second(phi, v) for v in variances[1:]]
    last = chis[-1]
    return Law(
        "χ per layer",
        f"each layer multiplies the squared gradient by χ = s_w² E[φ'(√q z)²]; at the last layer χ = {last:.4g}",
        "Poole et al. 2016; Schoenholz et al. 2017", _towards_input(chis[1:]), _norms(_relative(signal)),
    )  # fmt: skip


def _scatter(width: int, layers: int) -> float:
    """Factor on the norm that reaches one standard deviation of its logarithm, from the mean square that the law gives.

    It is that of one sample's gradient; the norm over a batch scatters less.
    """
    shift, variance = finite_width.leading(width, layers)  # of the logarithm of the squared norm
    return math.exp((abs(shift) + math.sqrt(variance)) / 2)


def _blocks(setting: dict[str, Any], phi: Activation, q: float, m: float, a: float) -> Law:
    """Blocks m h + a F(h), F of mean 0 and independent of h; a closed gate, m = 1 - T and a = T, is one of them."""
    kind, s_w2, s_b2, blocks = setting["architecture"], setting["s_w2"], setting["s_b2"], setting["depth"]

    late = kind in ("residual", "highway")  # the first layer has its activation
    q = _second(phi, q) if late else q
    gains, squares = [], []
    for _ in range(blocks):
        if late:  # W2 phi(W1 h)
            inside = s_w2 * q + s_b2
            out, gain = _second(phi, inside), mean_field.chi(inside, phi.slope, s_w2)
        else:  # W phi(h), and for SkipInit twice that
            out, gain = s_w2 * _second(phi, q) + s_b2, mean_field.chi(q, phi.slope, s_w2)
            if kind == "skipinit":
                out, gain = s_w2 * _second(phi, out) + s_b2, gain * mean_field.chi(out, phi.slope, s_w2)
        q = m * m * q + a * a * out
        gains.append(m * m + a * a * gain)
        squares.append(q)
    parts = ("(1 − T)²", "T²") if kind == "highway" else ("skip²", "α²" if kind == "skipinit" else "branch²")
    unit = math.isclose(gains[-1], m * m + a * a, rel_tol=1e-3)
    factor = f"({parts[0]} + {parts[1]}{'' if unit else ' · χ_F'})"
    alone = "" if unit else ", where χ_F is the factor of the branch alone"
    name, source = "1 + a² per block", "He et al. 2016; Hanin & Rolnick 2018"
    if kind == "highway":
        name, source = "Highway gates", "Srivastava et al. 2015; the gain is derived"
    text = f"each block multiplies the squared gradient by {factor}{alone}; at the last block that is {gains[-1]:.4g}"
    return Law(name, text, source, _towards_input(gains[1:]), _norms(_relative(squares)))


def _batch_norm(setting: dict[str, Any], q: float) -> Law | None:
    kind, blocks, batch = setting["architecture"], setting["depth"], setting["batch"]
    if kind == "plain":
        gain = normalised.plain_gain() * (1 - 2 / batch)
        return Law(
            "Batch norm's explosion",
            f"each layer multiplies the squared gradient by (π/(π − 1)) · (1 − 2/batch) = {gain:.4g}",
            "Yang et al. 2019", _towards_input([gain] * (blocks - 1)), None,
        )  # fmt: skip
    if kind == "preact" and math.isclose(setting["s_w2"], 2.0) and setting["s_b2"] == 0:
        inside = np.zeros(blocks)  # where both scales are 0, nothing comes back
        if setting["skip"] or setting["branch"]:
            gains = normalised.block_gains(blocks, setting["skip"], setting["branch"] / math.sqrt(q), batch=batch)
            inside = gains[1:] / gains[:-1]
        return Law(
            "Batch norm tames the branch",
            "each block multiplies the squared gradient by (skip² + branch² (1 − 2/batch)/q), where q is the variance "
            "of the signal that comes into the block",
            "De & Smith 2020; Yang et al. 2019", _towards_input(list(inside[1:])), None,
        )  # fmt: skip
    return None


def _second(phi: Activation, v: float) -> float:
    """E phi(sqrt(v) z)²."""
    return mean_field.gaussian_mean(lambda z: phi.value(np.sqrt(v) * z) ** 2)


def _towards_input(gains: Any) -> list[float]:
    """From the factors of the squared gradient across blocks 2 ... L: its norm at blocks 1 ... L, 1 at the last."""
    return _norms(np.concatenate([np.cumprod(np.asarray(gains, float)[::-1])[::-1], [1.0]]))


def _relative(squares: Squares) -> Any:
    return np.asarray(squares) / squares[0]


def _norms(squares: Any) -> list[float]:
    return [float(value) for value in np.sqrt(squares)]
