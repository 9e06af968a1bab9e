"""Attention: each query takes a mean of values, weighted by how well the keys fit."""

from __future__ import annotations

import math
from typing import Any

from tinyres_kernels.settings import Attention

from tinyres.arrays import empty, kernels_for, namespace
from tinyres.arrays.memory import LEAST
from tinyres.arrays.random import Rng
from tinyres.autograd.calling import primitive, public
from tinyres.autograd.tensor import raw
from tinyres.context import layers_are_watched
from tinyres.ops.attention_weights import attention_weights
from tinyres.ops.dropout import dropout
from tinyres.ops.indexing import getitem
from tinyres.ops.linalg import matmul
from tinyres.ops.shape import permute, reshape
from tinyres.refusals.kinds import FLAG
from tinyres.refusals.wording import describe

NAME = "scaled_dot_product_attention"


def _composed(query, key, value, *, scale, causal):
    """By way of the matrix of all weights: what the fused kernels must equal, and what higher orders differentiate."""
    return matmul(attention_weights(NAME, query, key, None, causal, scale), value)


def _heads(x):
    """(..., L, E) as kernels take it, (N, L, H, E): of four axes a view, which is how a projection leaves its heads."""
    return x.transpose(0, 2, 1, 3) if x.ndim == 4 else x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:])[:, :, None]


def _unheads(x, shape):
    return x.transpose(0, 2, 1, 3) if len(shape) == 4 else x.reshape(shape)


@primitive(aux=True, decomposition=_composed)
def scaled_dot_product_attention_(query, key, value, *, scale, causal):
    q, k, v = _heads(query), _heads(key), _heads(value)
    (N, L, H, _), V = q.shape, v.shape[3]
    out, lse = empty((N, L, H, V), like=q), empty((N, H, L), like=q)
    kernels_for(q, k, v).attention(q, k, v, out, lse, Attention(scale, causal))
    return _unheads(out, (*query.shape[:-1], V)), lse


def _dx(g, query, key, value, y, aux, scale, causal):
    given = [_heads(x) for x in (g, query, key, value, y)]
    found = [empty(x.shape, like=x) for x in given[1:4]]
    kernels_for(*given).attention_dx(*given, aux, *found, Attention(scale, causal))
    return tuple(_unheads(x, of.shape) for x, of in zip(found, (query, key, value), strict=True))


scaled_dot_product_attention_.vjp_joint(_dx)


def _cut(projected, heads):
    """Queries, keys and values, (N, L, H, D) each, as views of one projection (N, L, 3 H D)."""
    n, length, width = projected.shape
    cut = projected.reshape(n, length, 3, heads, width // (3 * heads))
    return [cut[:, :, part] for part in range(3)]


def _joined_composed(projected, *, heads, scale, causal):
    n, length, width = projected.shape
    cut = permute(reshape(projected, (n, length, 3, heads, width // (3 * heads))), (2, 0, 3, 1, 4))  # (3, N, H, L, D)
    y = _composed(*(getitem(cut, part) for part in range(3)), scale=scale, causal=causal)
    return reshape(permute(y, (0, 2, 1, 3)), (n, length, width // 3))


@primitive(aux=True, decomposition=_joined_composed)
def self_attention_(projected, *, heads, scale, causal):
    q, k, v = _cut(projected, heads)
    n, length = projected.shape[:2]
    out, lse = empty(q.shape, like=projected), empty((n, heads, length), like=projected)
    kernels_for(projected).attention(q, k, v, out, lse, Attention(scale, causal))
    return out.reshape(n, length, projected.shape[2] // 3), lse


def _joined_dx(g, projected, y, aux, heads, scale, causal):
    given = _cut(projected, heads)
    out = empty(projected.shape, like=projected)
    above, means = (a.reshape(given[0].shape) for a in (g, y))
    kernels_for(projected).attention_dx(above, *given, means, aux, *_cut(out, heads), Attention(scale, causal))
    return out


self_attention_.vjp(projected=_joined_dx)


def self_attention(projected: Any, heads: int, is_causal: bool) -> Any:
    """Attention of a sequence to itself, its heads read from one projection and written next to each other.

    Shapes: projected (N, L, 3 H D), where a row holds the queries of all heads, their keys, and their values; y
    (N, L, H D).
    """
    scale = 1 / math.sqrt(max(projected.shape[2] // (3 * heads), 1))
    return self_attention_(projected, heads=heads, scale=scale, causal=bool(is_causal))


def is_worth_fusing(weights: int, dtype: Any) -> bool:
    """Whether the kernels are worth calling for so many weights of this dtype: few of them, NumPy does as quickly."""
    return bool(weights * dtype.itemsize >= LEAST and dtype.kind == "f")


def _fused(query: Any, key: Any, value: Any) -> bool:
    """Whether the fused kernels take these, are worth it, and nobody watches: they never write the weights down."""
    if layers_are_watched():
        return False
    q, k, v = raw(query), raw(key), raw(value)
    return (
        is_worth_fusing(math.prod(q.shape[:-1]) * k.shape[-2], q.dtype)
        and q.dtype == k.dtype == v.dtype
        and q.shape[:-2] == k.shape[:-2] == v.shape[:-2]
        and namespace(q) is namespace(k) is namespace(v)
    )


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

    Without attn_mask and dropout, large arrays are taken block by block, and no matrix of weights is ever stored:
    memory grows with L + S instead of L S (Milakov & Gimelshein 2018 [milakov2018online], Dao et al. 2022
    [dao2022flashattention]). There, NaN and infinity in a key may also reach queries that a causal mask hides it from.

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
    if value.ndim < 2 or key.ndim < 2 or value.shape[-2] != key.shape[-2]:
        raise ValueError(
            f"{NAME}: needs a key (..., S, E) and a value (..., S, V) with the same S, got {describe(raw(key))} and "
            f"{describe(raw(value))}"
        )
    if is_causal is not False:
        FLAG.check(NAME, "is_causal", is_causal)
    fits = query.ndim >= 2 and query.shape[-1] == key.shape[-1]  # if not, `attention_weights` says so
    if fits and attn_mask is None and not dropout_p and _fused(query, key, value):
        scale = 1 / math.sqrt(max(query.shape[-1], 1)) if scale is None else float(scale)
        return scaled_dot_product_attention_(query, key, value, scale=scale, causal=bool(is_causal))
    weights = attention_weights(NAME, query, key, attn_mask, is_causal, scale)
    return matmul(dropout(weights, dropout_p, rng=rng) if dropout_p else weights, value)


__all__ = ["scaled_dot_product_attention"]
