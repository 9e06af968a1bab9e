"""Save a recording with its training run, so that it continues when the run is resumed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyres.autograd.tensor import Array
from tinyres.flow.instruments import history, pictures
from tinyres.flow.instruments.record import Recording
from tinyres.flow.measurement import Measurement
from tinyres.training.notes import Notes


class Kept:
    """A recording that is saved in a run's checkpoint and continues when the run is resumed.

    Args:
        recording: a fresh one, of the run's model.
        step: the run's current step.
        notes: the earlier steps from the run's file, if they were recorded.

    Raises:
        ValueError: the notes belong to other blocks, or are not a recording.
    """

    def __init__(self, recording: Recording, step: int = 0, notes: Notes | None = None) -> None:
        self.recording = recording
        recording.entered = step
        self._earlier: Measurement | None = None
        self._broke: str | None = None
        if notes is not None:
            self._earlier, self._broke = read(notes, recording.blocks, step)

    @property
    def empty(self) -> bool:
        """Whether no step has been recorded."""
        return not self.recording.steps and not (self._earlier and self._earlier.labels["step"])

    def history(self, before: float = math.inf) -> Measurement:
        """All recorded steps below `before`, including those from before the run was resumed."""
        steps = [step for step in self.recording.steps if step.number < before]
        found = history.collect(steps, self.recording.blocks, self.first_not_finite)
        return found if self._earlier is None else joined(self._earlier, found, self.first_not_finite)

    @property
    def first_not_finite(self) -> str | None:
        """`Recording.first_not_finite` for the whole run."""
        return self._broke or self.recording.first_not_finite

    def latest(self, step: int) -> dict[str, float]:
        """|dL/d output| of each block in this step; nothing if it was not recorded."""
        steps = self.recording.steps
        if not steps or steps[-1].number != step:
            return {}
        return {name: float(norm) for name, norm in self.recording.gradient_norms().items()}

    def notes(self, step: int) -> Notes:
        """Everything recorded before this step, to go into `Run.notes` and so into the run's file."""
        found = self.history(step)
        rows = {name: array for name, array in found.items() if found.axes[name][0] == "step"}
        return rows, {"every": self.recording.every, "labels": found.labels, "not_finite": self.first_not_finite}


def every(notes: Notes) -> int:
    """The recording interval in saved notes: every how many steps. Raises ValueError if it is missing or invalid."""
    found = notes[1].get("every")
    if type(found) is not int or found < 1:
        raise ValueError(f"every is {found!r}; it must be a whole number of at least 1")
    return found


def read(notes: Notes, blocks: list[str], step: int) -> tuple[Measurement, str | None]:
    """Read the steps recorded before this one, for these blocks, and where the first NaN or infinity appeared.

    Raises:
        ValueError: the notes do not fit: other blocks, steps or shapes.
    """
    arrays, about = notes
    empty, labels, not_finite = history.collect([], blocks, None), about.get("labels"), about.get("not_finite")
    if not isinstance(labels, dict) or labels.keys() != empty.labels.keys() or not all(map(_once, labels.values())):
        raise ValueError(f"labels are {str(labels)[:80]}; they must name {', '.join(empty.labels)}, without repeats")
    steps = labels["step"]
    if not all(type(number) is int and 0 <= number < step for number in steps) or steps != sorted(steps):
        raise ValueError(f"steps are {str(steps)[:80]}; they must be in ascending order and below {step}")
    if labels["block"] != blocks:
        raise ValueError(f"blocks are {str(labels['block'])[:80]} in the file and {str(blocks)[:80]} in the model")
    if not all(isinstance(name, str) for name in (*labels["residual"], *labels["parameter"])):
        raise ValueError("residual connections and parameters must have strings as names")
    if not (not_finite is None or isinstance(not_finite, str)):
        raise ValueError(f"not_finite is {not_finite!r}; it must be a string or null")
    whole = dict(empty.arrays)
    for name, axes in empty.axes.items():
        if axes[0] != "step":
            continue
        shape = tuple(len(labels[axis]) if axis in labels else empty[name].shape[i] for i, axis in enumerate(axes))
        if name not in arrays or arrays[name].shape != shape or arrays[name].dtype != np.float64:
            raise ValueError(f"{name} is missing, or is not float64 of shape {shape}")
        whole[name] = arrays[name]
    return _of(whole, labels, empty, not_finite), not_finite


def joined(earlier: Measurement, later: Measurement, not_finite: str | None) -> Measurement:
    """Concatenate two histories; blocks or parameters that only one of them has are NaN in the other's steps."""
    labels = {axis: list(dict.fromkeys([*earlier.labels[axis], *names])) for axis, names in later.labels.items()}
    arrays = dict(later.arrays)
    for name, axes in later.axes.items():
        if axes[0] == "step":
            arrays[name] = np.concatenate([_spread(found, name, labels[axes[1]]) for found in (earlier, later)])
    return _of(arrays, labels, later, not_finite)


def _of(
    arrays: dict[str, Array], labels: dict[str, list[Any]], like: Measurement, not_finite: str | None
) -> Measurement:
    draw = lambda figure, found: pictures.history(figure, found, not_finite)
    return Measurement(like.name, arrays, like.axes, like.cost, draw, labels)


def _spread(found: Measurement, name: str, names: Sequence[str]) -> Array:
    """Widen an array (steps, own names, ...) to (steps, names, ...), filling with NaN."""
    array, own = found[name], found.labels[found.axes[name][1]]
    if own == list(names):
        return array
    wide = np.full((len(array), len(names), *array.shape[2:]), np.nan)
    wide[:, [names.index(one) for one in own]] = array
    return wide


def _once(names: Any) -> bool:
    return isinstance(names, list) and len({str(name) for name in names}) == len(names)


__all__ = ["Kept", "every", "joined", "read"]
