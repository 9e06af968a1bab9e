"""Checks of what a saved run says, because a file may come from anywhere, or be damaged."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from types import NoneType
from typing import Any, get_args

import numpy as np

from tinyres.files import load

WORDS = {int: "a whole number", float: "a finite number", str: "a text", bool: "True or False", NoneType: "None"}


class CheckpointError(ValueError):
    """A file from which this run cannot be resumed."""


def check_types(values: Any, hints: Mapping[str, Any]) -> None:
    """Check the types of a recipe's fields: a text is no depth, and a rate is neither NaN nor infinite.

    Raises:
        ValueError: a field is of another type; it names the field, what came and what is needed.
    """
    for name, hint in hints.items():
        value, allowed = getattr(values, name), get_args(hint) or (hint,)
        if not any(_is(value, kind) for kind in allowed):
            needed = " or ".join(WORDS[kind] for kind in allowed)
            raise ValueError(f"{name} must be {needed}, got {value!r}")


def _is(value: Any, kind: type) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return kind is bool
    if kind is int:
        return isinstance(value, (int, np.integer))
    if kind is float:
        return isinstance(value, (int, float, np.integer, np.floating)) and bool(abs(float(value)) < math.inf)
    return isinstance(value, kind)


def check_sizes(path: str | PathLike[str], recipe: Any) -> None:
    """Check the sizes in a recipe against the weights in the same file, before a model of these sizes is built.

    Every layer has an array of its own; width, latent, the classes of conditional players and the context of a text
    are each an axis of some array.

    Raises:
        CheckpointError: the recipe describes a larger model than the file holds.
        FileFormatError: see `tr.load`.
    """
    arrays = load(path)
    axes = {length for array in arrays.values() for length in array.shape}
    depth = getattr(recipe, "depth", None)
    if depth is not None and depth > len(arrays):
        raise CheckpointError(f"{path}: its recipe says depth {depth}, but it holds only {len(arrays)} arrays")
    sequences = str(getattr(recipe, "data", "")).startswith("text:")
    for name in ("width", "latent", "classes", *(["context"] if sequences else [])):
        size = getattr(recipe, name, None)
        if size and size not in axes:
            raise CheckpointError(f"{path}: its recipe says {name} {size}, but none of its arrays has such an axis")


def check_step(about: Mapping[str, Any], total: int) -> int:
    """The number of steps taken.

    Raises:
        ValueError: it is no whole number from 0 to `total`.
    """
    step = about["step"]
    if not _is(step, int) or not 0 <= step <= total:
        raise ValueError(f"it is at step {step!r}, but the run has {total}")
    return int(step)


def check_scores(found: Any, step: int) -> list[dict[str, Any]]:
    """The scores on the test set up to this step.

    Raises:
        ValueError: an entry is not {"step": up to `step`, in order, "loss": finite, "accuracy": from 0 to 1}.
    """
    before = 0
    for entry in found if isinstance(found, list) else [found]:
        whole = isinstance(entry, dict) and entry.keys() == {"step", "loss", "accuracy"} and _is(entry["step"], int)
        if not (whole and before <= entry["step"] <= step and _is(entry["loss"], float)
                and _is(entry["accuracy"], float) and 0 <= entry["accuracy"] <= 1):  # fmt: skip
            raise ValueError(f"its scores hold {str(entry)[:80]!r}, which is no score up to step {step}")
        before = entry["step"]
    return found  # type: ignore[no-any-return]


def check_settings(what: str, found: Any, expected: Mapping[str, Any]) -> None:
    """Check saved settings against those that follow from the recipe.

    Raises:
        ValueError: they differ, or are no settings.
    """
    plain = json.loads(json.dumps(dict(expected), default=lambda number: number.item()))
    if not isinstance(found, dict) or found.keys() != plain.keys():
        raise ValueError(f"{what} has other settings than {', '.join(plain)}")
    for name, value in plain.items():
        if json.dumps(found[name]) != json.dumps(value):
            raise ValueError(f"{what}: {name} is {found[name]!r}, but {value!r} follows from the recipe")


def check_names(arrays: Iterable[str], *starts: str) -> None:
    """Check that every array's name begins with one of `starts`: one that is misspelt would be missing.

    Raises:
        ValueError: a name begins otherwise.
    """
    other = next((name for name in arrays if not name.startswith(starts)), None)
    if other is not None:
        raise ValueError(f"its array {other!r} does not belong to such a run")


def check_array(name: str, array: Any, shape: Sequence[int]) -> Any:
    """The array, if it is finite float64 of this shape.

    Raises:
        ValueError: it is not.
    """
    if array.shape != tuple(shape) or array.dtype != np.float64 or not np.isfinite(array).all():
        kind = f"{array.dtype} of shape {array.shape}"
        raise ValueError(f"{name} must be finite float64 of shape {tuple(shape)}, got {kind}")
    return array
