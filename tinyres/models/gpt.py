"""GPT: a Transformer that predicts the next symbol."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from tinyres import nn, ops
from tinyres.arrays.random import rng_of
from tinyres.context import no_grad
from tinyres.nn import init

POSITIONS = ("learned", "rotary")


class GPT(nn.Module):
    """head(norm(blocks(embedding(symbols) + positions))); see `gpt`. Instruments watch the children of `blocks`.

    Attributes:
        context: the most symbols that it looks at.
        settings: the arguments with which `gpt` makes another one of the same kind.
    """

    def __init__(
        self,
        stem: nn.Embedding,
        blocks: list[nn.Module],
        norm: nn.Module | None,
        head: nn.Linear,
        positions: nn.Embedding | None,
        streams: int,
        context: int,
        settings: dict[str, Any],
    ) -> None:
        self.stem, self.positions, self.blocks = stem, positions, nn.Sequential(*blocks)
        self.norm, self.head = norm, head
        self.streams, self.context, self.settings = streams, context, settings

    def forward(self, index: Any) -> Any:
        """Symbols (N, T), integers, to logits (N, T, symbols) of the symbol that comes next at each place."""
        if index.ndim != 2 or index.shape[1] > self.context:
            raise ValueError(
                f"{self.label()}: needs symbols of shape (N, T) with T at most {self.context}, the context that it was "
                f"made for, got {tuple(index.shape)}"
            )
        x = self.stem(index)  # (N, T, width)
        if self.positions is not None:
            x = x + self.positions.weight[: index.shape[1]]
        if self.streams > 1:
            x = ops.expand(x[:, :, None], (*x.shape[:2], self.streams, x.shape[2]))
        x = self.blocks(x)
        if self.streams > 1:
            x = ops.mean(x, 2)
        return self.head(x if self.norm is None else self.norm(x))

    def sample(self, start: Any, length: int, temperature: float = 1.0, *, rng: nn.init.Rng = None) -> Any:
        """Draw `length` symbols, one after the other, each from softmax(logits / temperature) of those before it.

        Args:
            start: (T,) symbols to go on from, at least one.
            temperature: 0 takes the likeliest symbol.
            rng: a generator or a seed.

        Returns:
            (length,) int64.
        """
        symbols = [int(s) for s in start]
        if not symbols or length < 0 or temperature < 0:
            raise ValueError(
                "sample: needs at least one symbol to go on from, a length and a temperature of at least 0, got "
                f"{len(symbols)} symbols, length {length} and temperature {temperature}"
            )
        rng, training = rng_of(rng), self.training
        self.eval()
        try:
            with no_grad():
                for _ in range(length):
                    index = np.array([symbols[-self.context :]])
                    logits = self(index)[0, -1].to("cpu").numpy().astype("float64")
                    if temperature == 0:
                        symbols.append(int(logits.argmax()))
                    else:
                        shares = np.exp((logits - logits.max()) / temperature)
                        symbols.append(int(rng.choice(len(shares), p=shares / shares.sum())))
        finally:
            self.train(training)
        return np.array(symbols[len(symbols) - length :], np.int64)


def gpt(
    layers: int = 4,
    width: int = 128,
    heads: int | None = None,
    *,
    symbols: int = 256,
    context: int = 64,
    norm: str = "pre",
    norm_layer: str = "layer",
    activation: str = "gelu",
    positions: str = "learned",
    tied: bool = True,
    dropout: float = 0.0,
    streams: int = 1,
    mixing: str = "free",
    dynamic: bool = False,
    rng: nn.init.Rng = None,
) -> GPT:
    """A Transformer with causal attention: `layers` blocks of `nn.TransformerEncoderLayer`, then a norm and a head.

    Weights start as N(0, 0.02²), those that end a branch smaller by sqrt(2 layers), biases as 0: Radford et al. 2019
    [radford2019language], "Language models are unsupervised multitask learners". DeepNorm keeps its own.

    Args:
        layers: blocks, each with attention and a feed-forward net of 4 width hidden units.
        width: of the residual stream.
        heads: None: one for each 32 units of width.
        symbols: how many there are.
        context: the longest sequence that it reads.
        norm: "pre", "post", "peri", "lns" or "deep": where the norms stand. With all but "post" and "deep" there is one
            before the head.
        norm_layer: "layer" or "rms".
        activation: "gelu", "relu", "silu" or "swiglu".
        positions: "learned", a vector for each place; or "rotary", see `nn.Rotary`.
        tied: the head's weight is that of the embedding (Press & Wolf 2017 [press2017using], "Using the output
            embedding to improve language models").
        streams: more than 1: that many residual streams with `nn.HyperConnections`; they begin as copies, and the head
            reads their mean. mixing: "free" or "doubly stochastic". dynamic: how they are mixed depends on them.
        rng: what is drawn from, weights and dropout: a Generator or a seed.

    Raises:
        ValueError: heads do not divide width, or a setting does not exist.
    """
    settings = {name: value for name, value in locals().items() if name != "rng"}
    heads = max(1, width // 32) if heads is None else heads
    for name, value, least in (("layers", layers, 1), ("symbols", symbols, 1), ("context", context, 1)):
        if value < least:
            raise ValueError(f"gpt: {name} must be at least {least}, got {value}")
    if heads < 1 or width < 1 or width % heads:
        raise ValueError(f"gpt: the heads share the width evenly, got width={width} and heads={heads}")
    _one_of("positions", positions, POSITIONS)
    kind = {"layer": nn.LayerNorm, "rms": nn.RMSNorm}[_one_of("norm_layer", norm_layer, ("layer", "rms"))]
    if streams < 1 or (streams > 1 and norm == "deep"):
        raise ValueError(f"gpt: streams must be at least 1, and 1 with norm='deep', got {streams} with norm={norm!r}")
    rng = rng_of(rng)
    rotary = nn.Rotary(width // heads) if positions == "rotary" else None

    def block(i: int) -> nn.Module:
        joined: Any = nn.Residual
        if streams > 1:  # read one stream after the other, so that all are used from the start
            numbers = iter((2 * i, 2 * i + 1))
            joined = lambda branch: nn.HyperConnections(
                branch, streams, mixing, next(numbers), dynamic=dynamic, width=width
            )
        return nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, activation, batch_first=True, norm=norm, norm_layer=kind, index=i + 1,
            layers=layers, causal=True, rotary=rotary, connection=joined, rng=rng,
        )  # fmt: skip

    stem = nn.Embedding(symbols, width, rng=rng)
    places = nn.Embedding(context, width, rng=rng) if positions == "learned" else None
    head = nn.Linear(width, symbols, bias=False, rng=rng)
    last: Any = None if norm in ("post", "deep") else kind(width)
    model = GPT(stem, [block(i) for i in range(layers)], last, head, places, streams, context, settings)
    _start(model, layers, norm == "deep", rng)
    if tied:
        head.weight = stem.weight
    return model


def _start(model: GPT, layers: int, deep: bool, rng: np.random.Generator) -> None:
    """GPT-2's weights; DeepNorm's blocks are drawn already."""
    small = partial(init.normal_, std=0.02, rng=rng)
    ends = partial(init.normal_, std=0.02 / math.sqrt(2 * layers), rng=rng)
    small(model.stem.weight), small(model.head.weight)
    if model.positions is not None:
        small(model.positions.weight)
    for block in [] if deep else model.blocks:
        small(block.self_attn.in_proj_weight), small(block.linear1.weight)
        ends(block.self_attn.out_proj.weight), ends(block.linear2.weight)
        init.zeros_(block.linear1.bias), init.zeros_(block.linear2.bias)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"gpt: {name} must be one of {', '.join(known)}, got {value!r}")
    return value


__all__ = ["GPT", "gpt"]
