"""An HTML page of a recorded training: `viewer.save(recording, "run.html")`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinyres.autograd.tensor import Array
from tinyres.flow.instruments.record import Recording
from tinyres.flow.measurement import Measurement
from tinyres.viewer import page, picture
from tinyres.viewer.summaries import json_number
from tinyres.viewer.tracing import Trace, document

Recorded = Recording | Measurement
Losses = Iterable[Any] | Mapping[str, Iterable[Any]]
Chart = tuple[str, Mapping[str, Iterable[Any]], bool]


def save(
    recorded: Recorded | Mapping[str, Recorded],
    path: str | Path,
    trace: Trace | None = None,
    title: str | None = None,
    losses: Losses | None = None,
    curves: Mapping[str, Sequence[Chart]] | None = None,
) -> None:
    """Write a self-contained page that shows a recorded training: log10 of the gradient norm, by layer and step.

        with recording:  # recording = flow.record(model)
            loss.backward()
        viewer.save(recording, "run.html")
        viewer.save({"D": of_d, "G": of_g}, "gan.html", losses={"D": d_losses, "G": g_losses})

    Args:
        recorded: a recording, its `history()`, or a dict of several by player name.
        path: where to write the page; an existing file is replaced.
        trace: a trace of one step, to step through on the same page.
        title: of the page.
        losses: one per training step or one per recorded step; for several recordings a dict of lists by name.
        curves: charts below a recording's map, by its name ("" where there is one): (title, lines by name with a value
            per recorded step, whether the axis is logarithmic), as `flow.GameWatch.curves` gives them.

    Raises:
        TypeError: `recorded` is not a recording.
        ValueError: nothing has been recorded yet, or losses or curves have the wrong number or names without a
            recording.
        FileNotFoundError: the folder does not exist.
        IsADirectoryError: `path` is a folder.
    """
    found = described(recorded, losses, curves)
    still = picture.bars(_last(found["lanes"])) if trace is None else picture.draw(trace)
    page.write(path, page.fill(document(trace, found, title), still))


def described(
    recorded: Recorded | Mapping[str, Recorded],
    losses: Losses | None = None,
    curves: Mapping[str, Sequence[Chart]] | None = None,
) -> dict[str, Any]:
    """The document's entry "run"."""
    several = isinstance(recorded, Mapping) and not isinstance(recorded, Measurement)  # a Measurement is a Mapping too
    lanes: Mapping[str, Any] = recorded if several else {"": recorded}  # type: ignore[assignment]
    if not lanes:
        raise ValueError("save: there is no recording to show; pass at least one flow.record(model)")
    of: Any = losses if several else {"": losses}
    if losses is not None and isinstance(losses, Mapping) != several:
        raise ValueError("save: losses must be a list for one recording, or a dict of lists by name for several")
    if several and losses is not None and set(of) - set(lanes):
        raise ValueError(f"save: losses for {', '.join(map(repr, of))}, recordings for {', '.join(map(repr, lanes))}")
    if set(curves or {}) - set(lanes):
        raise ValueError(f"save: curves for {', '.join(map(repr, curves or {}))}, recordings for "
                         f"{', '.join(map(repr, lanes))}")  # fmt: skip
    found = {name: _lane(name, entry, (of or {}).get(name)) for name, entry in lanes.items()}
    for name, charts in (curves or {}).items():
        found[name]["curves"] = [_chart(chart, len(found[name]["steps"])) for chart in charts]
    return {"lanes": list(found.values())}


def _lane(name: str, recorded: Any, losses: Iterable[Any] | None) -> dict[str, Any]:
    history = recorded.history() if isinstance(recorded, Recording) else recorded
    if not isinstance(history, Measurement) or "backward_norm" not in history:
        what = f"save: {name}" if name else "save"
        raise TypeError(f"{what}: needs a flow.record(model) or its history(), got {type(recorded).__name__}")
    blocks = [str(block) for block in history.labels["block"]]
    arrived = ~np.isnan(history["gradient_histogram"][..., 0])  # the norm would not do: a NaN norm may have arrived
    shares = [_share(block, history) for block in blocks]
    steps = [int(step) for step in history.labels["step"]]
    absent = [None] * len(steps)
    return {
        "name": str(name),
        "layers": blocks,
        "steps": steps,
        "log10": [
            [_log10(norm) if there else None for norm, there in zip(norms, seen, strict=True)]
            for norms, seen in zip(history["backward_norm"].T, arrived.T, strict=True)
        ],
        "skip_share": [absent if share is None else share for share in shares] if any(shares) else None,
        "loss": None if losses is None else _losses(name, losses, steps),
    }


def _chart(chart: Chart, steps: int) -> dict[str, Any]:
    title, lines, log = chart
    drawn = []
    for name, given in lines.items():
        values = [float(value) for value in given]
        if len(values) != steps:
            raise ValueError(f"save: {title}: {name} has {len(values)} values, but there are {steps} recorded steps")
        drawn.append({"name": name, "values": [None if math.isnan(v) else json_number(v) for v in values]})
    return {"title": title, "log": log, "lines": drawn}


def _losses(name: str, losses: Iterable[Any], steps: list[int]) -> list[float | str]:
    """The losses of the recorded steps."""
    given = [float(loss) for loss in losses]
    if len(given) != len(steps):
        if len(given) <= steps[-1]:
            of = f" of {name}" if name else ""
            raise ValueError(
                f"save: {len(given)} losses{of}, but {len(steps)} recorded steps, the last of them step {steps[-1]}; "
                "pass the loss of every training step, or of every recorded step"
            )
        given = [given[step] for step in steps]
    return [json_number(loss) for loss in given]


def _log10(norm: float) -> float | str | None:
    """log10 rounded to four decimals; None for 0."""
    found = picture.log10(float(norm))
    return None if found == -math.inf else round(found, 4) if math.isfinite(found) else json_number(found)


def _share(block: str, history: Measurement) -> list[float | None] | None:
    """Skip share of a block by step: the mean over its residual sums, None if it has none."""
    residuals = [str(residual) for residual in history.labels["residual"]]
    inside = [i for i, name in enumerate(residuals) if name.split("#")[0] == block or name.startswith(f"{block}.")]
    inside = [i for i in inside if not np.isnan(history["skip_share"][:, i]).all()]
    return _numbers(history["skip_share"][:, inside].mean(axis=1)) if inside else None


def _numbers(values: Array) -> list[float | None]:
    """Values rounded to four decimals; None if not finite."""
    return [round(float(value), 4) if math.isfinite(value) else None for value in values]


def _last(lanes: list[dict[str, Any]]) -> dict[str, float]:
    """log10 of each layer's gradient norm in the last step."""
    return {
        f"{lane['name']}: {layer}" if lane["name"] else layer: float("-inf" if column[-1] is None else column[-1])
        for lane in lanes
        for layer, column in zip(lane["layers"], lane["log10"], strict=True)
    }
