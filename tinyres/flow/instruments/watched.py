"""Watch two players while they train: what the game does at the present point, step after step.

At each look, on the same samples and noise, nothing being moved:
    eigenvalue_real, eigenvalue_imag   the outermost eigenvalues of the game's Jacobian, see `game_spectrum`: estimates
    residual                           how good each of them is
    consensus, turning                 of the field's change along itself: |Sv| / |v| and |Av| / |v|
    rotation, field                    |A|² / |J|² from a few random directions, and |v|
    gradient                           |dL/d(parameters of G)| for each loss that a generator may minimise, at this D
    confidence                         D's mean probability of the right answer, sigmoid(D) being that of "real"
    right                              in how many of all pairs of a real sample and a fake D gives the real one more
    slope_real, slope_between, slope_fake   mean |dD/dx|: at real samples, halfway to a fake each, at fakes
    loss_d, loss_g                     both losses, D's without its penalty
and of each player the gradient at its layers' outputs, as `flow.record` has it: of D's loss at the fakes, and of G's.
Noise on the samples is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.autograd.tensor import Array, Tensor
from tinyres.context import context
from tinyres.flow.instruments import kept, watched_picture
from tinyres.flow.instruments.game import game_spectrum
from tinyres.flow.instruments.record import record
from tinyres.flow.measurement import Measurement
from tinyres.gan.losses import OF_FAKES
from tinyres.gan.penalties import r1_r2, r2
from tinyres.gan.trainer import GANTrainer
from tinyres.models import ConditionalGenerator, ProjectionCritic
from tinyres.training.notes import Notes

PRODUCTS, PROBES = 16, 4  # with the Jacobian, at a look: 16 for the eigenvalues, 8 for the rotation, 2 for the field
SAMPLES = 32
DRAWS = 3  # a child of the seed, beside the trainer's own
SCALARS = ("consensus", "turning", "rotation", "field", "confidence", "right", "slope_real", "slope_between",
           "slope_fake", "loss_d", "loss_g")  # fmt: skip
SPREAD = ("eigenvalue_real", "eigenvalue_imag", "residual")
COST = "a look: some 26 products with the game's Jacobian, each about two training steps of 32 samples"
PLAYERS = ("D", "G")


class GameWatch:
    """Looks at the game of a `GANTrainer` in every `every`-th step: `look` after a step, where it is `due`.

    A look changes nothing: the run ends with the same bits as one that nobody watched.

    Args:
        trainer: the run, at its start or resumed.
        every: steps of G between two looks.
        notes: what an earlier part of the run has seen, from its file.

    Attributes:
        seconds: how long the looks took.

    Raises:
        ValueError: every below 1, or notes of other players or steps.
    """

    def __init__(self, trainer: GANTrainer, every: int, notes: Notes | None = None) -> None:
        if every < 1:
            raise ValueError(f"GameWatch: every must be at least 1, got {every}")
        self.trainer, self.every, self.seconds = trainer, every, 0.0
        of = {"D": trainer.discriminator, "G": trainer.generator}
        self._losses = [*OF_FAKES, *([trainer.loss.name] if trainer.loss.name not in OF_FAKES else [])]
        self._steps: list[int] = []
        self._rows: dict[str, list[Any]] = {name: [] for name in (*SCALARS, *SPREAD, "gradient")}
        parts = {name: None if notes is None else _part(notes, name) for name in PLAYERS}
        self._kept = {
            name: kept.Kept(record(of[name], _blocks(of[name])), trainer.step + 1, parts[name]) for name in PLAYERS
        }
        if notes is not None:
            self._read(notes)
        self._real, self._labels, self._noise = self._batch()

    @property
    def due(self) -> bool:
        """Whether the present step is to be looked at, and has not been."""
        return self.trainer.step % self.every == 0 and self.trainer.step not in self._steps

    def look(self) -> None:
        """Measure everything at the present point."""
        began, trainer = time.perf_counter(), self.trainer
        before = trainer.snapshot()
        try:
            with np.errstate(all="ignore"), context(replaying=True):
                found = self._spectrum() | self._seen() | self._slopes()
                self._record_layers()
        finally:
            trainer.restore(before)
        self._steps.append(trainer.step)
        for name, value in found.items():
            self._rows[name].append(value)
        self.seconds += time.perf_counter() - began

    # -- measurements -----------------------------------------------------------------------------------------------
    def _batch(self) -> tuple[Tensor, Tensor | None, Tensor]:
        trainer, data = self.trainer, self.trainer.dataset
        rng = np.random.default_rng(np.random.SeedSequence((trainer.seed,), spawn_key=(DRAWS,)))
        rows = rng.permutation(len(data))[:SAMPLES]
        like = next(trainer.generator.parameters())
        real, noise = (
            tr.tensor(a.astype(like.dtype)).to(like.device)
            for a in (data.inputs[rows], rng.standard_normal((len(rows), trainer.latent)))
        )
        return real, tr.tensor(data.targets[rows]).to(like.device) if trainer.classes else None, noise

    def _players(self) -> tuple[Any, Any]:
        return self.trainer.told(self._labels)

    def _game(self) -> tuple[Tensor, Tensor]:
        """Both losses, L_G and L_D, the latter with its penalty."""
        trainer, (g, d) = self.trainer, self._players()
        fake = g(self._noise)
        on_real, on_fake = d(self._real), d(fake)
        of_d = trainer.loss.discriminator(on_real, on_fake)
        weight = trainer.mean_weight()
        if trainer.penalty is not None and weight:
            at = _moving(trainer.penalty, d, fake)
            of_d = of_d + weight * trainer.penalty(at, self._real, fake.detach(), np.random.default_rng(0))
        return trainer.loss.generator(on_fake, *([on_real] if trainer.loss.paired else [])), of_d

    def _spectrum(self) -> dict[str, Any]:
        g, d = (list(player.parameters()) for player in (self.trainer.generator, self.trainer.discriminator))
        nothing = np.full(PRODUCTS, np.nan)
        found: dict[str, Any] = dict.fromkeys(("consensus", "turning", "rotation", "field"), np.nan)
        found |= dict.fromkeys(SPREAD, nothing)
        try:
            spectrum = game_spectrum(self._game, g, d, products=PRODUCTS, probes=PROBES, rng=0)
        except FloatingPointError:  # the players are about to diverge: the run will say where
            return found
        outermost = np.argsort(-np.abs(spectrum["eigenvalues"]))[:PRODUCTS]
        for name, values in (
            ("eigenvalue_real", spectrum["eigenvalues"].real), ("eigenvalue_imag", spectrum["eigenvalues"].imag),
            ("residual", spectrum["residual"]),
        ):  # fmt: skip
            found[name] = np.concatenate([values[outermost], nothing[len(outermost) :]])
        return found | {name: float(spectrum[name]) for name in ("consensus", "turning", "rotation", "field")}

    def _seen(self) -> dict[str, Any]:
        """The gradient that each loss would give G, and how sure D is: a point of `gan.probe`, in this training."""
        trainer, (g, d) = self.trainer, self._players()
        with tr.no_grad():
            on_real = d(self._real)  # (N, 1)
        on_fake, parameters = d(g(self._noise)), list(trainer.generator.parameters())
        norms = []
        for name in self._losses:
            loss = OF_FAKES.get(name)
            value = trainer.loss.generator(on_fake, on_real) if loss is None else loss.generator(on_fake)
            gradients = tr.grad(value, parameters, retain_graph=True, allow_unused=True)
            norms.append(np.sqrt(sum(float((x * x).sum().item()) for x in gradients if x is not None)))
        real, fake = (y.detach().numpy().astype("float64").ravel() for y in (on_real, on_fake))
        right = (real[:, None] > fake).mean() + (real[:, None] == fake).mean() / 2
        confidence = (_sigmoid(real).mean() + 1 - _sigmoid(fake).mean()) / 2
        return {"gradient": np.array(norms), "confidence": float(confidence), "right": float(right)}

    def _slopes(self) -> dict[str, float]:
        g, d = self._players()
        with tr.no_grad():
            fake = g(self._noise)
        between = (self._real + fake) * 0.5
        places = {"slope_real": self._real, "slope_between": between, "slope_fake": fake}
        return {name: _mean_slope(d, x) for name, x in places.items()}

    def _record_layers(self) -> None:
        trainer, (g, d) = self.trainer, self._players()
        with tr.no_grad():
            fake, on_real = g(self._noise), d(self._real)
        of_d = lambda: trainer.loss.discriminator(on_real, d(fake))  # at the fakes alone: each layer runs once
        of_g = lambda: trainer.loss.generator(d(g(self._noise)), *([on_real] if trainer.loss.paired else []))
        losses: dict[str, Callable[[], Tensor]] = {"D": of_d, "G": of_g}
        for name, player in (("D", trainer.discriminator), ("G", trainer.generator)):
            recording = self._kept[name].recording
            recording.entered = trainer.step
            with recording:
                loss = losses[name]()
                loss.backward()
            recording.steps[-1].finish()  # nothing moves at a look; or what comes before the next one would count
            self._rows[f"loss_{name.lower()}"].append(loss.item())
            for module in (trainer.discriminator, trainer.generator, player):
                module.zero_grad()

    # -- what was found ---------------------------------------------------------------------------------------------
    def history(self) -> Measurement:
        """All looks, as arrays by step; see the file's first lines."""
        arrays = {name: np.array(self._rows[name], np.float64) for name in SCALARS}
        arrays |= {name: np.array(self._rows[name], np.float64).reshape(-1, PRODUCTS) for name in SPREAD}
        arrays["gradient"] = np.array(self._rows["gradient"], np.float64).reshape(-1, len(self._losses))
        axes: dict[str, tuple[str, ...]] = dict.fromkeys(SCALARS, ("step",)) | dict.fromkeys(SPREAD, ("step", "value"))
        axes["gradient"] = ("step", "loss")
        labels: dict[str, list[Any]] = {"step": list(self._steps), "loss": self._losses}
        return Measurement("the game", arrays, axes, COST, watched_picture.draw, labels)

    def layers(self) -> dict[str, Measurement]:
        """Of each player, D and G, the gradient at its layers' outputs at each look."""
        return {name: found.history() for name, found in self._kept.items()}

    def curves(self) -> dict[str, list[watched_picture.Chart]]:
        """What `viewer.save` draws below each player's lane."""
        return watched_picture.charts(self.history())

    def notes(self) -> Notes:
        """Everything seen so far, to go into the run's file."""
        found = self.history()
        arrays = {f"game.{name}": array for name, array in found.items()}
        about: dict[str, Any] = {"every": self.every, "steps": self._steps, "losses": self._losses, "players": {}}
        for name, one in self._kept.items():
            rows, said = one.notes(self.trainer.step + 1)
            arrays |= {f"{name}.{key}": value for key, value in rows.items()}
            about["players"][name] = said
        return arrays, about

    def _read(self, notes: Notes) -> None:
        arrays, about = notes
        steps = about.get("steps")
        last = self.trainer.step
        if (
            not isinstance(steps, list)
            or not all(type(s) is int and 0 <= s <= last for s in steps)
            or steps != sorted(set(steps))
        ):
            raise ValueError(f"steps are {str(steps)[:80]}; they must be in ascending order and at most {last}")
        if about.get("losses") != self._losses:
            raise ValueError(f"losses are {str(about.get('losses'))[:80]}, and {self._losses} here")
        for name, rows in self._rows.items():
            width = {"gradient": (len(self._losses),)} | dict.fromkeys(SPREAD, (PRODUCTS,))
            shape, array = (len(steps), *width.get(name, ())), arrays.get(f"game.{name}")
            if array is None or array.shape != shape or array.dtype != np.float64:
                raise ValueError(f"{name} is missing, or is not float64 of shape {shape}")
            rows.extend(array)
        self._steps = steps


