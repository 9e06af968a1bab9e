"""Hyper-connections: several residual streams, which each branch reads, writes and mixes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import ops
from tinyres.nn import functional as F
from tinyres.nn.module import Module, Parameter
from tinyres.nn.residual import Residual
from tinyres.ops.linalg import matmul
from tinyres.ops.sinkhorn import sinkhorn


class HyperConnections(Residual):
    """X' = M X + w F(r X): the branch F reads a mean of n streams, and is written to all of them, which are mixed.

    X is (..., n, E), r (1, n), w (n, 1), M (n, n); with n = 1, M = r = w = 1 it is `Residual`. All three are learned.
    Zhu et al. 2024 [zhu2024hyper], "Hyper-connections".

    mixing="free": M starts as the identity, w as ones, and r as the stream number `index` alone.
    mixing="doubly stochastic": M = sinkhorn(L), r = sigmoid(R), w = 2 sigmoid(W), so that M keeps the mean of the
    streams and lengthens nothing, however many layers there are; it starts near the same values. Xie et al. 2025
    [xie2025mhc], "mHC: Manifold-constrained hyper-connections".

    dynamic: M, r and w also depend on X, differently at each position (the paper's dynamic form). With N(X) each stream
    normalised to mean 0 and variance 1,

        M(X) = M + a tanh(N(X) A)^T,   r(X) = r + b tanh(N(X) B)^T,   w(X) = w + c tanh(N(X) C),

    A (E, n) and B, C (E, 1) start as 0 and the numbers a, b, c as 0.01, so that at the start it equals the static form.
    The paper has one scale for M and r, and a norm with weights of its own; two scales and a norm without weights are
    ours. So is what "doubly stochastic" adds them to, which is L, R and W: Xie et al. read all streams at once, without
    tanh.

    Args:
        branch: F, of vectors (..., E).
        streams: n.
        mixing: "free" or "doubly stochastic".
        index: the branch's number in the net; at the start it reads the stream index mod n.
        iterations: of Sinkhorn.
        dynamic: see above.
        width: E, which dynamic needs.

    Raises:
        ValueError: streams < 1, there is no such mixing, dynamic has no width, or X has another number of streams.
    """

    def __init__(
        self,
        branch: Module,
        streams: int = 4,
        mixing: str = "free",
        index: int = 0,
        iterations: int = 20,
        dynamic: bool = False,
        width: int | None = None,
    ) -> None:
        if streams < 1:
            raise ValueError(f"HyperConnections: streams must be at least 1, got {streams}")
        if mixing not in ("free", "doubly stochastic"):
            raise ValueError(f"HyperConnections: mixing must be 'free' or 'doubly stochastic', got {mixing!r}")
        if dynamic and (width is None or width < 1):
            raise ValueError(
                f"HyperConnections: dynamic=True needs width=E of the vectors, at least 1, to make its weights; "
                f"got {width}"
            )
        constrained = mixing == "doubly stochastic"
        read = np.zeros((1, streams))
        read[0, index % streams] = 1
        wide = width if dynamic else None
        mixed = Mixing(streams, constrained, iterations, wide)
        super().__init__(_ReadAndWrite(branch, read, constrained, wide), shortcut=mixed)
        self.streams, self.mixing, self.dynamic = streams, mixing, dynamic

    def forward(self, x: Any, relu: bool = False, **options: Any) -> Any:
        if x.ndim < 2 or x.shape[-2] != self.streams:
            raise ValueError(
                f"{self.label()}: needs {self.streams} streams, (..., {self.streams}, E), got {tuple(x.shape)}; "
                "widen one stream with x[..., None, :].expand(...)"
            )
        return super().forward(x, relu, **options)

    def extra_repr(self) -> str:
        return f"streams={self.streams}, mixing={self.mixing!r}" + (", dynamic=True" if self.dynamic else "")


class Mixing(Module):
    """M X: each stream becomes a combination of all. `matrix(X)` is M; `matrix()` is what X does not change."""

    def __init__(self, streams: int, constrained: bool, iterations: int, width: int | None = None) -> None:
        self.constrained, self.iterations = constrained, iterations
        # e^-8 beside 1: nearly the identity, and far enough from an underflow to learn.
        start = -8.0 * (1 - np.eye(streams)) if constrained else np.eye(streams)
        self.weight = Parameter(start.astype(np.float32))
        self.dynamic = None if width is None else _Dynamic(width, streams)

    def matrix(self, x: Any = None) -> Any:
        """M, (n, n); if it is dynamic, (..., n, n) for X of (..., n, E)."""
        m = self.weight
        if self.dynamic is not None and x is not None:
            m = m + ops.matrix_transpose(self.dynamic(x))
        return sinkhorn(m, self.iterations) if self.constrained else m

    def forward(self, x: Any) -> Any:
        return matmul(self.matrix(x), x)


class _ReadAndWrite(Module):
    """w F(r X)."""

    def __init__(self, branch: Module, read: Any, constrained: bool, width: int | None) -> None:
        self.branch, self.constrained = branch, constrained
        start = 8.0 * (2 * read - 1) if constrained else read
        self.read = Parameter(start.astype(np.float32))
        self.write = Parameter(np.full((read.size, 1), 0.0 if constrained else 1.0, np.float32))
        self.dynamic_read = None if width is None else _Dynamic(width, 1)
        self.dynamic_write = None if width is None else _Dynamic(width, 1)

    def forward(self, x: Any, **options: Any) -> Any:
        read, write = self.read, self.write
        if self.dynamic_read is not None and self.dynamic_write is not None:
            read = read + ops.matrix_transpose(self.dynamic_read(x))
            write = write + self.dynamic_write(x)
        if self.constrained:
            read, write = ops.sigmoid(read), 2 * ops.sigmoid(write)
        y = self.branch(matmul(read, x)[..., 0, :], **options)
        return write * y[..., None, :]


class _Dynamic(Module):
    """s tanh(N(X) A): what a matrix gains from the streams themselves, (..., n, E) to (..., n, columns)."""

    def __init__(self, width: int, columns: int) -> None:
        self.weight = Parameter(np.zeros((width, columns), np.float32))
        self.scale = Parameter(np.full((), 0.01, np.float32))

    def forward(self, x: Any) -> Any:
        return self.scale * ops.tanh(matmul(F.layer_norm(x, (x.shape[-1],)), self.weight))


__all__ = ["HyperConnections", "Mixing"]
