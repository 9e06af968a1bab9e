"""How a backward pass adds cotangents: arrays in the ordinary case, anything else through an `Algebra`."""

from __future__ import annotations

from typing import Any, Protocol

from tinyres.arrays import empty, kernels_for, namespace, ravel_alike, unravel_like
from tinyres.autograd.node import Node
from tinyres.autograd.tensor import Tensor


class Algebra(Protocol):
    """What cotangents are, for a backward pass that carries something other than arrays.

    Every rule is linear in the cotangent, so a pass only needs sums and linear maps. Path decomposition, for one,
    carries polynomials in the number of residual branches, whose coefficients are arrays.
    """

    def add(self, total: Any, contribution: Any, fresh: bool) -> Any:
        """total + contribution. If `fresh`, total is the result of an earlier `add` and may be written into."""

    def apply(self, rule: Any, cotangent: Any) -> Any:
        """Apply the linear map `rule` (array -> array) to a cotangent."""

    def edge(self, consumer: Node, arg_index: int, contribution: Any) -> Any:
        """Change a contribution as it passes this edge; most algebras return it as it is."""


class Arrays:
    """The ordinary algebra: cotangents are arrays (with create_graph, tensors)."""

    def add(self, total: Any, contribution: Any, fresh: bool) -> Any:
        # Never write into a contribution: `x + x` sends the same array twice, and a mean sends a read-only broadcast.
        if isinstance(total, Tensor) or isinstance(contribution, Tensor) or not total.ndim:
            return total + contribution
        lines = ravel_alike(total, contribution)
        if lines is not None:
            out = lines[0] if fresh else empty(lines[0].shape, like=total)
            return unravel_like(kernels_for(*lines).add(*lines, out), total)
        return namespace(total).add(total, contribution, out=total) if fresh else total + contribution

    def apply(self, rule: Any, cotangent: Any) -> Any:
        return rule(cotangent)

    def edge(self, consumer: Node, arg_index: int, contribution: Any) -> Any:
        return contribution


ARRAYS = Arrays()

__all__ = ["ARRAYS", "Algebra", "Arrays"]
