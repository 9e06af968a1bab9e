"""State dict keys of PyTorch: prefixes of wrappers, and weights that parametrisations split into parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tinyres.arrays import namespace
from tinyres.autograd.tensor import Array
from tinyres.nn.convert import as_array

COMPILED, PARALLEL = "_orig_mod.", "module."
PARTS = "parametrizations.weight."  # of torch.nn.utils.parametrizations; the older functions use other names
WEIGHT_NORM = [(PARTS + "original0", PARTS + "original1"), ("weight_g", "weight_v")]
SPECTRAL_NORM = [(PARTS + "original", PARTS + "0._u", PARTS + "0._v"), ("weight_orig", "weight_u", "weight_v")]
NAMES = re.compile(r"layer\d+\.\d+\.(conv|bn)\d\.|features\.denseblock\d+\.denselayer\d+\.")


def translated(module: Any, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """`state_dict` with the names of `module`, where PyTorch has several names for the same thing.

    - Weight norm's g and v, saved by PyTorch's newer or older function, become the weight g v / |v|.
    - Spectral norm's tensors get the older names, which tinyres uses; for a layer without it they become W / (u^T W v).
    - Files from before PyTorch 0.4.1 have no batch counters: they become 0, as in PyTorch.
    """
    state = dict(state_dict)
    for path, inner in module._tree():
        start, own = f"{path}." if path else "", {name for name, _ in inner._state(recurse=False)}
        if "weight_orig" in own:
            for new, old in zip(*SPECTRAL_NORM, strict=True):
                if start + new in state:
                    state.setdefault(start + old, state.pop(start + new))
        elif "weight" in own and start + "weight" not in state:
            for g, v in _parts(state, start, WEIGHT_NORM):
                state[start + "weight"] = _of_length(v, g)
            for w, u, v in _parts(state, start, SPECTRAL_NORM):
                state[start + "weight"] = _of_norm_1(w, u, v, outputs=getattr(inner, "outputs_axis", 0))
        if "num_batches_tracked" in own and start + "running_var" in state:
            state.setdefault(start + "num_batches_tracked", np.zeros((), np.int64))
    return state


def _parts(state: dict[str, Any], start: str, forms: Iterable[tuple[str, ...]]) -> list[list[Array]]:
    """The arrays of each form of which all parts are in `state`; they are removed from it."""
    whole = [[start + name for name in form] for form in forms]
    return [[as_array(state.pop(key)) for key in keys] for keys in whole if all(key in state for key in keys)]


def _of_length(v: Array, g: Array) -> Array:
    """g v / |v|, with the norm over the axes where g has size 1, or over all axes if g is a scalar."""
    axes = tuple(axis for axis in range(v.ndim) if g.ndim == 0 or g.shape[axis] == 1)
    weight: Array = v * (g / namespace(v).sqrt((v * v).sum(axes, keepdims=True)))
    return weight


def _of_norm_1(w: Array, u: Array, v: Array, outputs: int) -> Array:
    """W / (u^T W v), with W as a matrix whose rows run along the axis `outputs`."""
    matrix = namespace(w).moveaxis(w, outputs, 0).reshape(w.shape[outputs], -1)
    weight: Array = w / (u @ (matrix @ v))
    return weight


def unwrapped(keys: Iterable[str]) -> dict[str, str]:
    """Each key mapped to the key without the prefixes of torch.compile and DataParallel."""
    bare = {key: re.sub(rf"(^|\.){re.escape(COMPILED)}", r"\1", key) for key in keys}
    while bare and all(key.startswith(PARALLEL) for key in bare.values()):
        bare = {key: inner.removeprefix(PARALLEL) for key, inner in bare.items()}
    return bare


def advice(own: Iterable[str], given: Iterable[str]) -> list[str]:
    """Sentences of advice about names that do not fit; none if we know nothing about them."""
    own, bare = set(own), unwrapped(given)
    said = []
    if not own.isdisjoint(bare.values()):
        for word, whose in ((COMPILED, "torch.compile"), (PARALLEL, "torch.nn.DataParallel")):
            if any(key.count(word) > inner.count(word) for key, inner in bare.items()):
                said.append(
                    f"{whose} put {word!r} into the keys: take it out, "
                    f"{{key.replace({word!r}, '', 1): value for key, value in state_dict.items()}}"
                )
    elif any(NAMES.match(key) for key in bare.values()):
        said.append(
            "these are the names of one of PyTorch's ResNets or DenseNets: models.from_pytorch(state_dict) makes the "
            "net that they belong to"
        )
    return said


__all__ = ["advice", "translated", "unwrapped"]
