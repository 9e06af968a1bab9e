"""E1 on digits: freeze a generator, train a fresh discriminator, and measure the gradient that each loss sends back.

Arjovsky & Bottou 2017 [arjovsky2017towards], "Towards principled methods for training generative adversarial networks",
figures 2 and 3 (there with a DCGAN, after 1, 10 and 25 epochs: five orders of magnitude in 4,000 steps of the
discriminator).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import tinyres as tr
from tinyres import nn
from tinyres.autograd.tensor import Array
from tinyres.data import Dataset
from tinyres.figures import palette
from tinyres.gan.data import real_data
from tinyres.gan.losses import LOSSES
from tinyres.gan.prepare import prepare
from tinyres.gan.recipe import GANRecipe
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Table, Tick, shown
from tinyres.lab.law import half_width

EPOCHS = (1, 10, 25)  # of G's training, after which it is frozen
SEEDS, SAMPLES = 5, 256
AT_ONCE = 10  # steps of the fresh D between two of a generator that does not move
CHECKPOINTS = (10, 30, 100, 300, *range(800, 1201, 50))
LAST = 9  # checkpoints: D unlearns a few fakes for some steps, and these rule the mean; the end is their geometric mean
FACTOR = 10.0  # what the saturating gradient falls by, at least, more than the non-saturating one
NAMES = {"saturating": "saturating", "nonsaturating": "non-saturating", "wasserstein": "D as a critic"}
ARJOVSKY = "Arjovsky & Bottou 2017, figure 2"

RECIPE = GANRecipe.of("nonsaturating", "digits", arch="mlp", norm="none", width=128, lr_g=5e-4, lr_d=5e-4, ema=0.0)

ROUNDED = "share of fakes with log(1 - sigmoid(D)) = 0 in float32"

Curves = dict[str, list[float]]  # loss: |gradient by G's weights| at each checkpoint; and ROUNDED


def frozen(
    dataset: Dataset, seed: int, epochs: tuple[int, ...], tick: Tick, device: str = "cpu"
) -> Iterator[nn.Module]:
    """The generator of one run after each number of epochs."""
    trainer = prepare(replace(RECIPE, seed=seed), dataset, device=device)
    trainer.total = max(epochs) * len(trainer.loader)
    for record in trainer.steps():
        done, rest = divmod(record.step + 1, len(trainer.loader))
        if not rest:
            tick()
            if done in epochs:
                yield copy.deepcopy(trainer.generator)


def retrain(generator: nn.Module, dataset: Dataset, seed: int, tick: Tick) -> Curves:
    """|gradient with respect to G's weights| of each loss while a fresh discriminator learns against a frozen G."""
    steps, device = max(CHECKPOINTS) // AT_ONCE, next(generator.parameters()).device
    trainer = prepare(replace(RECIPE, seed=seed, d_steps=AT_ONCE, steps=steps, lr_g=0.0), dataset, device=device)
    trainer.generator.load_state_dict(generator.state_dict())
    noise = trainer.fixed_noise(SAMPLES)
    found: Curves = {name: [] for name in (*NAMES, ROUNDED)}
    for record in trainer.steps():
        if (record.step + 1) * AT_ONCE in CHECKPOINTS:
            for name, value in measure(trainer.generator, trainer.discriminator, noise).items():
                found[name].append(value)
            tick()
    return found


def measure(generator: nn.Module, discriminator: nn.Module, noise: Array) -> dict[str, float]:
    """|gradient w.r.t. G's weights| of each loss, in float64; and for how many fakes float32 rounds D to 0."""
    device = next(generator.parameters()).device
    with tr.no_grad():
        rounded = 1 - tr.sigmoid(discriminator(generator(tr.tensor(noise).to(device)))).numpy() == 1
    g, d = (copy.deepcopy(player).to("float64") for player in (generator, discriminator))
    parameters = list(g.parameters())
    logits = d(g(tr.tensor(noise.astype("float64")).to(device)))
    found = {ROUNDED: float(np.mean(rounded))}
    for name in NAMES:
        parts = tr.grad(LOSSES[name].generator(logits), parameters, retain_graph=True)
        found[name] = float(np.linalg.norm(np.concatenate([part.numpy().ravel() for part in parts])))
    return found


def run(options: Options, tick: Tick) -> Result:
    """SEEDS runs of G, each frozen three times, a fresh D for each."""
    found: dict[int, list[Curves]] = {epochs: [] for epochs in EPOCHS}
    with threadpool_limits(1, user_api="blas"):  # products too small to share
        for seed in range(options.seed, options.seed + SEEDS):
            dataset = real_data("digits", seed)
            for epochs, generator in zip(EPOCHS, frozen(dataset, seed, EPOCHS, tick, options.device), strict=True):
                # not the seed of the first discriminator, or the fresh one would begin where that began
                found[epochs].append(retrain(generator, dataset, 1000 + seed, tick))
    rows = []
    for epochs, seeds in found.items():
        for name in NAMES:
            reached = ends(seeds, name)  # (SEEDS, 2)
            first, last = (f"{10**x:.2g}" for x in reached.mean(axis=0))
            orders = " ".join(f"{x:+.2f}" for x in np.diff(reached)[:, 0])
            rows.append([epochs, NAMES[name], first, last, orders])
    columns = [
        "epochs of G",
        "loss",
        f"after {CHECKPOINTS[0]} D steps",
        f"after {CHECKPOINTS[-LAST]} to {CHECKPOINTS[-1]}",
        "orders, each seed",
    ]
    return Result(
        laws(found),
        [Table("|gradient with respect to G's weights| while D learns", columns, rows, "Geometric means over seeds.")],
        figures={"": lambda figure: draw(figure, found)},
        found=_found(found),
        data={"d_steps": list(CHECKPOINTS), "gradient": {str(epochs): seeds for epochs, seeds in found.items()}},
        note=f"Digits, fully connected players of width {RECIPE.width}; G trained with the non-saturating loss, then "
        f"frozen; gradients over {SAMPLES} fakes in float64; {SEEDS} seeds. Tolerance: half of the 95 % interval of "
        "the mean over seeds (t). The same D serves all three losses; as a critic it is not Lipschitz, so its gradient "
        "is its own growing slope. The paper's five orders are those of a DCGAN on larger images.",
    )


