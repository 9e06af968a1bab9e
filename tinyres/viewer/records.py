"""What a trace holds: operations, events, and where they were called."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinyres.viewer.summaries import Thumbnail, Whole


@dataclass(slots=True)
class Op:
    """What is told of a node, without holding it.

    Attributes:
        kind: the primitive's name, "leaf" or "constant".
        path: of module names; root: which root module that lies in, see `Names`.
        inputs: serials of the inputs, aligned with args and roles; None: not kept.
        value: its place among the summaries; None: the tape did not keep it.
        place: file and line of the user's call.
        again: computed by a checkpoint's second run.
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


class Passes:
    """What a trace holds.

    Attributes:
        lanes: names of the losses.
        ops: the operations, parents before consumers.
        events: in the order of execution, as schema.json describes them.
        joins: where the routes of a sum rejoin.
        grads: what arrived at leaves in all, by lane and operation: places among the summaries.
        summaries: arrays, whole or as thumbnails.
        sources: the user's line at each place.
    """

    lanes: list[str]
    ops: list[Op]
    events: list[list[Any]]
    joins: list[dict[str, Any]]
    grads: dict[tuple[int, int], int | None]
    summaries: list[Whole | Thumbnail]
    sources: dict[tuple[str, int], str]


def file_name(path: str) -> str:
    """As a reader knows it: a notebook's cells lie in temporary files, whose names say nothing."""
    return "the notebook's cell" if Path(path).parent.name.startswith("ipykernel_") else path
