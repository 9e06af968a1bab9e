"""What the header of a saved run says, read with distrust: a file may come from anywhere, or be damaged."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from types import NoneType
from typing import Any, get_args

import numpy as np

from tinyres.files import load, load_metadata

WORDS = {int: "a whole number", float: "a finite number", str: "a text", bool: "True or False", NoneType: "None"}


class CheckpointError(ValueError):
    """A file that this run cannot go on from. Prepare the run again before it is used otherwise."""


def check_types(values: Any, hints: Mapping[str, Any]) -> None:
    """Hold the fields of a recipe against their types; no text is a depth, and no rate is NaN or infinite.

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


def read(path: str | PathLike[str], key: str, form: str, otherwise: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The JSON object in the text `key`, whose "format" is `form`, and all texts.

    Raises:
        CheckpointError: there is none; the message ends with `otherwise`.
        FileFormatError, FileNotFoundError: see `tr.load_metadata`.
    """
    texts = load_metadata(path)
    try:
        about = json.loads(texts.get(key, "{}"))
    except (ValueError, RecursionError):  # another program's text of that name
        about = None
    if not isinstance(about, dict) or about.get("format") != form:
        raise CheckpointError(f"{path}: {otherwise}")
    return about, texts


def in_proportion(path: str | PathLike[str], depth: int | None = None, **sizes: int | None) -> None:
    """Hold what a recipe says of a net against the weights in the same file, before a net of that size is built.

    Every layer has an array of its own, and width or latent is the length of an axis of one.

    Raises:
        CheckpointError: the recipe is of a larger net than the file.
        FileFormatError: see `tr.load`.
    """
    arrays = load(path)
    axes = {length for array in arrays.values() for length in array.shape}
    if depth is not None and depth > len(arrays):
        raise CheckpointError(f"{path}: its recipe says depth {depth}, and it holds {len(arrays)} arrays")
    for name, size in sizes.items():
        if size is not None and size not in axes:
            raise CheckpointError(f"{path}: its recipe says {name} {size}, and none of its arrays has such an axis")


def step(about: Mapping[str, Any], total: int) -> int:
    """The number of steps taken.

    Raises:
        ValueError: it is no whole number from 0 to `total`.
    """
    taken = about["step"]
    if not _is(taken, int) or not 0 <= taken <= total:
        raise ValueError(f"it is at step {taken!r}, and the run has {total}")
    return int(taken)


def scores(found: Any, taken: int) -> list[dict[str, Any]]:
    """What the test set said after some of the steps.

    Raises:
        ValueError: an entry is no {"step": up to `taken`, in order, "loss": finite, "accuracy": from 0 to 1}.
    """
    before = 0
    for entry in found if isinstance(found, list) else [found]:
        whole = isinstance(entry, dict) and entry.keys() == {"step", "loss", "accuracy"} and _is(entry["step"], int)
        if not (whole and before <= entry["step"] <= taken and _is(entry["loss"], float)
                and _is(entry["accuracy"], float) and 0 <= entry["accuracy"] <= 1):  # fmt: skip
            raise ValueError(f"its scores hold {str(entry)[:80]!r}, which is no score of a step before {taken}")
        before = entry["step"]
    return found  # type: ignore[no-any-return]


def same(what: str, found: Any, expected: Mapping[str, Any]) -> None:
    """Hold settings that follow from the recipe against what was built from it.

    Raises:
        ValueError: they are others, or no settings.
    """
    plain = json.loads(json.dumps(dict(expected), default=lambda number: number.item()))
    if not isinstance(found, dict) or found.keys() != plain.keys():
        raise ValueError(f"{what} has other settings than {', '.join(plain)}")
    for name, value in plain.items():
        if json.dumps(found[name]) != json.dumps(value):
            raise ValueError(f"{what}: {name} is {found[name]!r}, and {value!r} follows from the recipe")


def known(arrays: Iterable[str], *starts: str) -> None:
    """Hold the names of a file's arrays against what they may begin with: one that is misspelt would be missing.

    Raises:
        ValueError: an array is called otherwise.
    """
    other = next((name for name in arrays if not name.startswith(starts)), None)
    if other is not None:
        raise ValueError(f"its array {other!r} is none of a run")


def rows(name: str, array: Any, shape: Sequence[int]) -> Any:
    """An array of finite float64 of this shape.

    Raises:
        ValueError: it is another one.
    """
    if array.shape != tuple(shape) or array.dtype != np.float64 or not np.isfinite(array).all():
        kind = f"{array.dtype} of shape {array.shape}"
        raise ValueError(f"{name} are {kind}; finite float64 of shape {tuple(shape)} are needed")
    return array
