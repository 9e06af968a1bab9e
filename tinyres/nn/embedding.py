"""Embedding: a learned vector for each symbol."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.nn import init
from tinyres.nn.init import Rng
from tinyres.nn.module import Module, Parameter
from tinyres.ops.lookup import rows_of


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
        return rows_of(self.label(), self.weight, index, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


__all__ = ["Embedding"]
