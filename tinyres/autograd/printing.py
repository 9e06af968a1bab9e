"""How a tensor is printed: four digits, and what `tr.set_printoptions` changes."""

from __future__ import annotations

from typing import Any

import numpy as np

_DEFAULTS: dict[str, Any] = {"precision": 4}
_PROFILES: dict[str, dict[str, Any]] = {
    "default": {}, "short": {"precision": 2, "threshold": 1000, "edgeitems": 2}, "full": {"threshold": 10**9},
}  # fmt: skip
_options = dict(_DEFAULTS)


def set_printoptions(
    precision: int | None = None,
    threshold: int | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """How tensors are printed from now on; what is not given stays. The numbers themselves do not change.

    Args:
        precision: digits after the point.
        threshold: from so many elements on, only the first and last `edgeitems` of each axis are printed.
        linewidth: characters in a line.
        profile: "default", "short" or "full", from which the other arguments depart.
        sci_mode: True for 1.5e-03, False for 0.0015; by default, whichever the range of the numbers asks for.
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"set_printoptions: profile must be one of {', '.join(_PROFILES)}, got {profile!r}")
        _options.clear()
        _options.update(_DEFAULTS | _PROFILES[profile])
    given = {
        "precision": precision, "threshold": threshold, "edgeitems": edgeitems, "max_line_width": linewidth,
        "sci_mode": sci_mode,
    }  # fmt: skip
    _options.update({name: value for name, value in given.items() if value is not None})


def printed(array: Any, prefix: str) -> str:
    """The numbers of an array as text."""
    options = dict(_options)
    scientific, digits = options.pop("sci_mode", None), options["precision"]
    if scientific:
        options["formatter"] = {"float_kind": lambda x: f"{x:.{digits}e}"}
    elif scientific is False:
        options["formatter"] = {"float_kind": lambda x: np.format_float_positional(x, digits)}
    return np.array2string(array, separator=", ", prefix=prefix, **options)


__all__ = ["printed", "set_printoptions"]
