"""Data classes of a trace: operations, events, and where they were called."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinyres.viewer.summaries import Thumbnail, Whole


@dataclass(slots=True)
class Op:
    """An operation in a trace; it does not keep the node alive.

    Attributes:
        kind: the primitive's name, "leaf" or "constant".
        path: dotted module names; root: the root module they belong to, see `Names`.
        inputs: serials of the inputs, aligned with args and roles; None: not kept.
        value: index of its value's summary; None: the tape did not keep it.
        place: file and line of the user's call.
        again: recomputed by a checkpoint in the backward pass.
    """

    kind: str
    path: str
    root: int | None
    inputs: list[float | None]
    args: list[str]
    shape: tuple[int, ...]
    dtype: str
    name: str = ""
    value: int | None = None
    roles: tuple[str, ...] | None = None
    static: dict[str, str] = field(default_factory=dict)
    place: tuple[str, int] | None = None
    again: bool = False


class TraceData:
    """The contents of a trace.

    Attributes:
        lanes: names of the losses.
        ops: the operations, parents before consumers.
        events: in execution order, in the format of schema.json.
        joins: where the routes of a residual sum rejoin.
        grads: the total gradient of each leaf, by lane and operation: indices into summaries.
        summaries: arrays, in full or as thumbnails.
        sources: the user's source line at each place.
        classes: of the modules, by path.
        rejoined: for each residual sum, what came through each route, by the event after which all of it is there.
        silent: arguments of residual sums that got no gradient, and why.
        first: the event to look at first, and what it shows.
    """

    lanes: list[str]
    ops: list[Op]
    events: list[list[Any]]
    joins: list[dict[str, Any]]
    grads: dict[tuple[int, int], int | None]
    summaries: list[Whole | Thumbnail]
    sources: dict[tuple[str, int], str]
    classes: dict[str, str]
    rejoined: dict[int, list[str]]
    silent: list[dict[str, Any]]
    first: dict[str, Any] | None


def file_name(path: str) -> str:
    """A file name for the reader: notebook cells live in temporary files with meaningless names."""
    return "the notebook's cell" if Path(path).parent.name.startswith("ipykernel_") else path
