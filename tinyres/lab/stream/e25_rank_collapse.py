"""E25, rank collapse: attention alone makes all tokens alike, a skip connection keeps them apart.

Dong et al. 2021 [dong2021attention], "Attention is not all you need"; Noci et al. 2022 [noci2022signal].
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.arrays import to_device
from tinyres.flow.theory import attention as theory
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Setting, Tick
from tinyres.lab.law import three_errors
from tinyres.lab.stream.e25_figure import draw
from tinyres.ops.standardize import rms_norm

TOKENS, WIDTH, NETS, DEPTH = 32, 128, 24, 16
APART = (0.1, 0.01, 0.001, 0.0001)  # e
LENGTHS = (32, 96)
ALONE = 4  # layers without skip connections, before rounding is all that is left
DONG, NOCI, DERIVED = "Dong et al. 2021", "Noci et al. 2022", "derived; Noci et al. 2022"


def attention(x: Any, matrices: Any, s: float = 1.0) -> Any:
    """softmax(s Q K^T / sqrt(d)) V of one head, for tokens x (T, d)."""
    wq, wk, wv = matrices
    x = rms_norm(x, x.shape[-1:])
    logits = (x @ wq) @ (x @ wk).transpose(1, 0) * (s / x.shape[-1] ** 0.5)
    return tr.softmax(logits, dim=-1) @ (x @ wv)


def apart(x: Any) -> float:
    """e = 1 - mean correlation of two tokens, each scaled to RMS 1; from distances, so that a small e is exact."""
    x = np.asarray(x)
    x = x / np.sqrt((x**2).mean(axis=1, keepdims=True))
    tokens = len(x)
    return float(((x - x.mean(axis=0)) ** 2).sum(axis=0).mean() / (tokens - 1))


def tokens(rng: np.random.Generator, count: int, width: int, e: float) -> Any:
    """sqrt(1 - e) u + sqrt(e) z_i: unit variance and correlation 1 - e."""
    return np.sqrt(1 - e) * rng.standard_normal((1, width)) + np.sqrt(e) * rng.standard_normal((count, width))


def weights(rng: np.random.Generator, width: int) -> Any:
    """W_Q, W_K and W_V, N(0, 1/d): logits of variance s², values of unit gain."""
    return rng.standard_normal((3, width, width)) / np.sqrt(width)


def one_layer(seed: tuple[int, ...], count: int, width: int, s: float, device: str) -> Any:
    """For each e of APART: e before, after attention, after x + attention; |dL/dW_Q|² and |dL/dW_V|²."""
    found = []
    for e in APART:
        rng = np.random.default_rng(seed)  # the same u, z, weights and cotangent at each e
        x, matrices, g = tokens(rng, count, width, e), weights(rng, width), rng.standard_normal((count, width))
        x, g = (to_device(part, device) for part in (x, g))
        leaves = [tr.tensor(to_device(w, device), requires_grad=True) for w in matrices]
        y = attention(tr.tensor(x), leaves, s)
        dq, _, dv = tr.grad(y, leaves, g)
        both = y.numpy() + tr.tensor(x).numpy()
        found.append([apart(tr.tensor(x).numpy()), apart(y.numpy()), apart(both), _square(dq), _square(dv)])
    return np.array(found)


def _square(gradient: Any) -> float:
    return float((gradient.data**2).sum())


def deep(seed: tuple[int, ...], count: int, width: int, depth: int, s: float, device: str, skip: bool = True) -> Any:
    """(variance, covariance of two tokens, e) after 0 ... depth layers: (depth + 1, 3). Tokens begin independent."""
    rng = np.random.default_rng(seed)
    x = tr.tensor(to_device(rng.standard_normal((count, width)), device))
    found = []
    with tr.no_grad():
        for layer in range(depth + 1):
            h = x.numpy()
            variance = float((h**2).mean())
            both = float((h.sum(axis=0) ** 2).mean() - count * variance) / (count * (count - 1))
            found.append([variance, both, apart(h)])
            if layer < depth:
                y = attention(x, to_device(weights(rng, width), device), s)
                x = x + y if skip else y
    return np.array(found)


def run(options: Options, tick: Tick) -> Result:
    """One layer at four distances of the tokens, and sixteen layers with and without skip connections."""
    given = {"T": TOKENS, "d": WIDTH, "s": 1.0, "depth": DEPTH, "nets": NETS} | dict(options.settings)
    s, depth, width, device = given["s"], given["depth"], given["d"], options.device
    lengths = (given["T"],) if options.settings else LENGTHS
    single, alone = [], []
    stacked: dict[int, list[Any]] = {count: [] for count in lengths}
    for net in range(given["nets"]):
        single.append(one_layer((options.seed, net), given["T"], width, s, device))
        for count in lengths:
            stacked[count].append(deep((options.seed, net, count), count, width, depth, s, device))
        alone.append(deep((options.seed, net, lengths[0]), lengths[0], width, min(depth, ALONE), s, device, skip=False))
        tick()
    one = np.array(single)  # (nets, len(APART), 5)
    curves = {count: np.array(found) for count, found in stacked.items()}  # (nets, depth + 1, 3)
    laws = [*power_laws(one), *(law for count, found in curves.items() for law in depth_laws(count, s, found))]
    last = np.exp(np.log(np.array(alone)[:, -1, 2]).mean())
    return Result(
        laws,
        figures={"": partial(draw, one=one, curves=curves, alone=np.array(alone), s=s)},
        data={f"T={count}": found.mean(axis=0).tolist() for count, found in curves.items()},
        note="e = 1 - mean correlation of two tokens of the same sequence.",
        found=f"Through attention alone e becomes e^{laws[0].measured:.3f}, with a skip connection "
        f"e^{laws[2].measured:.3f}; the squared gradient of W_Q falls as e^{laws[3].measured:.3f}, while W_V keeps its "
        f"own. {alone[0].shape[0] - 1} layers without skip connections leave e = {last:.0e}, {depth} with them "
        f"{curves[lengths[0]][:, -1, 2].mean():.2f}.",
    )


def power_laws(one: Any) -> list[Law]:
    """Exponents between neighbouring small e, and what W_V keeps."""
    logs = np.log(one)
    steps = np.diff(logs, axis=1)  # (nets, 3, 5)
    powers = steps / steps[:, :, :1]
    laws = []
    for k in range(1, len(APART) - 1):
        name = f"attention alone: power of e, {APART[k]:g} to {APART[k + 1]:g}"
        laws.append(Law.of_mean(name, powers[:, k, 1], theory.POWER, DONG, room=0.03 * theory.POWER))
    for column, words, power, source in (
        (2, "with a skip", theory.POWER_WITH_SKIP, DERIVED),
        (3, "|dL/dW_Q|²", theory.QUERY_POWER, NOCI),
    ):
        name = f"{words}: power of e, {APART[-2]:g} to {APART[-1]:g}"
        laws.append(Law.of_mean(name, powers[:, -1, column], power, source, room=0.03 * power))
    kept = np.exp(logs[:, -1, 4] - logs[:, 1, 4])
    name = f"|dL/dW_V|²: e = {APART[-1]:g} over e = {APART[1]:g}"
    laws.append(Law.of_mean(name, kept, 1.0, NOCI, room=0.1))
    return laws


def depth_laws(count: int, s: float, found: Any) -> list[Law]:
    """Variance and covariance of the stream after all layers with skip connections."""
    depth = found.shape[1] - 1
    predicted = theory.with_skips(depth, count, s)[-1]
    laws = []
    for k, word in enumerate(("variance", "covariance")):
        name = f"{depth} layers with skips, T={count}: {word} of the tokens"
        noise = max(0.1 * predicted[k], three_errors(found[:, -1, k]))
        laws.append(Law(name, float(found[:, -1, k].mean()), float(predicted[k]), noise, "asymptotic", DERIVED))
    return laws


SETTINGS = {
    "T": Setting(TOKENS, "tokens", low=8, high=256),
    "d": Setting(WIDTH, "width of a token", low=32, high=512),
    "s": Setting(1.0, "standard deviation of the logits", low=0.1, high=1.5),
    "depth": Setting(DEPTH, "layers", low=1, high=48),
    "nets": Setting(NETS, "random nets", low=4, high=100),
}


EXPERIMENT = Experiment(
    name="E25",
    question="What does attention do to the tokens of a sequence if nothing else is there?",
    claim="attention alone makes all tokens alike, faster than exponentially; a skip connection keeps them apart",
    prediction="e → e³ per layer, e → e with a skip; |dL/dW_Q|² ~ e²; q += p + (1-p) exp(s²(1-p))/T, c alike",
    equation=r"e' \propto e^3, \quad e'_{\text{skip}} \propto e, \quad "
    r"\left|\frac{\partial \mathcal{L}}{\partial W_Q}\right|^2 \propto e^2, \quad "
    r"q' = q + p + \frac{1 - p}{T} e^{s^2 (1 - p)}",
    source="Dong et al. 2021; Noci et al. 2022; map derived",
    ticks=lambda options: int(options.settings.get("nets", NETS)),
    run=run,
    seconds=2,
    starred=True,
    devices=BOTH,
    varies="tokens, weights and cotangents",
    conditions="At initialisation, one head, softmax over all tokens, RMS norm before attention, W_Q, W_K and W_V of "
    "variance 1/d. The powers hold as e goes to 0. The map of variance and covariance (within 10 %) holds with skip "
    "connections; without them the second layer's tokens are no longer independent Gaussians, and it fails by a factor "
    "of 1.4 to 2.3.",
    settings=SETTINGS,
)
