"""An optimiser's state in the form of files: arrays by name, and texts.

    arrays, texts = optim.flat(optimizer.state_dict())
    tr.save(arrays, "adam.safetensors", texts)
    ...
    optimizer.load_state_dict(optim.nested(tr.load("adam.safetensors"), tr.load_metadata("adam.safetensors")))

What comes back is the same to the last bit, so that training goes on as if it had not stopped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinyres.tensor import Array

KEY = "optimizer"  # the one text


def flat(state_dict: Mapping[str, Any]) -> tuple[dict[str, Array], dict[str, str]]:
    """What `Optimizer.state_dict` gives as (arrays, texts), which `tr.save` takes.

    The array `name` of parameter i is called "i.name", e.g. "3.exp_avg"; a step count is an array of no dimensions.
    The settings and the number of parameters are JSON, in the text called "optimizer".
    """
    arrays = {
        f"{i}.{name}": value if hasattr(value, "dtype") else np.asarray(value)
        for i, state in enumerate(state_dict["state"])
        for name, value in state.items()
    }
    about = {"settings": dict(state_dict["settings"]), "parameters": len(state_dict["state"])}
    return arrays, {KEY: json.dumps(about, default=lambda number: number.item())}  # NumPy's float32 is no float


def nested(arrays: Mapping[str, Array], texts: Mapping[str, str]) -> dict[str, Any]:
    """The inverse of `flat`: what `Optimizer.load_state_dict` takes.

    Raises:
        ValueError: the text "optimizer" is missing, or an array's name is not "i.name" with i below the number of
            parameters.
    """
    if KEY not in texts:
        raise ValueError(
            f"nested: needs the text {KEY!r} that flat made, got {sorted(texts)}; save both of its results"
        )
    about = json.loads(texts[KEY])
    settings = {name: tuple(v) if isinstance(v, list) else v for name, v in about["settings"].items()}
    state: list[dict[str, Any]] = [{} for _ in range(about["parameters"])]
    for key, value in arrays.items():
        index, _, name = key.partition(".")
        if not re.fullmatch("[0-9]+", index) or int(index) >= len(state) or not name:
            raise ValueError(
                f"nested: arrays must be called 'i.name' with i below {len(state)}, got {key!r}; "
                "keep a model's weights in a file of their own"
            )
        state[int(index)][name] = int(value) if value.dtype.kind in "iu" else value
    return {"settings": settings, "state": state}


__all__ = ["flat", "nested"]
