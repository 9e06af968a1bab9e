"""Look back on a recorded training: `viewer.save(recording, "run.html")`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinyres.flow.instruments.record import Recording
from tinyres.flow.measurement import Measurement
from tinyres.tensor import Array
from tinyres.viewer import page, picture
from tinyres.viewer.tracing import Trace, document

Recorded = Recording | Measurement


def save(
    recorded: Recorded | Mapping[str, Recorded], path: str | Path, trace: Trace | None = None, title: str | None = None
) -> None:
    """Write one self-contained page that shows a recorded training: log10 of the gradient's norm, layer by step.

    with recording: loss.backward()          # recording = flow.record(model)
    viewer.save(recording, "run.html")
    viewer.save({"D": of_d, "G": of_g}, "gan.html")

    Args:
        recorded: a recording, its `history()`, or several by the name of the player.
        path: of the page; a file that is there already is replaced.
        trace: of a step, to be stepped through on the same page.
        title: of the page.

    Raises:
        TypeError: something else than a recording.
        ValueError: nothing was recorded yet.
        FileNotFoundError: the folder does not exist.
        IsADirectoryError: `path` is a folder.
    """
    found = described(recorded)
    still = picture.bars(_last(found["lanes"])) if trace is None else picture.draw(trace)
    page.write(path, page.fill(document(trace, found, title), still))


def described(recorded: Recorded | Mapping[str, Recorded]) -> dict[str, Any]:
    """The document's entry "run"."""
    lanes: Mapping[str, Any] = {"": recorded}
    if isinstance(recorded, Mapping) and not isinstance(recorded, Measurement):  # which is a mapping of arrays
        lanes = recorded
    return {"lanes": [_lane(name, entry) for name, entry in lanes.items()]}


def _lane(name: str, recorded: Any) -> dict[str, Any]:
    history = recorded.history() if isinstance(recorded, Recording) else recorded
    if not isinstance(history, Measurement) or "backward_norm" not in history:
        what = f"save: {name}" if name else "save"
        raise TypeError(f"{what}: needs a flow.record(model) or its history(), got {type(recorded).__name__}")
    blocks = [str(block) for block in history.labels["block"]]
    with np.errstate(divide="ignore"):
        logs = np.log10(history["backward_norm"])  # (steps, blocks)
    shares = [_share(block, history) for block in blocks]
    absent = [None] * len(logs)
    return {
        "name": str(name),
        "layers": blocks,
        "steps": [int(step) for step in history.labels["step"]],
        "log10": [_numbers(column) for column in logs.T],
        "skip_share": [absent if share is None else share for share in shares] if any(shares) else None,
        "loss": None,
    }


def _share(block: str, history: Measurement) -> list[float | None] | None:
    """Of the residual sums in a block, step by step; None where there are none, the mean where there are several."""
    residuals = [str(residual) for residual in history.labels["residual"]]
    inside = [i for i, name in enumerate(residuals) if name.split("#")[0] == block or name.startswith(f"{block}.")]
    return _numbers(history["skip_share"][:, inside].mean(axis=1)) if inside else None


def _numbers(values: Array) -> list[float | None]:
    """Four digits behind the point; null where there is no finite number."""
    return [round(float(value), 4) if math.isfinite(value) else None for value in values]


def _last(lanes: list[dict[str, Any]]) -> dict[str, float | None]:
    """log10 of the norm at each layer in the last step."""
    return {
        f"{lane['name']}: {layer}" if lane["name"] else layer: column[-1]
        for lane in lanes
        for layer, column in zip(lane["layers"], lane["log10"], strict=True)
    }
