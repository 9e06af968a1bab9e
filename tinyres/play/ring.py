"""The ring of past states: what was there at each of the last steps, so that going back shows exactly that."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

BYTES = 512 << 20  # of snapshots, about
MOST = 2000  # states


@dataclass
class State:
    """One step: its figures as they were shown, the snapshot to go on from, and the knobs as they stood.

    picture: what is dear to draw, once it has been drawn.
    """

    step: int
    figures: dict[str, Any]
    snapshot: Any
    setting: dict[str, Any]
    picture: dict[str, Any] | None = field(default=None)


class Ring:
    """States of consecutive steps, the oldest dropped when there are too many.

    Args:
        size: bytes of a snapshot, about: it decides how many states are kept.
    """

    def __init__(self, size: int) -> None:
        self.most = max(2, min(MOST, BYTES // max(size, 1)))
        self._states: OrderedDict[int, State] = OrderedDict()

    def add(self, state: State) -> None:
        """The newest state; a state of the same step is replaced."""
        self._states[state.step] = state
        while len(self._states) > self.most:
            self._states.popitem(last=False)

    def __getitem__(self, step: int) -> State:
        return self._states[step]

    def __iter__(self) -> Any:
        return iter(self._states.values())

    @property
    def kept(self) -> tuple[int, int]:
        """The first and the last step that are there."""
        steps = list(self._states)
        return steps[0], steps[-1]

    def forget_after(self, step: int) -> None:
        """Drop what came after a step: from here on it goes another way."""
        for later in [s for s in self._states if s > step]:
            del self._states[later]
