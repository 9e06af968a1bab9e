"""GANTrainer: the training loop of a generator and a discriminator."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np

import tinyres as tr
from tinyres import data, nn, optim
from tinyres.arrays.random import rng_of
from tinyres.autograd.tensor import Array, Tensor
from tinyres.gan.burn_in import BurnIn
from tinyres.gan.descent import NotFinite, TooLarge, check_outputs, descend, noisy
from tinyres.gan.labels import told
from tinyres.gan.losses import GANLoss
from tinyres.gan.penalties import Penalty, clip_weights_, refuse_batch_norm
from tinyres.gan.recipe import GANRecipe
from tinyres.gan.sampling import sample, update_average
from tinyres.training.divergence import Diverged, first_failure
from tinyres.training.notes import Notes, notes_of, with_notes
from tinyres.training.resumable import Format, ResumableRun
from tinyres.training.validation import check_array, check_names

FORMAT = Format(
    "gan", "tinyres gan 1", GANRecipe, "give the run.safetensors of a GAN's run, or its folder", one_model=False
)
NOISE, FIXED = 1, 2  # children of the seed: for what a step draws, and for the noise of the pictures
Batch = tuple[Tensor, Tensor | None]  # real samples, and their classes for conditional players
LOG_LOSSES = ("saturating", "nonsaturating")  # those whose sigmoid of D is a probability


class StepRecord(NamedTuple):
    """The figures of one step of the generator, and of the discriminator's steps before it.

    The losses are what their player minimises, the discriminator's with its penalty; norms are 2-norms of the gradient
    over all of the player's parameters; d_real and d_fake are means over the discriminator's last batches, of the
    probability sigmoid(D) for the two log losses and of D itself for the others.
    """

    step: int
    d_loss: float
    g_loss: float
    d_grad_norm: float
    g_grad_norm: float
    d_real: float
    d_fake: float


class GANTrainer(ResumableRun):
    """Alternating descent: d_steps of the discriminator, then one of the generator, each on its own parameters.

    Every draw depends on the seed and the number of the step alone, so that a resumed run equals one that was
    never stopped. All is drawn on the CPU and then moved to where the players are: the same numbers everywhere.

    Args:
        generator: noise (N, latent) to samples.
        discriminator: samples to logits or scores (N, 1).
        classes: if not 0, both are told the class of each sample, a number below this, after it: G(z, y), D(x, y). The
            targets of the data are the classes; fakes have those of the real samples beside them.
        dataset: its inputs are the real samples.
        loss: of both players.
        penalty: `(discriminator, real, fake, rng) -> Tensor`, added to D's loss times penalty_weight.
        penalty_every: add it in every k-th step of D only, times k, so that its mean is the same (Karras et al. 2020
            [karras2020analyzing], section 3.1: lazy regularisation). From a step that draws nothing, as R1's, the
            expectation is exact; Adam's second moment sees larger and rarer gradients.
        burn_in: how rates, weights and betas change at the start; None: they do not.
        clip: bound on D's weights after each of its steps; 0: none.
        optimizer_g, optimizer_d: over the parameters of their player.
        ema: decay of the averaged generator `average`, see `update_average`; 0: none.
        instance_noise: standard deviation of the noise on all that D sees, falling linearly to 0 at `total`
            (Sønderby et al. 2017 [sonderby2017amortised]; Arjovsky & Bottou 2017 [arjovsky2017towards]).
        total: steps of the generator.

    Attributes:
        step: how many steps were taken.
        history: their records.
        recipe: what the trainer was prepared from; None where it was put together by hand.
        notes: what an instrument that watches keeps in the checkpoint, see `training.Run`.

    Raises:
        ValueError: a penalty on the gradient of a discriminator that couples the samples of a batch; no step of the
            discriminator, or none with a penalty; a decay outside [0, 1); a batch that the data do not fill.
    """

    format = FORMAT

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        dataset: data.Dataset,
        *,
        loss: GANLoss,
        penalty: Penalty | None = None,
        penalty_weight: float = 0.0,
        penalty_every: int = 1,
        burn_in: BurnIn | None = None,
        clip: float = 0.0,
        d_steps: int = 1,
        optimizer_g: optim.Optimizer,
        optimizer_d: optim.Optimizer,
        ema: float = 0.0,
        instance_noise: float = 0.0,
        batch_size: int = 64,
        latent: int,
        classes: int = 0,
        seed: int = 0,
        total: int,
    ) -> None:
        if penalty is not None:
            refuse_batch_norm(discriminator)
        for name, number in (("d_steps", d_steps), ("penalty_every", penalty_every)):
            if number < 1:
                raise ValueError(f"GANTrainer: {name} must be at least 1, got {number}")
        if not 0 <= ema < 1:
            raise ValueError(f"GANTrainer: ema must be at least 0 and below 1, got {ema}; 0 is no average")
        self.generator, self.discriminator, self.dataset = generator, discriminator, dataset
        self.loss, self.penalty, self.penalty_weight, self.clip = loss, penalty, penalty_weight, clip
        self.penalty_every, self.burn_in = penalty_every, burn_in
        self.d_steps, self.optimizer_g, self.optimizer_d = d_steps, optimizer_g, optimizer_d
        self.ema, self.instance_noise, self.latent = ema, instance_noise, latent
        self.classes, self.seed, self.total = classes, seed, total
        self.loader = data.DataLoader(dataset, batch_size, shuffle=True, seed=seed, drop_last=True)
        self.average = copy.deepcopy(generator).requires_grad_(False) if ema else None
        self.step = 0
        self.history: list[StepRecord] = []
        self.recipe: GANRecipe | None = None
        self.notes: Notes | None = None

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The players, and the averaged generator, by name."""
        found = {"generator": self.generator, "discriminator": self.discriminator}
        return found if self.average is None else found | {"average": self.average}

    @property
    def optimizers(self) -> dict[str, optim.Optimizer]:
        """The optimiser of each player."""
        return {"generator": self.optimizer_g, "discriminator": self.optimizer_d}

    def log(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The history, one row per step, and the notes."""
        rows = np.array(self.history, np.float64).reshape(-1, len(StepRecord._fields))
        return with_notes({"history": rows}, {}, self.notes)

    def load_log(self, step: int, arrays: dict[str, Array], about: dict[str, Any]) -> None:
        """Take back what `log` gave."""
        notes = notes_of(arrays, about)
        check_names(arrays, "history", *(["notes."] if notes else []))
        found = check_array("its history", arrays["history"], [step, len(StepRecord._fields)])
        self.notes = notes
        self.history = [StepRecord(int(row[0]), *row[1:]) for row in found.tolist()]

    # -- training ---------------------------------------------------------------------------------------------------
    def steps(self) -> Iterator[StepRecord]:
        """Take one step for each item asked for, from where the trainer stands to its end.

        Between two items the trainer is whole: it can be saved, sampled from, or left.

        Raises:
            Diverged: a loss, an output of D, a gradient or a weight is not finite, or a loss or an output of D is
                beyond `descent.LIMIT`. The trainer is as it was before the step. For what is not finite the step is
                taken again under `tr.detect_anomaly`, and the message names the first layer that failed.
        """
        batches = self._real_batches()
        while self.step < self.total:
            real, before = [next(batches) for _ in range(self.d_steps)], self.snapshot()
            try:
                record = self._take(real)
            except (NotFinite, TooLarge) as error:
                self.restore(before)
                rates = f"G {self.optimizer_g.rates('g')}, D {self.optimizer_d.rates('g')}"
                smaller = f"try a smaller learning rate (now {rates})"
                why = self._first_failure(real) if isinstance(error, NotFinite) else smaller
                raise Diverged(
                    f"at step {self.step} {error}: {why}; the trainer is as it was before this step"
                ) from None
            self.step += 1
            self.history.append(record)
            yield record

    def _real_batches(self) -> Iterator[Batch]:
        seen = self.step * self.d_steps
        while True:
            self.loader.epoch, start = divmod(seen, len(self.loader))
            for x, y in self.loader.batches(start):
                seen += 1
                yield x.to(self.device), y.to(self.device) if self.classes else None

    def _take(self, real: Sequence[Batch]) -> StepRecord:
        rng = self._draws(NOISE, self.step)
        sd = self.instance_noise * (1 - self.step / self.total)
        burn_in = nullcontext() if self.burn_in is None else self.burn_in.during(self.step, self.optimizers.values())
        # What overflows is found below; NumPy's warnings would only come first.
        with burn_in, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for turn, batch in enumerate(real, self.step * len(real)):
                d_loss, d_norm, d_real, d_fake = self._discriminate(*batch, sd, rng, self._weight(turn))
            g_loss, g_norm = self._generate(*real[-1], sd, rng)
            if self.average is not None:
                decay = self.ema if self.burn_in is None else self.burn_in.decay(self.ema, self.step)
                update_average(self.average, self.generator, decay, self.step)
        return StepRecord(self.step, d_loss, g_loss, d_norm, g_norm, d_real, d_fake)

    def _weight(self, turn: int) -> float:
        """The penalty's in this step of D, from 0."""
        return 0.0 if turn % self.penalty_every else self.penalty_every * self.mean_weight()

    def mean_weight(self) -> float:
        """The penalty's at the present step, in the mean over D's steps; 0 without one."""
        share = 1.0 if self.burn_in is None else self.burn_in.share(self.burn_in.penalty, self.step)
        return 0.0 if self.penalty is None else self.penalty_weight * share

    def _discriminate(
        self, real: Tensor, labels: Tensor | None, sd: float, rng: np.random.Generator, weight: float
    ) -> tuple[float, float, float, float]:
        generator, discriminator = self.told(labels)
        with tr.no_grad():
            fake = generator(self._noise(real.shape[0], rng))
        real, fake = noisy(real, sd, rng), noisy(fake, sd, rng)
        on_real, on_fake = discriminator(real), discriminator(fake)  # (N, 1)
        loss = self.loss.discriminator(on_real, on_fake)
        if self.penalty is not None and weight:
            loss = loss + weight * self.penalty(discriminator, real, fake, rng)
        value, norm = descend("discriminator", loss, self.optimizer_d)
        check_outputs(on_real, on_fake)
        if self.clip:
            clip_weights_(self.discriminator, self.clip)
        outputs = (tr.sigmoid(y.detach()) if self.loss.name in LOG_LOSSES else y.detach() for y in (on_real, on_fake))
        d_real, d_fake = (float(y.mean().item()) for y in outputs)
        return value, norm, d_real, d_fake

    def _generate(
        self, real: Tensor, labels: Tensor | None, sd: float, rng: np.random.Generator
    ) -> tuple[float, float]:
        """One step of G. A loss that compares takes D's last batch of real samples, beside fresh fakes."""
        generator, discriminator = self.told(labels)
        fake = noisy(generator(self._noise(real.shape[0], rng)), sd, rng)
        on_fake = discriminator(fake)  # (N, 1)
        beside = []
        if self.loss.paired:
            with tr.no_grad():
                beside.append(discriminator(noisy(real, sd, rng)))
        step = descend("generator", self.loss.generator(on_fake, *beside), self.optimizer_g)
        check_outputs(on_fake)
        return step

    def told(self, labels: Tensor | None) -> tuple[Any, Any]:
        """G and D, told the classes of their samples if there are any."""
        return told(self.generator, labels), told(self.discriminator, labels)

    def _first_failure(self, real: Sequence[Batch]) -> str:
        before = self.snapshot()
        try:
            return first_failure(self.modules, lambda: self._take(real)) or "taken again, the step is finite"
        except NotFinite:
            return "every operation was finite, the optimiser's step was not; try a smaller learning rate"
        finally:
            self.restore(before)

    # -- samples ----------------------------------------------------------------------------------------------------
    def sample(
        self,
        n: int = 64,
        rng: np.random.Generator | int = 0,
        *,
        noise: Array | None = None,
        labels: Array | None = None,
        ema: bool = True,
    ) -> Array:
        """n samples (n, ...), or those of the rows of `noise` (n, latent), with running statistics, unrecorded.

        Args:
            rng: what the noise is drawn from, a Generator or a seed.
            labels: (n,), the classes of conditional players' samples; by default all in turn.
            ema: from the averaged generator, where there is one.
        """
        noise = rng_of(rng).standard_normal((n, self.latent)) if noise is None else noise
        if self.classes and labels is None:
            labels = np.arange(len(noise)) % self.classes
        return sample(self.average if ema and self.average is not None else self.generator, noise, labels)

    def fixed_noise(self, n: int = 64) -> Array:
        """The same n rows (n, latent) at every step of the run, for pictures to be compared."""
        return self._draws(FIXED, 0).standard_normal((n, self.latent)).astype(np.float32)

    def _noise(self, n: int, rng: np.random.Generator) -> Tensor:
        like = next(self.generator.parameters())
        noise: Tensor = tr.tensor(rng.standard_normal((n, self.latent)).astype(like.dtype)).to(like.device)
        return noise

    def _draws(self, purpose: int, step: int) -> np.random.Generator:
        # A child of the seed: (seed, step) alone would draw the numbers that order the epoch of that number.
        return np.random.default_rng(np.random.SeedSequence((self.seed, step), spawn_key=(purpose,)))
