"""The probe: the gradient that one and the same discriminator gives a generator, for every loss.

The generator is frozen, the discriminator learns to tell its samples from real ones, and after 1, 10, 100, ... steps
the gradient that each loss would give the generator is measured: its norm, and its direction against the others'. What
stands in the log of a GAN, D's loss and D's outputs, then says what the generator can learn from it
(Arjovsky & Bottou 2017 [arjovsky2017towards], "Towards principled methods for training generative
adversarial networks", figures 2 and 3).
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn, optim
from tinyres.autograd.tensor import Array
from tinyres.data import DataLoader, Dataset, gaussian_mixture
from tinyres.figures import palette
from tinyres.gan.losses import LOSSES, OF_FAKES
from tinyres.nn import Parameter

REFERENCE = "nonsaturating"  # whose direction the others are compared with


@dataclass(frozen=True)
class ProbePoint:
    """What was found after `step` steps of the discriminator.

    Attributes:
        d_loss: the cross-entropy that D minimises, in nats; log 4 where it knows nothing.
        d_real, d_fake: mean of sigmoid(D) over real and generated samples.
        logit_fake: mean of D over generated samples.
        norms: |dL/d(parameters of G)| for each loss L that a generator may minimise.
        cosines: (a, b) -> cosine of the angle between the gradients of two losses; NaN where one has no length.
    """

    step: int
    d_loss: float
    d_real: float
    d_fake: float
    logit_fake: float
    norms: dict[str, float]
    cosines: dict[tuple[str, str], float]

    @property
    def confidence(self) -> float:
        """D's mean probability of the right answer: 1/2 where it knows nothing, 1 where it is sure."""
        return (self.d_real + 1 - self.d_fake) / 2

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "step": self.step, "d_loss": self.d_loss, "d_real": self.d_real, "d_fake": self.d_fake,
            "logit_fake": self.logit_fake, "confidence": self.confidence, "gradient_norm": self.norms,
            "cosine": {f"{a}, {b}": value for (a, b), value in self.cosines.items()},
        }  # fmt: skip


def probe(
    generator: nn.Module,
    discriminator: nn.Module,
    dataset: Dataset,
    *,
    latent: int,
    steps: Sequence[int] = (0, 1, 3, 10, 30, 100, 300, 1000),
    samples: int = 512,
    batch_size: int = 64,
    lr: float = 2e-4,
    beta1: float = 0.5,
    seed: int = 0,
    tick: Callable[[int], object] = lambda step: None,
) -> list[ProbePoint]:
    """Train D against a frozen G with the cross-entropy, and measure every loss of `OF_FAKES` at the same D.

    Both are copied first, in float64: a saturated gradient of 1e-60 is a finding, not an underflow. Batch norm sees
    batches, as it does in training. The samples that gradients are measured on are the same at each point. All runs
    where the generator is, on numbers drawn on the CPU.

    Args:
        steps: of D, after which to measure; 0 is before any.
        samples: real and generated ones, that gradients are measured on.
        lr, beta1: of D's Adam.
        tick: called after each step.

    Raises:
        ValueError: there is no step to measure after, or a negative one.
    """
    if not steps or min(steps) < 0:
        raise ValueError(f"probe: needs numbers of steps of at least 0, got {list(steps)}")
    device = next(generator.parameters()).device
    generator, discriminator = (copy.deepcopy(m).to("float64").to(device).train() for m in (generator, discriminator))
    optimizer = optim.Adam(discriminator.parameters(), lr, (beta1, 0.999))
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))  # seed alone orders the batches
    real = dataset.inputs[rng.permutation(len(dataset))[:samples]].astype("float64")
    noise = tr.tensor(rng.standard_normal((samples, latent))).to(device)
    loader = DataLoader(dataset, min(batch_size, len(dataset)), shuffle=True, seed=seed, drop_last=True)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    found = []
    for step in range(max(steps) + 1):
        if step in steps:
            found.append(_measure(step, generator, discriminator, tr.tensor(real).to(device), noise))
        if step == max(steps):
            return found
        x, _ = next(batches)
        with tr.no_grad():
            fake = generator(tr.tensor(rng.standard_normal((x.shape[0], latent))).to(device))
        on_real = discriminator(x.astype("float64").to(device))
        loss = LOSSES[REFERENCE].discriminator(on_real, discriminator(fake))
        for parameter, gradient in zip(optimizer.params, tr.grad(loss, optimizer.params), strict=True):
            parameter.grad = gradient
        optimizer.step()
        tick(step + 1)
    return found


