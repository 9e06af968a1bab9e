"""Rows of the table on another device: their functions close over NumPy arrays, which have to come along."""

from __future__ import annotations

import types

import numpy as np

from tinyres.arrays import to_device


def moved(value, device="cuda"):
    """The value with every NumPy array in it on `device`: in tuples, lists and dictionaries, and in what a function
    closes over."""
    if isinstance(value, np.ndarray):
        return to_device(value, device)
    if type(value) in (tuple, list):
        return type(value)(moved(v, device) for v in value)
    if type(value) is dict:
        return {k: moved(v, device) for k, v in value.items()}
    if not isinstance(value, types.FunctionType) or value.__module__.startswith("tinyres"):
        return value
    code, known = value.__code__, value.__globals__
    own = {n: moved(known[n], device) for n in code.co_names if isinstance(known.get(n), np.ndarray)}
    cells = tuple(types.CellType(moved(c.cell_contents, device)) for c in value.__closure__ or ())
    defaults = moved(value.__defaults__, device) if value.__defaults__ else None
    made = types.FunctionType(code, known | own, value.__name__, defaults, cells)
    made.__kwdefaults__ = value.__kwdefaults__
    return made
