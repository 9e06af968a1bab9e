"""How much each query attends to each key: the softmax of scaled products, with masks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres.arrays import device_of, namespace
from tinyres.autograd.tensor import raw, wrap
from tinyres.ops.elementwise import where
from tinyres.ops.linalg import matmul_
from tinyres.ops.shape import matrix_transpose
from tinyres.ops.softmax import softmax_
from tinyres.refusals.wording import describe


def attention_weights(op: str, query: Any, key: Any, attn_mask: Any, is_causal: bool, scale: float | None) -> Any:
    """softmax(query key^T scale + mask) over the keys, (..., L, S); 0 where a row is masked as a whole.

    The arguments are those of `scaled_dot_product_attention`; `op` begins the errors.
    """
    if query.ndim < 2 or key.ndim < 2 or query.shape[-1] != key.shape[-1]:
        raise ValueError(
            f"{op}: needs a query (..., L, E) and a key (..., S, E) with the same E, got {describe(raw(query))} and "
            f"{describe(raw(key))}"
        )
    if attn_mask is not None and is_causal:
        raise ValueError(f"{op}: attn_mask and is_causal are both given; put the causal mask into attn_mask")
    scale = 1 / math.sqrt(max(query.shape[-1], 1)) if scale is None else scale
    logits = matmul_(query * scale, matrix_transpose(key))  # (..., L, S)
    allowed, added = _masks(op, logits, attn_mask, is_causal)
    logits = logits if added is None else logits + added
    if allowed is None:
        return softmax_(logits, axis=(logits.ndim - 1,))
    some = allowed.any(axis=-1, keepdims=True)
    # A row without any key keeps its logits, so that its softmax is finite, also backward; then it becomes 0.
    logits = where(_constant(allowed | ~some, logits), logits, _far_below(raw(logits)))
    weights = softmax_(logits, axis=(logits.ndim - 1,))
    return weights if _holds(some) else where(_constant(some, logits), weights, 0.0)


def _masks(op: str, logits: Any, mask: Any, is_causal: bool) -> tuple[Any, Any]:
    """Which keys a query may see, as booleans, and what is added to the logits; each None if there is nothing."""
    shape = tuple(logits.shape)
    xp = namespace(raw(logits))
    if is_causal:
        return xp.arange(shape[-1]) <= xp.arange(shape[-2])[:, None], None
    if mask is None:
        return None, None
    values = raw(mask) if hasattr(mask, "dtype") else np.asarray(mask)
    if not _fits(values.shape, shape):
        raise ValueError(
            f"{op}: attn_mask must have shape {shape[-2:]}, or one that broadcasts to {shape}, got {values.shape}"
        )
    if values.dtype.kind == "b":
        return values, None
    if values.dtype != logits.dtype:
        raise TypeError(
            f"{op}: attn_mask must hold booleans (True: this key takes part) or, like the query, {logits.dtype}, which "
            f"is added; got {values.dtype}"
        )
    blocked = values == -math.inf
    if _holds(~blocked):
        return None, mask
    return ~blocked, where(_constant(blocked, logits), 0.0, mask)


def _holds(mask: Any) -> bool:
    """Whether a mask holds everywhere. To know it would mean waiting for a GPU, where it may hold unnoticed."""
    return device_of(mask) == "cpu" and bool(mask.all())


def _far_below(logits: Any) -> Any:
    """A finite number whose exponential is 0 beside that of any of the logits, which `tr.detect_anomaly` lets pass."""
    xp = namespace(logits)
    if not logits.size:
        return -math.inf
    least = logits.min()  # of the logits' device and dtype
    return xp.where(least > -math.inf, 2 * xp.minimum(least, 0) - 100 * logits.dtype.itemsize, -math.inf)


def _fits(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether an array of `shape` broadcasts to `whole`."""
    pairs = zip(reversed(shape), reversed(whole), strict=False)
    return len(shape) <= len(whole) and all(n in (1, m) for n, m in pairs)


def _constant(mask: Any, like: Any) -> Any:
    return wrap(mask) if hasattr(like, "node") else mask


__all__ = ["attention_weights"]
