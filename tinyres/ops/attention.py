"""Attention: each query takes a mean of values, weighted by how well the keys fit."""

from __future__ import annotations

from typing import Any

from tinyres.arrays.random import Rng
from tinyres.autograd.calling import public
from tinyres.autograd.primitive import describe
from tinyres.autograd.tensor import raw
from tinyres.ops.attention_weights import attention_weights
from tinyres.ops.dropout import dropout
from tinyres.ops.linalg import matmul


@public
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    *,
    rng: Rng = None,
) -> Any:
    """y = softmax(Q K^T scale + mask) V, the softmax over the keys (Vaswani et al. 2017 [vaswani2017attention]).

    Shapes: query (..., L, E), key (..., S, E), value (..., S, V), y (..., L, V); the axes before are batch and heads.

    Args:
        attn_mask: broadcasts to (..., L, S). Booleans: True where the query may see the key. Floats are added to the
            logits; -inf hides a key. A query that sees no key at all gets y = 0, and no gradient.
        dropout_p: the probability with which a weight is set to 0. It applies at each call, also in evaluation: pass 0.
        is_causal: query i sees the keys 0 to i; without attn_mask only.
        scale: default 1 / sqrt(E).
        rng: a generator or a seed for the dropout.

    Raises:
        ValueError: the shapes do not fit together, or attn_mask and is_causal are both given.
        TypeError: attn_mask holds neither booleans nor numbers of the query's dtype.
    """
    op = "scaled_dot_product_attention"
    if value.ndim < 2 or key.ndim < 2 or value.shape[-2] != key.shape[-2]:
        raise ValueError(
            f"{op}: needs a key (..., S, E) and a value (..., S, V) with the same S, got {describe(raw(key))} and "
            f"{describe(raw(value))}"
        )
    weights = attention_weights(op, query, key, attn_mask, is_causal, scale)
    return matmul(dropout(weights, dropout_p, rng=rng) if dropout_p else weights, value)


__all__ = ["scaled_dot_product_attention"]
