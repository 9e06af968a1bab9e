"""Hyper-connections: several residual streams, which each branch reads, writes and mixes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import ops
from tinyres.nn.module import Module, Parameter
from tinyres.nn.residual import Residual
from tinyres.ops.linalg import matmul
from tinyres.ops.sinkhorn import sinkhorn


class HyperConnections(Residual):
    """X' = M X + w F(r X): the branch F reads a mean of n streams, and is written to all of them, which are mixed.

    X is (..., n, E), r (1, n), w (n, 1), M (n, n); with n = 1, M = r = w = 1 it is `Residual`. All three are learned
    and do not depend on X (the static form). Zhu et al. 2024 [zhu2024hyper], "Hyper-connections".

    mixing="free": M starts as the identity, w as ones, and r as the stream number `index` alone.
    mixing="doubly stochastic": M = sinkhorn(L), r = sigmoid(R), w = 2 sigmoid(W), so that M keeps the mean of the
    streams and lengthens nothing, however many layers there are; it starts near the same values. Xie et al. 2025
    [xie2025mhc], "mHC: Manifold-constrained hyper-connections".

    Args:
        branch: F, of vectors (..., E).
        streams: n.
        mixing: "free" or "doubly stochastic".
        index: the branch's number in the net; at the start it reads the stream index mod n.
        iterations: of Sinkhorn.

    Raises:
        ValueError: streams < 1, there is no such mixing, or X has another number of streams.
    """

    def __init__(
        self, branch: Module, streams: int = 4, mixing: str = "free", index: int = 0, iterations: int = 20
    ) -> None:
        if streams < 1:
            raise ValueError(f"HyperConnections: streams must be at least 1, got {streams}")
        if mixing not in ("free", "doubly stochastic"):
            raise ValueError(f"HyperConnections: mixing must be 'free' or 'doubly stochastic', got {mixing!r}")
        constrained = mixing == "doubly stochastic"
        read = np.zeros((1, streams))
        read[0, index % streams] = 1
        super().__init__(_ReadAndWrite(branch, read, constrained), Mixing(streams, constrained, iterations))
        self.streams, self.mixing = streams, mixing

    def forward(self, x: Any, relu: bool = False, **options: Any) -> Any:
        if x.ndim < 2 or x.shape[-2] != self.streams:
            raise ValueError(
                f"{self.label()}: needs {self.streams} streams, (..., {self.streams}, E), got {tuple(x.shape)}; "
                "widen one stream with x[..., None, :].expand(...)"
            )
        return super().forward(x, relu, **options)

    def extra_repr(self) -> str:
        return f"streams={self.streams}, mixing={self.mixing!r}"


class Mixing(Module):
    """M X: each stream becomes a combination of all. `matrix()` is M."""

    def __init__(self, streams: int, constrained: bool, iterations: int) -> None:
        self.constrained, self.iterations = constrained, iterations
        # e^-8 beside 1: nearly the identity, and far enough from an underflow to learn.
        start = -8.0 * (1 - np.eye(streams)) if constrained else np.eye(streams)
        self.weight = Parameter(start.astype(np.float32))

    def matrix(self) -> Any:
        """M, (n, n)."""
        return sinkhorn(self.weight, self.iterations) if self.constrained else self.weight

    def forward(self, x: Any) -> Any:
        return matmul(self.matrix(), x)


class _ReadAndWrite(Module):
    """w F(r X)."""

    def __init__(self, branch: Module, read: Any, constrained: bool) -> None:
        self.branch, self.constrained = branch, constrained
        start = 8.0 * (2 * read - 1) if constrained else read
        self.read = Parameter(start.astype(np.float32))
        self.write = Parameter(np.full((read.size, 1), 0.0 if constrained else 1.0, np.float32))

    def forward(self, x: Any, **options: Any) -> Any:
        read, write = self.read, self.write
        if self.constrained:
            read, write = ops.sigmoid(read), 2 * ops.sigmoid(write)
        y = self.branch(matmul(read, x)[..., 0, :], **options)
        return write * y[..., None, :]


__all__ = ["HyperConnections", "Mixing"]
