"""E15: clipped weights make a deep critic's gradient explode or vanish; a gradient penalty does neither.

Gulrajani et al. 2017 [gulrajani2017improved], "Improved training of Wasserstein GANs", section 3 and figure 1b.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import tinyres as tr
from tinyres import nn, optim
from tinyres.autograd.tensor import Array
from tinyres.gan.losses import LOSSES
from tinyres.gan.penalties import clip_weights_, gradient_penalty
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Table, Tick
from tinyres.lab.law import half_width
from tinyres.models.classifier import he_

DEPTH, WIDTH = 12, 128  # layers with weights; n
CLIPS = (0.1, 0.01, 0.001)
PENALTY_WEIGHT = 10.0
STEPS, BATCH, SEEDS, PROBES = 150, 128, 5, 512
LR, BETAS = 1e-3, (0.0, 0.9)  # their algorithm 1 with ten times its rate, for so short a run
GULRAJANI = "Gulrajani et al. 2017, figure 1b"
SOURCE, PENALTY = f"derived; for the setting {GULRAJANI}", "gradient penalty"

NOTE = "active: share of ReLUs above 0. ± half of the 95 % interval of the mean."
METHODS: dict[str, float | None] = {**{f"clip {c:g}": c for c in CLIPS}, PENALTY: None}


def swiss_roll(n: int, rng: np.random.Generator) -> Array:
    """n points (n, 2) on a spiral of one and a half turns that ends 1.4 from the origin, blurred by 0.03."""
    angle = 1.5 * np.pi * (1 + 2 * rng.random((n, 1)))
    roll = np.concatenate([np.cos(angle), np.sin(angle)], axis=1) * angle / 10
    return (roll + 0.03 * rng.standard_normal((n, 2))).astype(np.float32)


def fakes(n: int, rng: np.random.Generator) -> Array:
    """The roll under N(0, 1), (n, 2): the paper's generator, which does not learn, so that the critic alone counts."""
    return swiss_roll(n, rng) + rng.standard_normal((n, 2)).astype(np.float32)


def critic(rng: np.random.Generator) -> nn.Sequential:
    """DEPTH linear layers with He's weights and ReLUs between them: (N, 2) to scores (N, 1)."""
    layers: list[nn.Module] = []
    for layer in range(DEPTH):
        inputs, outputs = (2 if layer == 0 else WIDTH), (1 if layer == DEPTH - 1 else WIDTH)
        linear = he_(nn.Linear(inputs, outputs, rng=rng), rng=rng)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def train(clip: float | None, rng: np.random.Generator, tick: Tick, device: str = "cpu") -> nn.Sequential:
    """A critic of the roll against its fakes, bounded by clipping its weights, or by the penalty on its slope."""
    player = critic(rng).to(device)
    optimizer = optim.Adam(player.parameters(), LR, BETAS)
    for _ in range(STEPS):
        real, fake = (tr.tensor(x).to(device) for x in (swiss_roll(BATCH, rng), fakes(BATCH, rng)))
        loss = LOSSES["wasserstein"].discriminator(player(real), player(fake))
        if clip is None:
            loss = loss + PENALTY_WEIGHT * gradient_penalty(player, real, fake, rng)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if clip is not None:
            clip_weights_(player, clip)
        tick()
    return player


@dataclass(frozen=True)
class Found:
    """What was measured in a critic: `gradient` (DEPTH - 1,) is |dL/dh_l|, L the critic's loss, h_l what ReLU l gives.

    size: root mean square of the hidden layers' weights. active: share of the ReLUs that pass something, over samples.
    """

    gradient: Array
    size: float
    active: float

    @property
    def factor(self) -> float:
        """What one layer multiplies the gradient's norm by on its way down, the geometric mean over layers."""
        return float((self.gradient[0] / self.gradient[-1]) ** (1 / (len(self.gradient) - 1)))


