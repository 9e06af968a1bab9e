"""Embedding: a learned vector for each symbol."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres import ops
from tinyres.arrays import device_of
from tinyres.autograd.tensor import wrap
from tinyres.nn import init
from tinyres.nn.convert import as_array
from tinyres.nn.init import Rng
from tinyres.nn.module import Module, Parameter


class Embedding(Module):
    """Look up rows of a table: y[..., :] = weight[index[...], :].

    The gradient of a row is the sum over all places where its index occurs, and 0 if there are none.

    Shapes: index (...) of integers in [0, num_embeddings), weight (num_embeddings, embedding_dim), y (...,
    embedding_dim). The weight starts as N(0, 1), as in PyTorch.

    Args:
        padding_idx: a row for padding: it starts as 0 and gets no gradient. A negative number counts from the end.

    Raises:
        ValueError: padding_idx is not a row of the table.
        TypeError: the indices are not integers.
        IndexError: an index is outside the table (negative ones are); on a GPU its vector is NaN instead.
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, *, rng: Rng = None
    ) -> None:
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(
                f"Embedding: padding_idx must be one of the {num_embeddings} rows, 0 to {num_embeddings - 1}, "
                f"got {padding_idx}"
            )
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), np.float32))
        init.normal_(self.weight, rng=rng)
        if self.padding_idx is not None:
            values = self.weight.data.copy()
            values[self.padding_idx] = 0
            self.weight.data = values

    def forward(self, index: Any) -> Any:
        index = as_array(index)
        if index.dtype.kind not in "iu":
            raise TypeError(
                f"{self.label()}: indices must be integers, got {index.dtype}; convert with .astype('int64')"
            )
        if device_of(index) == "cpu":
            low, high = (int(index.min()), int(index.max())) if index.size else (0, -1)
            if low < 0 or high >= self.num_embeddings:
                raise IndexError(
                    f"{self.label()}: indices must be in 0 to {self.num_embeddings - 1}, got {low if low < 0 else high}"
                )
            y = ops.getitem(self.weight, index)  # (..., embedding_dim)
        else:  # raising an error would mean waiting for the GPU
            outside = (index < 0) | (index >= self.num_embeddings)
            y = ops.getitem(self.weight, ops.where(outside, 0, index))  # (..., embedding_dim)
            y = ops.where(wrap(outside[..., None]), math.nan, y)
        if self.padding_idx is None:
            return y
        return ops.where(wrap((index == self.padding_idx)[..., None]), y.detach(), y)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


__all__ = ["Embedding"]
