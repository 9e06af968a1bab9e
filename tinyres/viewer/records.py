"""An operation of a trace, and where it was called."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


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


def file_name(path: str) -> str:
    """As a reader knows it: a notebook's cells lie in temporary files, whose names say nothing."""
    return "the notebook's cell" if Path(path).parent.name.startswith("ipykernel_") else path
