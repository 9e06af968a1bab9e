"""Highway: a gated skip connection."""

from __future__ import annotations

from typing import Any

from tinyres import ops
from tinyres.nn.module import Module


class Highway(Module):
    """A gated skip connection: y = T(x) H(x) + (1 - T(x)) x with the transform gate T = sigmoid(gate(x)), elementwise.

    The gradient reaches x by three routes: through the branch H, through the gate, and past both,

        dL/dx = H'(x)^T (T g) + T'(x)^T ((H - x) g) + (1 - T) g,    g = dL/dy,

    The last is nearly all of g where the gate is closed (T = 0) and nothing where it is open: unlike the skip of a
    residual connection, that of a highway can vanish. For instruments, the sum's node has the roles ("branch", "skip"),
    and that of the product (1 - T) x, where the skip passes the gate, has ("gate", "skip"). Srivastava et al. 2015
    [srivastava2015training], "Training very deep networks", equation 3.

    Args:
        branch: H.
        gate: the logits of T; a negative bias closes the gate at first.

    Raises:
        ValueError: x, branch(x) and gate(x) differ in shape. (Nothing is broadcast.)
    """

    def __init__(self, branch: Module, gate: Module) -> None:
        self.branch, self.gate = branch, gate

    def forward(self, x: Any) -> Any:
        h, logit = self.branch(x), self.gate(x)
        if not x.shape == h.shape == logit.shape:
            raise ValueError(
                f"{self.label()}: x, branch(x) and gate(x) must agree in shape, got {tuple(x.shape)}, "
                f"{tuple(h.shape)} and {tuple(logit.shape)}; change the width with a plain layer between highway layers"
            )
        t = ops.sigmoid(logit)
        carried = (1 - t) * x
        y = t * h + carried
        for z, roles in ((carried, ("gate", "skip")), (y, ("branch", "skip"))):
            if getattr(z, "node", None) is not None:
                z.node.roles = roles
        return y


__all__ = ["Highway"]
