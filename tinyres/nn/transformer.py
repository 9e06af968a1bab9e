"""A Transformer's block, with the norm where you want it: before, after or around its branches; and a stack of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np

from tinyres.arrays.random import rng_of
from tinyres.nn import init
from tinyres.nn.activation import GELU, ReLU, SiLU, SwiGLU
from tinyres.nn.attention import MultiheadAttention
from tinyres.nn.container import ModuleList
from tinyres.nn.dropout import Dropout
from tinyres.nn.init import Rng
from tinyres.nn.layer_norm import LayerNorm, RMSNorm
from tinyres.nn.layers import Linear
from tinyres.nn.module import Module
from tinyres.nn.residual import Residual

NORMS = ("pre", "post", "peri", "lns", "deep")
ACTIVATIONS = {"relu": ReLU, "gelu": GELU, "silu": SiLU, "swiglu": SwiGLU}


class TransformerEncoderLayer(Module):
    """Two residual connections, the first around attention, the second around a feed-forward net on each position.

    With A one of the two branches and N a norm, each connection is

        norm="post"  N(x + A(x))                   Vaswani et al. 2017 [vaswani2017attention]; PyTorch's default
        norm="pre"   x + A(N(x))                   Xiong et al. 2020 [xiong2020layer]; PyTorch's norm_first=True
        norm="peri"  x + N'(A(N(x)))               Kim et al. 2025 [kim2025peri]
        norm="lns"   x + A(N(x) / sqrt(l))         LayerNorm scaling, l = `index`: Sun et al. 2025 [sun2025curse]
        norm="deep"  N(a x + A(x))                 DeepNorm, a = (2 `layers`)^(1/4): Wang et al. 2022 [wang2022deepnet]

    Each is an `nn.Residual`, called `attention` and `mlp` in names, so instruments see skip and branch. The weights are
    under PyTorch's keys. DeepNorm also draws the weights of values, output and feed-forward smaller, by
    b = (8 layers)^(-1/4).

    Shapes: x and y (N, T, d_model) with batch_first, else (T, N, d_model); or (T, d_model).

    Args:
        d_model: the width.
        nhead: of attention; must divide d_model.
        dim_feedforward: hidden units of the feed-forward net.
        dropout: of attention weights, hidden units and both branches.
        activation: "relu", "gelu", "silu", "swiglu" (whose first layer is twice as wide), or a function of tensors.
        norm_first: PyTorch's way to say norm="pre".
        norm: see above; None: what norm_first says.
        norm_layer: `nn.LayerNorm` or `nn.RMSNorm`.
        index: l of "lns", counted from 1.
        layers: the number of blocks in the net, for "deep".
        causal: each position sees itself and those before it, in every call.
        rotary: an `nn.Rotary` for the heads.
        connection: makes a residual connection of a branch (for "deep": of a branch and a shortcut): `nn.Residual`; or,
            for several streams, `functools.partial(nn.HyperConnections, streams=4)`.
        rng: a generator or a seed, of weights and dropout.

    Raises:
        ValueError: nhead does not divide d_model, or there is no such norm or activation.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        norm: str | None = None,
        norm_layer: type[LayerNorm | RMSNorm] = LayerNorm,
        index: int = 1,
        layers: int = 1,
        causal: bool = False,
        rotary: Module | None = None,
        connection: Callable[..., Residual] = Residual,
        rng: Rng = None,
    ) -> None:
        norm = ("pre" if norm_first else "post") if norm is None else norm
        if norm not in NORMS:
            raise ValueError(f"TransformerEncoderLayer: norm must be one of {', '.join(NORMS)}, got {norm!r}")
        if isinstance(activation, str) and activation not in ACTIVATIONS:
            raise ValueError(
                f"TransformerEncoderLayer: activation must be one of {', '.join(ACTIVATIONS)}, or a function, "
                f"got {activation!r}"
            )
        if index < 1 or layers < 1:
            raise ValueError(f"TransformerEncoderLayer: index and layers count from 1, got {index} and {layers}")
        rng = rng_of(rng)
        self.norm, self.norm_first, self.index, self.causal = norm, norm == "pre", index, causal
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, rotary=rotary, rng=rng
        )
        self.activation = ACTIVATIONS[activation]() if isinstance(activation, str) else activation
        wide = dim_feedforward * (2 if isinstance(self.activation, SwiGLU) else 1)
        self.linear1 = Linear(d_model, wide, bias, rng=rng)
        self.dropout = Dropout(dropout, rng=rng)
        self.linear2 = Linear(dim_feedforward, d_model, bias, rng=rng)
        new_norm = partial(norm_layer, d_model, layer_norm_eps, **({"bias": bias} if norm_layer is LayerNorm else {}))
        self.norm1, self.norm2 = new_norm(), new_norm()
        if norm == "peri":
            self.norm3, self.norm4 = new_norm(), new_norm()
        self.dropout1, self.dropout2 = Dropout(dropout, rng=rng), Dropout(dropout, rng=rng)
        deep = norm == "deep"
        self.attention, self.mlp = (
            connection(Branch(branch), **({"shortcut": _Times((2 * layers) ** 0.25)} if deep else {}))
            for branch in (self._attend, self._feed)
        )
        if deep:
            self._shrink((8 * layers) ** -0.25, rng)

    def forward(self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Any:
        """The masks are those of `MultiheadAttention`, True where a key must not be seen."""
        masks = {"attn_mask": src_mask, "key_padding_mask": src_key_padding_mask, "is_causal": is_causal or None}
        x = self.attention(src, **{name: mask for name, mask in masks.items() if mask is not None})
        x = self.norm1(x) if self.norm in ("post", "deep") else x
        x = self.mlp(x)
        return self.norm2(x) if self.norm in ("post", "deep") else x

    def _attend(self, x: Any, **masks: Any) -> Any:
        x = self._normed(self.norm1, x)
        masks = {"is_causal": self.causal, **masks}
        x = self.self_attn(x, x, x, need_weights=False, **masks)[0]
        return self.dropout1(self.norm3(x) if self.norm == "peri" else x)

    def _feed(self, x: Any) -> Any:
        x = self.linear1(self._normed(self.norm2, x))
        x = self.linear2(self.dropout(self.activation(x)))
        return self.dropout2(self.norm4(x) if self.norm == "peri" else x)

    def _normed(self, norm: Module, x: Any) -> Any:
        """What a branch begins with."""
        if self.norm in ("post", "deep"):
            return x
        return norm(x) * (1 / math.sqrt(self.index)) if self.norm == "lns" else norm(x)

    def _shrink(self, gain: float, rng: Any) -> None:
        """DeepNorm's start: queries and keys by Glorot's rule, all others smaller by `gain`."""
        e = self.self_attn.embed_dim
        weight = self.self_attn.in_proj_weight
        values = weight.data.copy()
        values[2 * e :] *= gain  # drawn by Glorot's rule already
        weight.data = values
        for layer in (self.self_attn.out_proj, self.linear1, self.linear2):
            init.xavier_normal_(layer.weight, gain, rng=rng)

    def extra_repr(self) -> str:
        return f"norm={self.norm!r}"


class TransformerEncoder(Module):
    """The same layer several times, then a norm if there is one: y = norm(layer_n(... layer_1(x))).

    The layers are copies of the one given, so all start from its weights, as PyTorch's do; their dropout draws from one
    generator. Of norm="lns" each copy has its own `index`. Keys are PyTorch's: `layers.0.linear1.weight`, and
    `norm.weight`. Vaswani et al. 2017 [vaswani2017attention].

    Shapes: x and y as of the layer, (T, N, d_model), or (N, T, d_model) with batch_first.

    Args:
        enable_nested_tensor, mask_check: for PyTorch's sake; there are no nested tensors.

    Raises:
        ValueError: num_layers is not positive.
    """

    def __init__(
        self,
        encoder_layer: TransformerEncoderLayer,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        if num_layers < 1:
            raise ValueError(f"TransformerEncoder: num_layers must be at least 1, got {num_layers}")
        held = (value for module in encoder_layer.modules() for value in vars(module).values())
        shared = {id(value): value for value in held if isinstance(value, np.random.Generator)}
        self.layers = ModuleList(deepcopy(encoder_layer, dict(shared)) for _ in range(num_layers))
        for index, layer in enumerate(self.layers, 1):
            layer.index = index
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool | None = None
    ) -> Any:
        """The masks go to every layer; see `MultiheadAttention`."""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, bool(is_causal))
        return src if self.norm is None else self.norm(src)


class Branch(Module):
    """A method of the layer as a branch. The modules in it belong to the layer, under PyTorch's names."""

    def __init__(self, compute: Callable[..., Any]) -> None:
        self.compute = compute

    def forward(self, x: Any, **masks: Any) -> Any:
        return self.compute(x, **masks)


class _Times(Module):
    """y = factor x."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def forward(self, x: Any) -> Any:
        return x * self.factor

    def extra_repr(self) -> str:
        return f"{self.factor:.4g}"


__all__ = ["NORMS", "TransformerEncoder", "TransformerEncoderLayer"]
