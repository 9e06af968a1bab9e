"""Notes: what an instrument that watches a run keeps in its checkpoint, to continue from after a resume."""

from __future__ import annotations

from typing import Any, TypeAlias

from tinyres.autograd.tensor import Array

Notes: TypeAlias = tuple[dict[str, Array], dict[str, Any]]  # arrays by name, and JSON values


def with_notes(arrays: dict[str, Any], about: dict[str, Any], notes: Notes | None) -> Notes:
    """A run's log, with the notes if there are any."""
    if notes is None:
        return arrays, about
    return arrays | {f"notes.{name}": value for name, value in notes[0].items()}, about | {"notes": notes[1]}


def notes_of(arrays: dict[str, Array], about: dict[str, Any]) -> Notes | None:
    """The notes in a log; None if there are none. Raises TypeError or ValueError if they are no notes."""
    if "notes" not in about:
        return None
    own = {key.removeprefix("notes."): value for key, value in arrays.items() if key.startswith("notes.")}
    return own, dict(about["notes"])


__all__ = ["Notes", "notes_of", "with_notes"]
