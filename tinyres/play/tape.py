"""A run with its ring: forwards, backwards, knobs turned on the way, and the rows of its charts."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from tinyres.play.labs import Lab
from tinyres.play.ring import Ring, State

ROWS = 20_000  # of the charts over training, that are kept
TURN = threading.Lock()  # training steps of several pages take turns: the kernels' threads are shared


class Tape:
    """Where a run stands, and everything that it has shown.

    Attributes:
        at: the step that is shown; behind the newest after going back.
        begun: the setting that the run began with.
        turns: by step, the setting from that step on, once live knobs have been turned there.
        rows: a row of the charts for every step, the oldest dropped beyond ROWS.
        unsent: rows that no frame has carried yet.
    """

    def __init__(self, lab: Lab, setting: dict[str, Any]) -> None:
        self.lab, self.begun = lab, dict(setting)
        self.turns: dict[int, dict[str, Any]] = {}
        with TURN:
            self.run = lab.run(setting)
            self.start: dict[str, Any] = self.run.start()
            self.ring = Ring(self.run.size())
            self.rows: deque[dict[str, Any]] = deque(maxlen=ROWS)
            self.unsent: list[dict[str, Any]] = []
            self.at = 0
            self._note()

    @property
    def state(self) -> State:
        """What is shown."""
        return self.ring[self.at]

    @property
    def ended(self) -> bool:
        """Whether the newest state has diverged, so that there is no next one."""
        return self.at == self.ring.kept[1] and self.state.figures["diverged"] is not None

    def forward(self) -> None:
        """One step: what is in the ring is shown again, beyond it the run goes on."""
        if self.at < self.ring.kept[1]:
            self.at += 1
        elif not self.ended:
            with TURN:
                self._here()
                self.run.advance()
                self._note()

    def seek(self, step: int) -> None:
        """Show a step that is kept, or the nearest of those."""
        first, last = self.ring.kept
        self.at = min(max(step, first), last)

    def turn(self, setting: dict[str, Any]) -> None:
        """Go on with a setting that differs in live knobs; what was computed beyond the step shown is dropped."""
        self.ring.forget_after(self.at)
        self.turns = {step: then for step, then in self.turns.items() if step < self.at} | {self.at: dict(setting)}
        while self.rows and self.rows[-1]["step"] >= self.at:
            self.rows.pop()
        self.unsent = [row for row in self.unsent if row["step"] < self.at]
        with TURN:
            self.run.restore(self.at, self.state.snapshot)  # as it was before it was measured there
            self.run.turn(setting)
            self._note()

    def picture(self) -> dict[str, Any]:
        """What is dear to draw of the step that is shown; drawn once."""
        if self.state.picture is None:
            with TURN:
                self._here()
                self.state.picture = self.run.picture()
        return self.state.picture

    def _here(self) -> None:
        """Bring the run to the step that is shown."""
        if self.run.step != self.at:
            self.run.restore(self.at, self.state.snapshot)
            self.run.turn(self.state.setting)

    def _note(self) -> None:
        """Measure where the run stands, and keep it."""
        snapshot = self.run.snapshot()
        figures = self.run.measure()
        self.at = self.run.step
        self.ring.add(State(self.at, figures, snapshot, dict(self.run.setting)))
        row = self.run.history(self.at, figures)
        self.rows.append(row)
        self.unsent.append(row)
