"""An operation of a trace."""

from __future__ import annotations

from dataclasses import dataclass, field


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