def _measure(step: int, generator: nn.Module, discriminator: nn.Module, real: Any, noise: Any) -> ProbePoint:
    with tr.no_grad():
        on_real = discriminator(real)  # (N, 1)
    on_fake, parameters = discriminator(generator(noise)), list(generator.parameters())
    gradients = {}
    for name, loss in OF_FAKES.items():
        found = tr.grad(loss.generator(on_fake), parameters, retain_graph=True)
        gradients[name] = tr.concatenate([g.reshape(-1) for g in found]).numpy()  # from a GPU in one copy
    norms = {name: float(np.linalg.norm(g)) for name, g in gradients.items()}
    logits = on_fake.detach()
    return ProbePoint(
        step,
        LOSSES[REFERENCE].discriminator(on_real, logits).item(),
        tr.sigmoid(on_real).mean().item(),
        tr.sigmoid(logits).mean().item(),
        logits.mean().item(),
        norms,
        {(a, b): _cosine(gradients[a], gradients[b]) for a, b in itertools.combinations(OF_FAKES, 2)},
    )


def _cosine(a: Array, b: Array) -> float:
    lengths = [float(np.linalg.norm(v)) for v in (a, b)]
    return float((a / lengths[0]) @ (b / lengths[1])) if all(lengths) else math.nan


class Shift(nn.Module):
    """G(z) = z + theta: a Gaussian that can only move."""

    def __init__(self, theta: Sequence[float]) -> None:
        self.theta = Parameter(np.array(theta, np.float32))

    def forward(self, z: Any) -> Any:
        """Noise (N, d) to samples (N, d)."""
        return z + self.theta


def gaussians(distance: float = 4.0, seed: int = 0) -> tuple[nn.Module, Dataset]:
    """A generator of N((distance, 0), I), and real samples of N(0, I): the two of law E1, in the plane.

    With A(d) the mean over generated samples of the best discriminator's output, the gradients at that discriminator
    are d A(d) for the saturating loss, at most d/2 exp(-d²/8), and d (1 - A(d)) for the non-saturating one; and d for
    the mean of its logits, which hinge and Wasserstein take.
    """
    return Shift((distance, 0.0)), gaussian_mixture(50_000, [[0.0, 0.0]], 1.0, seed, name="gaussians")


def draw(figure: Any, points: Sequence[ProbePoint], title: str) -> None:
    """Norms and directions of G's gradient against D's steps; above them, in how many cases D is right."""
    steps = [max(p.step, 0.5) for p in points]  # 0 has no place on a logarithmic axis: it stands at 1/2
    left, right = figure.subplots(1, 2)
    lowest = 0.9  # so that rounding is not magnified where all are about 1
    twins = all(math.isclose(p.norms["hinge"], p.norms["wasserstein"], rel_tol=1e-9) for p in points)
    names = {name: name.replace("_", " ") for name in OF_FAKES}
    if twins:  # the two give a generator the same: one curve, which says so
        names["wasserstein"] = f"{names.pop('hinge')} and {names['wasserstein']}"
    for (name, text), (marker, size) in zip(
        names.items(), (("o", 4), ("s", 4), ("D", 8), ("v", 4), ("^", 5)), strict=False
    ):
        style: Any = {"color": palette.LOSSES[name], "marker": marker, "ms": size, "mfc": "none" if size > 5 else None}
        style["label"] = text.replace("wasserstein", "Wasserstein").replace("nonsat", "non-sat")
        left.loglog(steps, [p.norms[name] or math.nan for p in points], "-", **style)
        cosines = [1.0 if name == REFERENCE else _against_reference(p, name) for p in points]
        lowest = min([lowest, *cosines])  # of numbers: a NaN is never smaller
        right.semilogx(steps, cosines, "-", **style)
    ticks = [s for s in steps if s == 0.5 or math.log10(s).is_integer()]
    for axes in (left, right):
        axes.set_xticks(ticks, [f"{s:g}" if s >= 1 else "0" for s in ticks])
        axes.set_xlabel("steps of D")
        above = axes.secondary_xaxis("top")
        right_in = [f"{100 * min(p.confidence, 0.9999):.3g}" for p, s in zip(points, steps, strict=True) if s in ticks]
        above.set_xticks(ticks, right_in)
        above.minorticks_off()
        above.set_xlabel("D is right in % of cases", fontsize=9)
    left.set(ylabel="|gradient of G|", title="What reaches G")
    right.set(ylabel="cosine", title="Its direction, compared with the non-saturating loss")
    right.set_ylim(lowest - 0.05, 1.01)
    figure.legend(*left.get_legend_handles_labels(), fontsize=9, loc="outside lower center", ncols=len(names))
    figure.suptitle(title)


def _against_reference(point: ProbePoint, name: str) -> float:
    return next(value for pair, value in point.cosines.items() if set(pair) == {name, REFERENCE})
