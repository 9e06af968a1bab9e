"""Optimiser state as arrays by name and texts, for safetensors files.

    arrays, texts = optim.flat(optimizer.state_dict())
    tr.save(arrays, "adam.safetensors", texts)
    ...
    optimizer.load_state_dict(optim.nested(tr.load("adam.safetensors"), tr.load_metadata("adam.safetensors")))

It comes back the same to the last bit, so that training continues as if it had not stopped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinyres.autograd.tensor import Array

KEY = "optimizer"  # the name of the text
MOST = 1_000_000  # parameters of one optimiser; a limit, so that a damaged count does not fill the memory


def flat(state_dict: Mapping[str, Any]) -> tuple[dict[str, Array], dict[str, str]]:
    """Flatten the result of `Optimizer.state_dict` to (arrays, texts), which `tr.save` takes.

    The array `name` of parameter i is called "i.name", e.g. "3.exp_avg"; a step count is an array of no dimensions.
    The groups are JSON, in the text called "optimizer": the settings of each, and in "params" how many it holds.
    """
    numbers = [i for group in state_dict["param_groups"] for i in group["params"]]
    arrays = {
        f"{at}.{name}": value if hasattr(value, "dtype") else np.asarray(value)
        for at, i in enumerate(numbers)
        for name, value in state_dict["state"].get(i, {}).items()
    }
    about = {"param_groups": [{**group, "params": len(group["params"])} for group in state_dict["param_groups"]]}
    return arrays, {KEY: json.dumps(about, default=lambda number: number.item())}  # JSON takes no np.float32


def nested(arrays: Mapping[str, Array], texts: Mapping[str, str], parameters: int | None = None) -> dict[str, Any]:
    """The inverse of `flat`: what `Optimizer.load_state_dict` takes.

    Args:
        parameters: how many parameters the optimiser has, if known: a file with another number is then rejected early.

    Raises:
        ValueError: the text "optimizer" is missing or was not made by `flat`, the number of parameters differs, or an
            array's name is not "i.name" with i below that number.
    """
    if KEY not in texts:
        raise ValueError(
            f"nested: needs the text {KEY!r} that flat made, got {sorted(texts)}; save both results of flat"
        )
    groups, count = _read(texts[KEY])
    if count != (count if parameters is None else parameters):
        raise ValueError(f"nested: the state has {count} parameters, the optimiser {parameters}")
    state: dict[int, dict[str, Any]] = {}
    for key, value in arrays.items():
        index, _, name = key.partition(".")
        if not re.fullmatch("[0-9]+", index) or int(index) >= count or not name:
            raise ValueError(
                f"nested: arrays must be called 'i.name' with i below {count}, got {key!r}; "
                "keep a model's weights in a file of their own"
            )
        state.setdefault(int(index), {})[name] = int(value) if value.dtype.kind in "iu" else value
    return {"state": dict(sorted(state.items())), "param_groups": groups}


def _read(text: str) -> tuple[list[dict[str, Any]], int]:
    """The groups, and the number of all their parameters."""
    groups, count = [], 0
    try:
        for saved in json.loads(text)["param_groups"]:
            group = {name: tuple(v) if isinstance(v, list) else v for name, v in saved.items()}
            size = group["params"]
            if type(size) is not int or not 0 <= size <= MOST - count:
                raise ValueError(f"a group of {size!r} parameters: needs a number, in all from 0 to {MOST:,}")
            groups.append({**group, "params": list(range(count, count + size))})
            count += size
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"nested: the text {KEY!r} was not made by flat: {text[:60]!r}") from error
    return groups, count


__all__ = ["flat", "nested"]
