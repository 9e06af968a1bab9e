"""Groups of parameters: what an optimiser is given, and what it is to load, checked before it is taken."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinyres.autograd.tensor import Tensor
from tinyres.nn.convert import as_array, fill_like
from tinyres.refusals.kinds import FLAG, is_number

_BELOW_ONE, _ANY = (0.0, 1.0), (0.0, math.inf)
_LIMITS = {"dampening": (-math.inf, math.inf)}
_LIMITS |= dict.fromkeys(("lr", "weight_decay", "eps", "momentum"), _ANY) | dict.fromkeys(
    ("betas", "alpha"), _BELOW_ONE
)
_FLAGS = ("nesterov", "centered")
_MISSING = ("amsgrad", "maximize")  # PyTorch's settings that change a step, and that no optimiser here has


def checked_group(
    kind: str, given: Mapping[str, Any], defaults: Mapping[str, Any], taken: Sequence[Tensor]
) -> dict[str, Any]:
    """A group as an optimiser keeps it: "params" as a list, then every setting; names of parameters in "param_names".

    Args:
        kind: the class of the optimiser, for messages.
        taken: the parameters that are in other groups.

    Raises:
        ValueError, TypeError: see `Optimizer`.
    """
    if not isinstance(given, Mapping) or "params" not in given:
        got = f"a dict with {sorted(given)}" if isinstance(given, Mapping) else f"a {type(given).__name__}"
        raise TypeError(f'{kind}: a group of parameters is a dict with "params" among its keys, got {got}')
    if isinstance(given["params"], (set, frozenset)):
        raise TypeError(f"{kind}: got a set of parameters, which has no order to save their states in: pass a list")
    params = [given["params"]] if isinstance(given["params"], Tensor) else list(given["params"])
    named = [isinstance(p, tuple) and len(p) == 2 and isinstance(p[0], str) for p in params]
    if any(named) and not all(named):
        raise ValueError(f"{kind}: name all parameters of a group, or none of them")
    names, params = [p[0] for p in params if any(named)], [p[1] if any(named) else p for p in params]
    for i, p in enumerate(params, len(taken)):
        if not isinstance(p, Tensor) or not p.is_leaf or not np.issubdtype(p.dtype, np.floating):
            raise TypeError(f"{kind}: params[{i}] must be a leaf tensor of a floating dtype, got {p!r:.80}")
    if len({id(p) for p in params}) != len(params):
        raise ValueError(f"{kind}: a parameter is there twice and would take two steps at a time; pass it once")
    in_two = [p for p in params if any(p is other for other in taken)]
    if in_two:
        raise ValueError(
            f"{kind}: {len(in_two)} of the parameters, the first of shape {in_two[0].shape}, are in another group as "
            "well and would take two steps at a time; put each into one group"
        )
    group = {**defaults, **given, "params": params}
    for name, value in group.items():
        if name in _FLAGS:
            FLAG.check(kind, name, value)
        if name in _LIMITS:
            low, high = _LIMITS[name]
            found = value if isinstance(value, (tuple, list)) else (value,)
            many = 2 if name == "betas" else 1
            if not all(map(is_number, found)) or len(found) != many:
                needed = "a number" if many == 1 else f"{many} numbers"
                raise TypeError(f"{kind}: {name} must be {needed}, got {value!r:.80}")
            if not all(low <= v < high for v in found):
                raise ValueError(f"{kind}: {name} must be at least {low:g} and below {high:g}, got {value}")
    return {"params": params, **group, **({"param_names": names} if names else {})}


def read_state(
    what: str, state_dict: Mapping[str, Any], settings: Sequence[str], sizes: Sequence[int]
) -> tuple[list[dict[str, Any]], list[Mapping[str, Any]]]:
    """The settings of every group, and the state of every parameter in order.

    Args:
        what: the method, for messages.
        settings: those that every group must have; others are kept, as "initial_lr" and PyTorch's own.
        sizes: how many parameters each group has.

    Raises:
        ValueError: see `Optimizer.load_state_dict`.
    """
    if not {"state", "param_groups"} <= state_dict.keys():
        raise ValueError(f"{what}: needs the entries 'state' and 'param_groups', got {sorted(map(str, state_dict))}")
    saved = list(state_dict["param_groups"])
    if len(saved) != len(sizes):
        raise ValueError(f"{what}: needs {len(sizes)} groups of parameters, got {len(saved)}")
    groups = []
    for group, size in zip(saved, sizes, strict=True):
        own = {name: value for name, value in group.items() if name not in ("params", "param_names")}
        if not set(settings) <= own.keys():
            raise ValueError(f"{what}: needs the settings {sorted(settings)}, got {sorted(own)}")
        if any(own.get(name) for name in _MISSING):
            wrong = next(name for name in _MISSING if own.get(name))
            raise ValueError(f"{what}: {wrong} was on there, which tinyres does not have")
        if len(group["params"]) != size:
            of = "" if len(sizes) == 1 else " in a group"
            raise ValueError(f"{what}: needs the state of {size} parameters{of}, got that of {len(group['params'])}")
        groups.append({n: tuple(v) if isinstance(v, list) and n in settings else v for n, v in own.items()})
    states = state_dict["state"]
    return groups, [states.get(i, {}) for group in saved for i in group["params"]]


def loaded_state(what: str, i: int, p: Tensor, state: Mapping[str, Any]) -> dict[str, Any]:
    """The state of params[i] in its dtype, device and layout; a step count as a number.

    Raises:
        ValueError: an array has another shape than the parameter.
    """
    found = {}
    for name, value in state.items():
        if name == "step":
            found[name] = int(value)
        elif hasattr(value, "shape"):
            if tuple(value.shape) != p.shape:
                raise ValueError(f"{what}: {name} of params[{i}] must have shape {p.shape}, got {tuple(value.shape)}")
            found[name] = fill_like(p.data, as_array(value))
        elif value is not None:  # PyTorch's momentum_buffer without momentum
            found[name] = value
    return found


__all__ = ["checked_group", "loaded_state", "read_state"]
