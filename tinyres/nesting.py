"""Nested dictionaries and lists as arrays by name and one text: how `tr.save` writes the checkpoint of a training loop.

    {"model": {"weight": w}, "epoch": 3}  ->  {"model.weight": w}, '{"model": {"weight": ...}, "epoch": 3}' or nearly so

The text is JSON, in which each value is a pair of its kind and its content, for JSON has no tuples, and its keys are
texts: [[key, value], ...] is a dictionary whose keys may be numbers. Nothing in it can run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

KEY = "tinyres.nested"  # the name of the text among a file's metadata
PLAIN = (str, int, float, bool, type(None))


def is_nested(state: Mapping[Any, Any], is_array: Callable[[Any], bool]) -> bool:
    """Whether this needs more than arrays by name."""
    return not all(isinstance(key, str) and is_array(value) for key, value in state.items())


def flatten(state: Any, is_array: Callable[[Any], bool]) -> tuple[dict[str, Any], str]:
    """(arrays by name, text). A name is the path to the array, its parts joined by dots.

    Raises:
        TypeError: a value or a key is of no kind that can be kept; the message says where it stands.
        ValueError: a container holds itself.
    """
    arrays: dict[str, Any] = {}

    def inside(value: Any, path: tuple[str, ...], around: tuple[int, ...]) -> list[Any]:
        if isinstance(value, np.generic) and isinstance(value.item(), PLAIN):
            value = value.item()
        if isinstance(value, PLAIN):
            return ["value", value]
        if is_array(value):
            name = ".".join(path) or "tensor"
            while name in arrays or name == "__metadata__":
                name += "'"
            arrays[name] = value
            return ["array", name]
        if id(value) in around:
            raise ValueError(f"save: {_at(path)} holds itself, which a file cannot")
        around = (*around, id(value))
        if isinstance(value, Mapping):
            return ["dict", [[_key(k, path), inside(v, (*path, str(k)), around)] for k, v in value.items()]]
        if isinstance(value, (list, tuple)):
            kind = "list" if isinstance(value, list) else "tuple"
            return [kind, [inside(v, (*path, str(i)), around) for i, v in enumerate(value)]]
        state_of = ": hand over its .state_dict()" if hasattr(value, "state_dict") else ""
        raise TypeError(
            f"save: {_at(path)} must be a tensor, an array, a number, a text, None, or a list, tuple or dict of these, "
            f"got {type(value).__name__}{state_of}"
        )

    return arrays, json.dumps(inside(state, (), ()))


def rebuild(text: str, arrays: Mapping[str, Any]) -> Any:
    """The inverse of `flatten`. Raises ValueError for a text that it did not write, or that lacks its arrays."""

    def outside(node: Any) -> Any:
        kind, content = node
        if kind == "array":
            return arrays[content]
        if kind == "dict":
            return {key: outside(value) for key, value in content}
        if kind in ("list", "tuple"):
            return (list if kind == "list" else tuple)(map(outside, content))
        if kind != "value" or not isinstance(content, PLAIN):
            raise ValueError(f"no kind of value: {kind!r}")
        return content

    try:
        made = outside(json.loads(text))
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"its text {KEY!r} is damaged: {error!r}") from error
    if isinstance(made, PLAIN):
        raise ValueError(f"its text {KEY!r} holds no dictionary, list or array")
    return made


def plain(value: Any) -> Any:
    """JSON values of arrays, NumPy numbers and containers. JSON has no NaN and no infinity: they become null."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _key(key: Any, path: tuple[str, ...]) -> Any:
    if not isinstance(key, PLAIN):
        raise TypeError(f"save: a key of {_at(path)} must be a text or a number, got {key!r} of {type(key).__name__}")
    return key


def _at(path: tuple[str, ...]) -> str:
    return repr(".".join(path)) if path else "the whole"