def _found(found: dict[int, list[Curves]]) -> str:
    said = []
    for epochs, seeds in found.items():
        falls = {name: -np.diff(ends(seeds, name))[:, 0] for name in ("saturating", "nonsaturating")}
        more = falls["saturating"] - falls["nonsaturating"]
        said.append(f"{more.mean():.1f} ± {half_width(more):.1f} (G of {epochs} epoch{'s' * (epochs > 1)})")
    return (
        f"While a fresh discriminator learns, the saturating gradient falls by {', '.join(said)} orders of magnitude "
        f"more than the non-saturating one: means of {SEEDS} seeds with their 95 % interval."
    )


def ends(seeds: list[Curves], name: str) -> Array:
    """log10 |gradient| at the first checkpoint, and the mean of the last ones: (SEEDS, 2)."""
    values = np.log10([c[name] for c in seeds])  # (SEEDS, checkpoints)
    return np.stack([values[:, 0], values[:, -LAST:].mean(axis=1)], axis=1)


def laws(found: dict[int, list[Curves]]) -> list[Law]:
    """The saturating gradient falls by FACTOR more than the non-saturating, wherever G was frozen."""
    rows = []
    for epochs, seeds in found.items():
        falls = {name: -np.diff(ends(seeds, name))[:, 0] for name in NAMES}  # (SEEDS,) orders of magnitude
        more = falls["saturating"] - falls["nonsaturating"]
        name = f"G of {epochs} epochs: orders that the saturating gradient falls more than the non-saturating"
        rows.append(Law.of_mean(name, more, np.log10(FACTOR), ARJOVSKY, kind="ordering", noise=half_width))
        name = f"G of {epochs} epochs: orders that the saturating gradient falls"
        rows.append(shown(name, float(falls["saturating"].mean()), ARJOVSKY))
        name = f"G of {epochs} epochs, at the end: {ROUNDED}"
        rows.append(shown(name, float(np.mean([c[ROUNDED][-1] for c in seeds]))))
    return rows


COLOURS = {loss: palette.LOSSES[loss] for loss in NAMES}


def draw(figure: Any, found: dict[int, list[Curves]]) -> None:
    """log |gradient| against D's steps, a panel for each G, every seed a line."""
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axes, (epochs, seeds) in zip(panels, found.items(), strict=True):
        for name, text in NAMES.items():
            curves = np.array([c[name] for c in seeds])  # (SEEDS, checkpoints)
            style = {"color": COLOURS[name], "ls": "--" if name == "wasserstein" else "-"}
            axes.loglog(
                CHECKPOINTS, curves.T, marker="o", ms=4, lw=1, label=[text, *[None] * (len(seeds) - 1)], **style
            )
        axes.set(xlabel="steps of a fresh D, G frozen", title=f"G after {epochs} epoch{'s' * (epochs > 1)}")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("|gradient with respect to G's weights|")
    panels[0].legend(fontsize=9)
    figure.suptitle("What an improving discriminator leaves for the generator: digits, one line per seed")


EXPERIMENT = Experiment(
    name="E1-digits",
    claim="as a discriminator learns against a frozen generator, only the saturating loss's gradient vanishes",
    prediction=f"the saturating gradient falls by a factor of at least {FACTOR:g} more than the non-saturating one",
    source=ARJOVSKY,
    ticks=lambda options: SEEDS * (max(EPOCHS) + len(EPOCHS) * len(CHECKPOINTS)),
    run=run,
    seconds=70,
    devices=BOTH,
    question="On real images, what gradient does each loss give a generator while its discriminator improves?",
    equation=r"\Delta \log_{10} |\nabla L_{sat}| - \Delta \log_{10} |\nabla L_{non}| < -1",
    varies=f"the digits' order, weights and noise of {SEEDS} trainings",
    conditions=f"8x8 digits, fully connected players of width {RECIPE.width}, {max(CHECKPOINTS):,} steps of D. The "
    "paper's five orders are those of a DCGAN on larger images.",
    choices=(
        f"The factor {FACTOR:g} and the {SEEDS} seeds were fixed after a stricter choice had failed.",
        f"The end is the geometric mean of the last {LAST} checkpoints, since single ones turned out to depend on "
        "a few fakes that D forgets for some steps.",
    ),
)
