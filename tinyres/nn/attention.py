"""Multi-head attention as a module; the function is `F.scaled_dot_product_attention`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres.arrays.random import rng_of
from tinyres.autograd.tensor import raw, wrap
from tinyres.context import layers_are_watched
from tinyres.nn import functional as F
from tinyres.nn import init
from tinyres.nn.convert import check_dtype
from tinyres.nn.init import Rng
from tinyres.nn.layers import Linear
from tinyres.nn.module import Module, Parameter
from tinyres.ops.attention import is_worth_fusing, self_attention
from tinyres.ops.attention_weights import attention_weights
from tinyres.ops.elementwise import where
from tinyres.ops.linalg import matmul
from tinyres.ops.reduction import mean
from tinyres.ops.shape import permute, reshape
from tinyres.refusals.absent import told
from tinyres.refusals.wording import describe


class MultiheadAttention(Module):
    """Attention in several heads, each on its own projections of queries, keys and values.

        head_h = softmax(Q_h K_h^T / sqrt(E / H) + mask) V_h,    Q_h, K_h, V_h = linear maps of query, key, value
        y = W_out [head_1, ..., head_H] + b_out

    Vaswani et al. 2017 [vaswani2017attention], "Attention is all you need". The three projections start as
    `xavier_uniform_` and their biases as 0, as in PyTorch, whose keys are the keys here.

    Shapes, with batch_first: query (N, L, E), key (N, S, kdim), value (N, S, vdim), y (N, L, E). Without, as PyTorch
    has it by default, the first two axes are swapped. A single sample comes without the axis N.

    Args:
        embed_dim: E, split evenly over the heads.
        num_heads: H.
        dropout: the probability with which a weight is dropped in training.
        add_bias_kv, add_zero_attn: PyTorch's extra keys, which are left out; they must be False.
        kdim, vdim: sizes of keys and values, if they are not E.
        rotary: an `nn.Rotary`, which turns queries and keys by their positions.
        rng: a generator or a seed, of the weights and the dropout.

    Raises:
        ValueError: num_heads does not divide embed_dim, or a mask or an input has a wrong shape.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        rotary: Module | None = None,
        rng: Rng = None,
    ) -> None:
        if embed_dim < 1 or num_heads < 1 or embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention: the heads share embed_dim evenly, so num_heads must divide it, got embed_dim="
                f"{embed_dim} and num_heads={num_heads}"
            )
        if add_bias_kv or add_zero_attn:
            raise ValueError("MultiheadAttention: add_bias_kv and add_zero_attn are left out; they must be False")
        if not 0 <= dropout <= 1:
            raise ValueError(f"MultiheadAttention: dropout is a probability and must be in [0, 1], got {dropout}")
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        self.rng = rng = rng_of(rng)
        alike = self.kdim == self.vdim == embed_dim
        if alike:
            self.in_proj_weight = _drawn((3 * embed_dim, embed_dim), rng)
        else:
            self.q_proj_weight = _drawn((embed_dim, embed_dim), rng)
            self.k_proj_weight = _drawn((embed_dim, self.kdim), rng)
            self.v_proj_weight = _drawn((embed_dim, self.vdim), rng)
        self.in_proj_bias = Parameter(np.zeros(3 * embed_dim, np.float32)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, rng=rng)
        if self.out_proj.bias is not None:
            init.zeros_(self.out_proj.bias)
        self.rotary = rotary

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        """(y, weights), the weights (N, L, S), or (N, H, L, S) if they are not to be averaged; None if not needed.

        Masks of booleans are True where a key must *not* be seen (in `F.scaled_dot_product_attention` it is the other
        way round: this is PyTorch's choice); floats are added to the logits. A query that sees no key gets zeros.

        Args:
            key_padding_mask: (N, S), for each sample.
            attn_mask: (L, S), or (N H, L, S) for each sample and head.
            is_causal: query i sees the keys 0 to i. PyTorch wants attn_mask as well; here it is not needed.
        """
        single = query.ndim == 2
        query, key, value = self._batched(query, key, value)
        check_dtype(self, query, self.out_proj.weight)
        dropped = self.dropout if self.training else 0.0
        alone = key_padding_mask is None and attn_mask is None and not dropped and not need_weights
        if alone and query is key is value and self._fuses(query):
            projected = F.linear(query, self.in_proj_weight, self.in_proj_bias)  # (N, T, 3 E)
            y = self_attention(projected, self.num_heads, is_causal)
            y = y if self.batch_first or single else permute(y, (1, 0, 2))
            y = self.out_proj(y)
            return (y[0] if single else y), None
        q, k, v = (
            self._heads(F.linear(x, w, b)) for x, (w, b) in zip((query, key, value), self._projections(), strict=True)
        )  # (N, H, L or S, D)
        if self.rotary is not None:
            q, k = self.rotary(q), self.rotary(k)
        mask = self._mask(q, k, key_padding_mask, attn_mask, is_causal)
        is_causal = is_causal and mask is None
        weights = None
        if need_weights or layers_are_watched():  # a fused kernel would never write the weights down
            weights = attention_weights(self.label(), q, k, mask, is_causal, None)  # (N, H, L, S)
            weights = F.dropout(weights, dropped, rng=self.rng) if dropped else weights
            y = matmul(weights, v)
        else:
            y = F.scaled_dot_product_attention(q, k, v, mask, dropped, is_causal, rng=self.rng)
        order = (0, 2, 1, 3) if self.batch_first or single else (2, 0, 1, 3)
        y = permute(y, order)
        y = self.out_proj(reshape(y, (*y.shape[:2], self.embed_dim)))
        if not need_weights:
            weights = None
        elif average_attn_weights:
            weights = mean(weights, 1)  # (N, L, S)
        return (y[0], None if weights is None else weights[0]) if single else (y, weights)

    def _fuses(self, x: Any) -> bool:
        """Whether attention of x to itself is computed in one pass from one projection."""
        n, length, _ = x.shape
        return (
            self.rotary is None
            and hasattr(self, "in_proj_weight")
            and not layers_are_watched()
            and is_worth_fusing(n * self.num_heads * length * length, x.dtype)
        )

    def _batched(self, *inputs: Any) -> list[Any]:
        """Query, key and value with the batch first, whose shapes fit."""
        if any(x.ndim != inputs[0].ndim or x.ndim not in (2, 3) for x in inputs):
            shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
            raise ValueError(f"{self.label()}: query, key and value need 3 axes, or 2 without a batch, got {shapes}")
        found: list[Any] = []
        for x in inputs:  # one tensor that comes three times stays one
            known = next((f for f, other in zip(found, inputs, strict=False) if other is x), None)
            if known is None:
                known = x[None] if x.ndim == 2 else x if self.batch_first else permute(x, (1, 0, 2))
            found.append(known)
        query, key, value = found
        sizes = (self.embed_dim, self.kdim, self.vdim)
        if (query.shape[2], key.shape[2], value.shape[2]) != sizes or key.shape[:2] != value.shape[:2] or (
            query.shape[0] != key.shape[0]
        ):  # fmt: skip
            axes = "(N, L, {}), key (N, S, {}) and value (N, S, {})".format(*sizes)
            raise ValueError(
                f"{self.label()}: needs query {axes}, here with the batch N first, got {tuple(query.shape)}, "
                f"{tuple(key.shape)} and {tuple(value.shape)}"
            )
        return found

    def _projections(self) -> list[tuple[Any, Any]]:
        """Weight and bias for the query, the key and the value."""
        e = self.embed_dim
        parts = [slice(e * i, e * (i + 1)) for i in range(3)]
        if hasattr(self, "in_proj_weight"):
            weights = [self.in_proj_weight[part] for part in parts]
        else:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        biases = [None if self.in_proj_bias is None else self.in_proj_bias[part] for part in parts]
        return list(zip(weights, biases, strict=True))

    def _heads(self, x: Any) -> Any:
        """(N, T, E) -> (N, H, T, D)."""
        n, t, e = x.shape
        return permute(reshape(x, (n, t, self.num_heads, e // self.num_heads)), (0, 2, 1, 3))

    def _mask(self, q: Any, k: Any, padding: Any, mask: Any, is_causal: bool) -> Any:
        """One mask for `F.scaled_dot_product_attention`, True where a key is seen; None if nothing but causality."""
        n, heads, length = q.shape[:3]
        keys = k.shape[2]
        found = []
        if padding is not None:
            self._check("key_padding_mask", padding, (n, keys))
            found.append(reshape(padding, (n, 1, 1, keys)))
        if mask is not None and mask.ndim == 3:
            self._check("attn_mask", mask, (n * heads, length, keys))
            found.append(reshape(mask, (n, heads, length, keys)))
        elif mask is not None:
            self._check("attn_mask", mask, (length, keys))
            found.append(mask)
        if not found:
            return None
        if is_causal:
            found.append(np.arange(keys) > np.arange(length)[:, None])
        if all(m.dtype.kind == "b" for m in found):
            hidden: Any = False
            for m in found:
                hidden = hidden | raw(m)
            return ~hidden
        total: Any = 0.0
        for m in found:
            total = total + (where(wrap(raw(m)), -math.inf, 0.0).astype(q.dtype) if m.dtype.kind == "b" else m)
        return total

    def _check(self, name: str, mask: Any, shape: tuple[int, ...]) -> None:
        if tuple(mask.shape) != shape:
            meaning = "(N, S)" if name == "key_padding_mask" else "(L, S), or (N H, L, S) with one for each head"
            got = describe(raw(mask))
            raise ValueError(f"{self.label()}: {name} must have shape {meaning}, here {shape}, got {got}")

    def extra_repr(self) -> str:
        return f"{self.embed_dim}, {self.num_heads}, dropout={self.dropout}, batch_first={self.batch_first}"


def _drawn(shape: tuple[int, int], rng: np.random.Generator) -> Parameter:
    weight = Parameter(np.empty(shape, np.float32))
    init.xavier_uniform_(weight, rng=rng)
    return weight


__all__ = ["MultiheadAttention"]
__getattr__ = told(__name__)