def clipped_factor(c: float, n: int, active: float = 0.5) -> tuple[float, float]:
    """(c sqrt(pn), c pn): the factor of a layer of n ReLUs, a share p of them active, all of whose weights are +-c.

    On its way down a unit of the layer below receives pn terms +-c g: with random signs a sum of size c sqrt(pn) g, and
    c pn g if all agree.
    """
    return c * math.sqrt(active * n), c * active * n


def measure(player: nn.Sequential, rng: np.random.Generator) -> Found:
    """In float64: what vanishes is to be seen."""
    real, fake = swiss_roll(PROBES, rng), fakes(PROBES, rng)
    device = next(player.parameters()).device
    h: Any = tr.tensor(np.concatenate([real, fake]).astype("float64")).to(device)  # (2 PROBES, 2)
    states = []
    for layer in player.to("float64"):
        h = layer(h)
        if isinstance(layer, nn.ReLU):
            states.append(h)
    loss = LOSSES["wasserstein"].discriminator(h[:PROBES], h[PROBES:])
    norms = [np.linalg.norm(g.numpy()) for g in tr.grad(loss, states)]
    weights = [p.numpy() for p in player.parameters() if p.shape == (WIDTH, WIDTH)]
    active = float(np.mean([s.numpy() > 0 for s in states]))
    return Found(np.array(norms), float(np.sqrt(np.mean(np.square(weights)))), active)


def run(options: Options, tick: Tick) -> Result:
    """Four critics from the same weights, for each seed."""
    found: dict[str, list[Found]] = {name: [] for name in METHODS}
    with threadpool_limits(1, user_api="blas"):  # products too small to share
        for seed in range(SEEDS):
            for name, clip in METHODS.items():
                rng = np.random.default_rng((options.seed, seed))
                found[name].append(measure(train(clip, rng, tick, options.device), rng))
    rows = []
    for name, clip in METHODS.items():
        factors = np.array([f.factor for f in found[name]])
        limits = "" if clip is None else "{:.3g} to {:.3g}".format(*clipped_factor(clip, WIDTH))
        active = np.mean([f.active for f in found[name]])
        rows.append([name, f"{factors.mean():.3g} ± {half_width(factors):.1g}", limits, f"{active:.2f}"])
    columns = ["critic", "factor per layer", "c sqrt(n/2) to c n/2", "active"]
    return Result(
        laws(found),
        [Table("What a layer multiplies the gradient's norm by", columns, rows, NOTE)],
        figures={"": lambda figure: draw(figure, found)},
        data={
            "gradient": {name: [f.gradient.tolist() for f in seeds] for name, seeds in found.items()},
            "factor": {name: [f.factor for f in seeds] for name, seeds in found.items()},
        },
        note=f"{DEPTH} layers of width n = {WIDTH}, {STEPS} steps, {SEEDS} seeds; the fakes stand still. The law "
        "counts the ReLUs that are active, pn. Under small limits the lower layers see next to no gradient: they keep "
        "the random signs they began with. A verdict is on the worst seed, or on all of the 95 % interval of the mean.",
        found=_found(found),
    )


def _found(found: dict[str, list[Found]]) -> str:
    factors = {name: np.array([f.factor for f in seeds]) for name, seeds in found.items()}
    each = ", ".join(f"{x.mean():.2g} ± {half_width(x):.1g} with {name}" for name, x in factors.items())
    ends = ", ".join(f"{x.mean() ** (DEPTH - 2):.1g}" for x in factors.values())
    return f"On the way down each layer multiplies the gradient by {each}, and {DEPTH - 2} layers by {ends}."


