"""A full training step of a small GPT in float32: 4 blocks, width 128, 4 heads, context 64; forward, backward, AdamW.

Ours, and the same by PyTorch's own modules from the same weights. See steps.py for the race.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import cycle
from typing import Any

import numpy as np

from tinyres import models
from tinyres.bench import library
from tinyres.bench.library import Library

LAYERS, WIDTH, HEADS, CONTEXT, SYMBOLS = 4, 128, 4, 64, 96

Step = Callable[[], Any]  # gives the loss; nothing waits for it


@lru_cache(maxsize=256)  # every peer's are the same
def problem(batch: int, seed: int = 0) -> tuple[Any, Any]:
    """Symbols (N, T), and those that come next, in a row (N T,)."""
    drawn = np.random.default_rng(seed).integers(0, SYMBOLS, (batch, CONTEXT + 1))
    return np.ascontiguousarray(drawn[:, :-1]), drawn[:, 1:].reshape(-1)


def net() -> models.GPT:
    """The model, the same for everyone."""
    return models.gpt(LAYERS, WIDTH, HEADS, symbols=SYMBOLS, context=CONTEXT, rng=0)


def ours(batch: int, device: str = "cpu", sets: int = 1) -> Step:
    """A step that returns the loss; the batches are `sets` different ones, in turn."""
    model = net().to(device)
    return _training(library.ours(device), model, list(model.parameters()), batch, sets)


def _training(lib: Library, model: Callable[[Any], Any], parameters: list[Any], batch: int, sets: int) -> Step:
    batches = cycle([[lib.put(a) for a in problem(batch, seed)] for seed in range(sets)])
    optimizer = lib.optim.AdamW(parameters, lr=1e-3)

    def step() -> Any:
        optimizer.zero_grad()
        symbols, following = next(batches)
        loss = lib.ops.cross_entropy(model(symbols).reshape(-1, SYMBOLS), following)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def pytorch(channels_last: bool, batch: int, device: str = "cpu", sets: int = 1) -> Step:
    """The same with PyTorch's modules. There are no images, so its memory formats are one; it is raced twice."""
    from torch import nn

    lib = library.pytorch(channels_last, device)
    state = {name: lib.put(value.numpy().copy()) for name, value in net().state_dict().items()}
    hidden = nn.Transformer.generate_square_subsequent_mask(CONTEXT).to(lib.device)
    blocks = [
        nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True)
        for _ in range(LAYERS)
    ]
    for i, block in enumerate(blocks):
        start = f"blocks.{i}."
        block.load_state_dict({k.removeprefix(start): v for k, v in state.items() if k.startswith(start)})
        block.to(lib.device)
    symbols, places, weight, bias = (
        state[name].requires_grad_() for name in ("stem.weight", "positions.weight", "norm.weight", "norm.bias")
    )

    def model(index: Any) -> Any:
        x = nn.functional.embedding(index, symbols) + places
        for block in blocks:
            x = block(x, src_mask=hidden, is_causal=True)
        return nn.functional.layer_norm(x, (WIDTH,), weight, bias) @ symbols.T

    learned = [symbols, places, weight, bias, *(p for block in blocks for p in block.parameters())]
    return _training(lib, model, learned, batch, sets)