def every(notes: Notes) -> int:
    """How many steps lie between two looks, from saved notes. Raises ValueError if that is missing or invalid."""
    return kept.every(notes)


def _part(notes: Notes, name: str) -> Notes:
    """The notes of one player's layers."""
    players = notes[1].get("players")
    if not isinstance(players, dict) or not isinstance(players.get(name), dict):
        raise ValueError(f"there is no recording of the player {name}")
    return {k.removeprefix(f"{name}."): v for k, v in notes[0].items() if k.startswith(f"{name}.")}, players[name]


def _blocks(player: nn.Module) -> list[str] | None:
    """The layers to record: inside of what tells a player its class, where there is such a thing."""
    inside = {ConditionalGenerator: "net", ProjectionCritic: "phi"}.get(type(player))
    if inside is None:
        return None
    more = ["head"] if isinstance(player, ProjectionCritic) else []
    return [f"{inside}.{name}" for name, _ in getattr(player, inside).named_children()] + more


def _moving(penalty: Any, d: Any, fake: Tensor) -> Any:
    """D at points that move with the fakes: a penalty takes its samples for constants, a Jacobian may not.

    WGAN-GP's points lie between, at places that it draws: they stay where they are.
    """
    moved = fake - fake.detach()  # 0, with the fakes' derivative
    if penalty is r2:
        return lambda x: d(x + moved)
    if penalty is r1_r2:
        still = tr.zeros_like(moved.detach())
        return lambda x: d(x + tr.concatenate([still, moved]))
    return d


def _mean_slope(d: Any, x: Tensor) -> float:
    """mean |dD/dx|; with batch norm in D, of the sum over the batch."""
    leaf = tr.tensor(x.numpy()).to(x.device).requires_grad_()
    (slope,) = tr.grad(d(leaf).sum(), leaf)
    rows: Array = slope.numpy().astype("float64").reshape(len(x), -1)
    return float(np.linalg.norm(rows, axis=1).mean())


def _sigmoid(y: Array) -> Array:
    return np.exp(-np.logaddexp(0, -y))


__all__ = ["GameWatch", "every"]
