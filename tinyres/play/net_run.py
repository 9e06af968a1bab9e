"""One net that trains: its figures at every step, measured by `flow.record`, and what is needed to go back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import data, flow, nn
from tinyres.ops import cross_entropy
from tinyres.play import compiled, laws, made, nets

SIDE = 48  # of the picture of the boundary, in cells
TINY = 1e-45  # below the smallest float32: the floor of a heat map
KINDS = {"plain": "plain", "residual": "residual", "preact": "residual", "skipinit": "residual", "highway": "highway",
         "densenet": "dense"}  # fmt: skip


class NetRun:
    """A run of the lab "net". State k is the net after k updates; its figures belong to batch k.

    `measure` runs forwards and backwards; `advance` takes the optimiser's step with the gradients found there.

    Args:
        kernels: the kernel set; None: whole-array ones, and for convolutions the compiled ones once they are there.

    Attributes:
        switched: the step from which on the compiled kernels compute; None while they do not.
    """

    lab = "net"

    def __init__(self, setting: dict[str, Any], kernels: str | None = None) -> None:
        self.setting, self.step = dict(setting), 0
        self.switched: int | None = None
        self._may_switch = kernels is None and setting["family"] == "conv"
        self.samples = made.dataset(setting)
        self.model, self.kernels = made.model(setting), kernels or "im2col"
        self.optimizer = made.optimizer(setting, self.model)
        size = made.batch_size(setting, self.samples)
        self.loader = data.DataLoader(self.samples, size, shuffle=True, seed=setting["seed"], drop_last=True)
        self.recording = flow.record(self.model, details=False)
        self.blocks = list(self.recording.watched)
        self._q = float(np.mean(np.square(self.samples.inputs, dtype=np.float64)))
        self._laws: dict[tuple[float, float], laws.Law | None] = {}
        self._first_law = self.law
        self._measured = False
        self._box = _box(self.samples.inputs) if self.samples.inputs.ndim == 2 else None

    @property
    def law(self) -> laws.Law | None:
        """The law of the net as its scales stand now."""
        scales = self.setting["skip"], self.setting["branch"]
        if scales not in self._laws:
            with np.errstate(all="ignore"):  # scales of 0 leave neither signal nor gradient
                self._laws = {scales: laws.law(self.setting, self._q)}
        return self._laws[scales]

    # -- a step -----------------------------------------------------------------------------------------------------
    def batch(self) -> tuple[Any, Any]:
        """The batch of this step: a matter of the seed and the step alone."""
        self.loader.epoch, start = divmod(self.step, len(self.loader))
        return next(iter(self.loader.batches(start)))

    def measure(self) -> dict[str, Any]:
        """Forwards and backwards at this step: loss, accuracy, and norms at every block."""
        x, y = self.batch()
        self.recording.steps.clear()
        with np.errstate(all="ignore"), tr.kernels(self.kernels), self.recording:
            logits = self.model(x)
            loss = cross_entropy(logits, y)
            self.optimizer.zero_grad()
            loss.backward()
        self._measured = True
        found = self.recording.steps[-1]
        forward, backward = ([getattr(found, way)[b] for b in self.blocks] for way in ("forward", "backward"))
        routes = [_route(found.routes, b) for b in self.blocks]
        gradient = [s.norm for s in backward]
        figures = {
            "loss": loss.item(),
            "accuracy": made.accuracy(logits.numpy(), y.numpy()),
            "signal": [s.norm for s in forward],
            "gradient": gradient,
            "dead": [None if math.isnan(s.dead) else s.dead for s in forward],
            "skip": [None if r is None else r.skip for r in routes],
            "branch": [None if r is None else r.branch for r in routes],
            "share": [None if r is None else _share(r) for r in routes],
            "law_gap": self._gap(gradient),
        }
        figures["diverged"] = self._diverged(figures["loss"], found.not_finite)
        if self.law is not None and self.law != self._first_law:  # the page has the first one already
            figures["law"] = self.law.to_json()
        return figures

    def advance(self) -> None:
        """The optimiser's step, with the gradients of `measure` (which runs again if the state came from the ring)."""
        if not self._measured:
            self.measure()
        with np.errstate(all="ignore"), tr.kernels(self.kernels):
            self.optimizer.step()
        self.step, self._measured = self.step + 1, False
        if self._may_switch and self.switched is None and compiled.ready(self.setting):
            self.switched, self.kernels = self.step, "cpu"

    def _gap(self, gradient: list[float]) -> float | None:
        """The largest |log10(measured / predicted)| over the blocks, the prediction anchored at the last block."""
        if self.law is None or self.law.gradient is None or not gradient[-1] > 0:
            return None
        with np.errstate(all="ignore"):
            ratio = np.array(gradient) / gradient[-1] / np.array(self.law.gradient)
            return float(np.abs(np.log10(ratio)).max())

    def _diverged(self, loss: float, where: str | None) -> dict[str, Any] | None:
        if math.isfinite(loss) and where is None:
            return None
        where = where or "the loss"
        name = next((b for b in [*self.blocks, "stem", "head"] if f" {b}" in where), where)
        text = f"The run diverged at step {self.step}: the first number that is not finite is in {where}."
        return {"step": self.step, "layer": name, "text": text}

    # -- going back -------------------------------------------------------------------------------------------------
    def snapshot(self) -> Any:
        """What a step changes. It costs no copy: a step rebinds arrays, it never writes into them."""
        return self.model.state_dict(), self.optimizer.state_dict(), self.kernels, self.switched

    def restore(self, step: int, snapshot: Any) -> None:
        """Go to a snapshot of a step, which was made before anything was measured there."""
        model, optimizer, self.kernels, self.switched = snapshot
        self.model.load_state_dict(model)
        self.optimizer.load_state_dict(optimizer)
        self.step, self._measured = step, False

    def size(self) -> int:
        """Bytes of a snapshot, about."""
        slots = {"sgd": 1, "momentum": 2, "rmsprop": 2, "adam": 3}[self.setting["optimizer"]]
        return slots * sum(int(p.data.nbytes) for p in self.model.parameters())

    def turn(self, setting: dict[str, Any]) -> None:
        """Take the live knobs of a setting; all others are as they were."""
        self.setting = dict(setting)
        for group in self.optimizer.param_groups:
            group["lr"] = self.setting["lr"]
        if self.setting["family"] == "mlp":
            before = [p.data for p in self.model.parameters()]
            nets.set_scales(self.model, self.setting["skip"], self.setting["branch"])
            if any(p.data is not old for p, old in zip(self.model.parameters(), before, strict=True)):
                self._measured = False  # another net than that which the gradients belong to

    # -- what the page is told --------------------------------------------------------------------------------------
    def start(self) -> dict[str, Any]:
        """What stays the same in this run."""
        kind = KINDS[self.setting["architecture"]]
        inside = dict(self.model.named_modules())
        rows = []
        for name in self.blocks:
            routes = any(isinstance(m, (nn.Residual, nn.Highway)) for m in inside[name].modules())
            own = kind if routes or kind in ("plain", "dense") else "plain"
            rows.append({
                "name": name, "kind": own, "routes": routes, "parameters": _count(inside[name]),
                "layers": _layers(inside[name]),
            })  # fmt: skip
        points = None
        if self._box is not None:
            points = {"points": self.samples.inputs, "labels": self.samples.targets, "box": self._box}
        return {
            "net": {"blocks": rows, "parameters": _count(self.model)},
            "law": None if self.law is None else self.law.to_json(),
            "data": points,
        }

    def history(self, step: int, figures: dict[str, Any]) -> dict[str, Any]:
        """One row of each chart over training."""
        norms = {name: np.array(figures[name], np.float64) for name in ("gradient", "signal")}  # for tables
        gradient = norms["gradient"]
        heat = np.where(np.isfinite(gradient), np.log10(np.maximum(gradient, TINY)), np.nan)
        return {"step": step, "loss": figures["loss"], "accuracy": figures["accuracy"], "heat": heat, **norms,
                "share": figures["share"]}  # fmt: skip

    def picture(self) -> dict[str, Any]:
        """What is dear to draw: P(class 1) over the plane, as bytes; nothing for images."""
        if self._box is None:
            return {}
        if not self._measured:
            self.measure()  # batch norm's running statistics take part, and a measurement moves them
        x0, x1, y0, y1 = self._box
        grid = np.meshgrid(np.linspace(x0, x1, SIDE), np.linspace(y0, y1, SIDE))
        cells = np.stack(grid, axis=-1).reshape(-1, 2).astype("float32")
        self.model.eval()
        try:
            with np.errstate(all="ignore"), tr.no_grad(), tr.kernels(self.kernels):
                odds = self.model(tr.tensor(cells)).numpy()
        finally:
            self.model.train()
        with np.errstate(all="ignore"):
            share = 1 / (1 + np.exp(odds[:, 0] - odds[:, 1]))
        level = np.rint(255 * np.nan_to_num(share, nan=0.5)).astype("u1")
        return {"boundary": level.reshape(SIDE, SIDE)}


def _box(points: Any) -> list[float]:
    low, high = points.min(axis=0), points.max(axis=0)
    room = 0.15 * (high - low)
    return [float(low[0] - room[0]), float(high[0] + room[0]), float(low[1] - room[1]), float(high[1] + room[1])]


def _count(module: nn.Module) -> int:
    return sum(int(p.data.size) for p in module.parameters())


def _layers(block: nn.Module) -> int:
    """Layers with weights that a signal passes one after the other: no gate, no projection on the skip."""
    return sum(
        isinstance(module, (nn.Linear, nn.Conv2d)) and name.split(".")[-1] != "gate" and "shortcut" not in name
        for name, module in block.named_modules()
    )


def _route(routes: dict[str, Any], block: str) -> Any:
    """The routes of the block's first residual sum, or None."""
    return next((m for name, m in routes.items() if name == block or name.startswith(f"{block}.")), None)


def _share(routes: Any) -> float:
    whole = routes.skip + routes.branch + routes.gate
    return routes.skip / whole if whole else math.nan
