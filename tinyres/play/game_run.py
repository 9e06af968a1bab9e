"""Two players in training: what each of them sees at every step, and what is needed to go back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import gan
from tinyres.gan.metrics.modes import mode_coverage
from tinyres.gan.trainer import LOG_LOSSES
from tinyres.play import players
from tinyres.training import Diverged

FAKES, REALS, COVER, CELLS = 200, 300, 1000, 40
ORBIT = 2000  # points of the phase portrait that are sent


class GameRun:
    """A run of the lab "game". State k is after k steps of G; its losses are those of the step that led there."""

    lab = "game"

    def __init__(self, setting: dict[str, Any]) -> None:
        self.setting, self.kernels, self.law = dict(setting), "im2col", None
        self.trainer = players.trainer(setting)
        self.target = setting["target"]
        self._steps = self.trainer.steps()
        self._failed: str | None = None
        inputs = self.trainer.dataset.inputs
        rng = np.random.default_rng(setting["seed"])
        self._reals = inputs[rng.permutation(len(inputs))[:REALS]]
        self._axes = _principal(inputs) if self.target == "digits" else None
        self._jitter = (
            rng.uniform(-0.9, 0.9, (max(FAKES, REALS), 1)) if self.target != "dirac" else np.zeros((REALS, 1))
        )
        self.box = self._limits()
        self._orbit: list[list[float]] = [self._point()] if self.target == "dirac" else []

    @property
    def step(self) -> int:
        """Steps of G so far."""
        return self.trainer.step

    # -- a step -----------------------------------------------------------------------------------------------------
    def advance(self) -> None:
        """Steps of D, then one of G. If a number is not finite the players stay where they were, and it is noted."""
        with tr.kernels(self.kernels):
            try:
                next(self._steps)
            except Diverged as error:
                self._failed = str(error)
                self._steps = self.trainer.steps()
                return
        if self.target == "dirac":
            self._orbit.append(self._point())

    def measure(self) -> dict[str, Any]:
        """What the players see here: fakes, what pulls at them, losses and gradients of the last step."""
        trainer, loss = self.trainer, self.trainer.loss
        with np.errstate(all="ignore"), tr.kernels(self.kernels):
            noise = trainer.fixed_noise(FAKES if self.target != "dirac" else 1)
            fakes = tr.tensor(trainer.sample(noise=noise), requires_grad=True)
            logits = trainer.discriminator(fakes)
            at_logit, pull = tr.grad(loss.generator(logits), [logits, fakes])
        n, a = len(noise), logits.numpy().ravel()
        order = np.argsort(a, kind="stable")
        measured = np.abs(n * at_logit.numpy().ravel())[order]
        last = trainer.history[-1] if trainer.history else None
        found: dict[str, Any] = {
            "losses": {"d": last.d_loss if last else math.nan, "g": last.g_loss if last else math.nan},
            "gradient_g": last.g_grad_norm if last else math.nan,
            "gradient_d": last.d_grad_norm if last else math.nan,
            "real": self._plane(self._reals),
            "fake": self._plane(fakes.numpy()),
            "pull": self._plane(-n * pull.numpy(), moved=False),
            "box": self.box,
            "probe": {
                "confidence": tr.sigmoid(a.astype(np.float64))[order], "measured": measured,
                "closed": players.closed_pull(loss.name, a[order]),
            },
            "orbit": [list(p) for p in self._orbit[-ORBIT:]] if self.target == "dirac" else None,
            "diverged": None if self._failed is None
            else {"step": self.step, "layer": None, "text": f"The game diverged {self._failed}."},
        }  # fmt: skip
        self._failed = None
        return found

    # -- going back -------------------------------------------------------------------------------------------------
    def snapshot(self) -> Any:
        """What a step changes; it costs no copy."""
        return self.trainer.snapshot(), list(self.trainer.history[-1:]), len(self._orbit)

    def restore(self, step: int, snapshot: Any) -> None:
        """Go to a snapshot of a step."""
        state, last, length = snapshot
        self.trainer.restore(state)
        self.trainer.step, self.trainer.history = step, list(last)
        self._steps = self.trainer.steps()
        del self._orbit[length:]

    def size(self) -> int:
        """Bytes of a snapshot, about."""
        return 3 * sum(int(p.data.nbytes) for m in self.trainer.modules.values() for p in m.parameters())

    def turn(self, setting: dict[str, Any]) -> None:
        """Take the live knobs of a setting; all others are as they were."""
        self.setting, trainer = dict(setting), self.trainer
        trainer.loss, trainer.penalty = gan.LOSSES[setting["loss"]], gan.PENALTIES.get(setting["penalty"])
        trainer.penalty_weight = setting["weight"]
        for optimizer, lr in ((trainer.optimizer_g, setting["lr_g"]), (trainer.optimizer_d, setting["lr_d"])):
            for group in optimizer.param_groups:
                group["lr"] = lr

    # -- what the page is told --------------------------------------------------------------------------------------
    def start(self) -> dict[str, Any]:
        """What stays the same in this run."""
        return {"net": None, "law": None, "data": None}

    def history(self, step: int, figures: dict[str, Any]) -> dict[str, Any]:
        """One row of each chart over training."""
        losses = figures["losses"]
        norms = {name: figures[name] for name in ("gradient_g", "gradient_d")}
        where = dict(zip(("theta", "psi"), figures["orbit"][-1], strict=True)) if figures["orbit"] else {}
        return {"step": step, "d": losses["d"], "g": losses["g"], **norms, **where}

    def picture(self) -> dict[str, Any]:
        """What is dear: D's level lines, the modes that are found, images of digits."""
        found: dict[str, Any] = {"level": self._level(), "modes": None}
        with np.errstate(all="ignore"), tr.kernels(self.kernels):
            if self.target in ("ring8", "grid25"):
                samples = self.trainer.sample(COVER, self.setting["seed"])
                if np.isfinite(samples).all():
                    covered = mode_coverage(samples, *gan.mixture(self.target))
                    found["modes"] = {"found": covered.modes, "of": covered.of}
            if self.target == "digits":
                images = self.trainer.sample(16, self.setting["seed"])[:, 0]
                found["images"] = np.rint(127.5 * (1 + np.clip(images, -1, 1))).astype("u1")
        return found

    def _level(self) -> Any:
        if self._axes is not None:
            return None
        x0, x1, y0, y1 = self.box
        x = np.linspace(x0, x1, CELLS if self.target in ("ring8", "grid25") else 2 * CELLS)
        if self.target in ("ring8", "grid25"):
            cells = np.stack(np.meshgrid(x, np.linspace(y0, y1, CELLS)), axis=-1).reshape(-1, 2)
        else:
            cells = x[:, None]
        with np.errstate(all="ignore"), tr.no_grad(), tr.kernels(self.kernels):
            out = self.trainer.discriminator(tr.tensor(cells.astype("float32")))
            out = (tr.sigmoid(out) if self.trainer.loss.name in LOG_LOSSES else out).numpy().astype("f4")
        return out.reshape(CELLS, CELLS) if cells.shape[1] == 2 else np.tile(out.ravel(), (2, 1))

    def _plane(self, samples: Any, *, moved: bool = True) -> Any:
        """Samples, or arrows at them, as points of the plane."""
        if self._axes is not None:
            mean, axes = self._axes
            flat = samples.reshape(len(samples), -1)
            return (flat - mean if moved else flat) @ axes
        if samples.shape[1] == 1:
            return np.concatenate([samples, (self._jitter if moved else 0 * self._jitter)[: len(samples)]], axis=1)
        return samples

    def _limits(self) -> list[float]:
        if self.target == "gaussians":
            return [-4.0, self.setting["distance"] + 4.0, -1.0, 1.0]
        if self.target == "dirac":
            reach = 1.5 * max(1.0, abs(self.setting["theta"]), abs(self.setting["psi"]))
            return [-reach, reach, -reach, reach]
        if self.target == "digits":
            points = self._plane(self._reals)
            reach = 1.3 * float(np.abs(points).max())
            return [-reach, reach, -reach, reach]
        return [-1.6, 1.6, -1.6, 1.6]

    def _point(self) -> list[float]:
        """(theta, psi) of the Dirac-GAN."""
        players_ = self.trainer.generator, self.trainer.discriminator
        return [float(next(player.parameters()).data.item()) for player in players_]


def _principal(inputs: Any) -> tuple[Any, Any]:
    """Mean and the first two principal axes of images."""
    flat = inputs.reshape(len(inputs), -1).astype(np.float64)
    mean = flat.mean(axis=0)
    return mean, np.linalg.svd(flat - mean, full_matrices=False)[2][:2].T