def laws(found: dict[str, list[Found]]) -> list[Law]:
    """Random signs under small limits, nearly aligned ones under a large one, and the penalty nearest to a factor 1."""
    rows = []
    for c in CLIPS:
        seeds = found[f"clip {c:g}"]
        walk, aligned = np.transpose([clipped_factor(1, WIDTH, f.active) for f in seeds])  # (SEEDS,)
        factors, sizes = np.array([f.factor for f in seeds]), np.array([f.size for f in seeds])
        name = f"clip {c:g}: factor per layer"
        if c == max(CLIPS):
            rows.append(
                Law(f"{name} over c sqrt(pn), least seed", min(factors / c / walk), 1.0, 0.0, "ordering", SOURCE)
            )
        else:
            ratios = factors / sizes / walk
            room = 0.1 - half_width(ratios)  # so that all of the 95 % interval lies within 10 %
            what = f"{name} over w sqrt(pn), w the weights' RMS"
            rows.append(Law(what, float(ratios.mean()), 1.0, room, "asymptotic", SOURCE))
        rows.append(Law(f"{name}: c pn over it, least seed", min(c * aligned / factors), 1.0, 0.0, "ordering", SOURCE))
    bent = {name: np.array([abs(math.log(f.factor)) for f in seeds]) for name, seeds in found.items()}  # (SEEDS,)
    least = np.min([values for name, values in bent.items() if name != PENALTY], axis=0) - bent[PENALTY]
    name = "|log factor|: best clipped critic's less the penalised one's"
    rows.append(Law.of_mean(name, least, 0.0, GULRAJANI, kind="ordering", noise=half_width))
    return rows


def draw(figure: Any, found: dict[str, list[Found]]) -> None:
    """Gradient norm against layer, every seed; between the two lines of a colour is where clipping should put it."""
    axes = figure.subplots()
    layers = np.arange(1, DEPTH)
    for i, (name, seeds) in enumerate(found.items()):
        curves = np.array([f.gradient / f.gradient[-1] for f in seeds])
        axes.semilogy(layers, curves.T, "o-", color=f"C{i}", ms=4, lw=1)
        clip = METHODS[name]
        text = f"{name}: × {np.mean([f.factor for f in seeds]):.2g} per layer"
        axes.text(0.8, curves[:, 0].mean(), text, color=f"C{i}", ha="right", va="center", fontsize=10)
        if clip is not None:
            low, high = (q ** (layers[-1] - layers) for q in clipped_factor(clip, WIDTH))
            axes.fill_between(layers, low, high, color=f"C{i}", alpha=0.12, lw=0)
    axes.set(xlabel="layer (the input is on the left)", xlim=(-2.6, DEPTH - 0.8), xticks=layers)
    axes.set(ylabel="|gradient w.r.t. the layer's output|, last ReLU = 1")
    axes.set_title(
        f"The gradient of a clipped critic of {DEPTH} layers explodes or vanishes; with the penalty it does neither\n"
        f"(lines: {SEEDS} seeds; bands: c sqrt(n/2) to c n/2 per layer, n = {WIDTH})",
        fontsize=11,
    )


EXPERIMENT = Experiment(
    name="E15",
    claim="clipped weights make a deep critic's gradient explode or vanish; the gradient penalty keeps it level",
    prediction="a layer's factor: c sqrt(pn) where the signs are random, at most c pn where they agree, pn of n ReLUs "
    "active, about n/2; the penalty's factor is nearest to 1",
    source=SOURCE,
    ticks=lambda options: SEEDS * len(METHODS) * STEPS,
    run=run,
    seconds=33,
    devices=BOTH,
    question="Does a deep critic's gradient survive when its weights are clipped, or when its slope is penalised?",
    equation=r"c \sqrt{p n} \le q \le c p n",
    varies=f"weights and samples of {SEEDS} critics of each kind",
    conditions=f"ReLU critics of {DEPTH} layers of width {WIDTH}, after {STEPS} steps; q is what a layer multiplies "
    "the gradient's norm by, n its width, c the limit of the weights, p the share of active ReLUs. Under small limits "
    "the signs are random and q is at the lower end; aligned signs lead to the upper.",
    choices=(
        "p, the share of active ReLUs, and w, the weights' RMS, are measured in the same nets on which the law is "
        "tested. Both were introduced afterwards: with n/2 for pn the lower bound had been 8 % too large under a "
        "small limit, where p is about 0.46, and the upper one too small under 0.1, where p is above 0.6.",
        "The rate is ten times the paper's, since the run is short.",
    ),
)
