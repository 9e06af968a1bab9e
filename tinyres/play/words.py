"""Messages as text: floats as Python's repr gives them, what JSON lacks as words, arrays in base64 or as lists."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import numpy as np

NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
PACKED = ("boundary", "level", "images")  # sent in base64


def text(message: Mapping[str, Any]) -> str:
    """A message as one line of JSON."""
    return json.dumps(jsonable(message), separators=(",", ":"), allow_nan=False)


def jsonable(value: Any, name: str = "") -> Any:
    """Values as JSON has them; a float32 becomes the double of the same value, so it passes bit for bit."""
    if isinstance(value, float):
        return value if math.isfinite(value) else _word(value)
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, Mapping):
        return {str(key): jsonable(entry, str(key)) for key, entry in value.items()}
    if isinstance(value, np.ndarray) and name in PACKED:
        little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        data = b64encode(little.tobytes()).decode()
        return {"shape": list(value.shape), "dtype": little.dtype.str[1:], "data": data}
    if isinstance(value, (np.ndarray, np.generic)):
        return jsonable(value.tolist())
    return [jsonable(entry) for entry in value]


def number(value: Any) -> Any:
    """A value from the page: its words for what JSON lacks become floats again."""
    return NAMES.get(value, value) if isinstance(value, str) else value


def _word(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
