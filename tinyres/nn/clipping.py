"""Gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from tinyres.arrays import device_of, namespace, to_floats
from tinyres.autograd.tensor import Array, Tensor, raw, wrap
from tinyres.refusals.blame import explain_operands
from tinyres.refusals.kinds import FLAG


@explain_operands
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> np.float64:
    """Scale all gradients by one factor, so that their total 2-norm is at most max_norm; returns the norm before.

        g <- g min(1, max_norm / (norm + 1e-6))

    The norm is computed without overflow. If it is infinite or NaN no factor helps: the gradients are left unchanged,
    and the return value shows it. Since the norm is returned as a number, the host waits for a GPU, once. The number
    has `item()`, as PyTorch's tensor has. Pascanu et al. 2013 [pascanu2013difficulty], "On the difficulty of training
    recurrent neural networks".

    `foreach`, which is for PyTorch's sake, changes nothing.

    Raises:
        ValueError: max_norm is negative, or norm_type is not 2.
        RuntimeError: the norm is infinite or NaN, and error_if_nonfinite is set.
    """
    if norm_type != 2:
        raise ValueError(f"clip_grad_norm_: norm_type must be 2, got {norm_type}; clip_grad_value_ limits each entry")
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be at least 0, got {max_norm}")
    owners = _with_grad(parameters)
    gradients = [raw(p.grad) for p in owners]
    on_gpu = [g for g in gradients if device_of(g) == "cuda"]
    norm = math.hypot(*(_norm(g) for g in gradients if device_of(g) == "cpu"), _joint_norm(on_gpu))
    if error_if_nonfinite is not False:
        FLAG.check("clip_grad_norm_", "error_if_nonfinite", error_if_nonfinite)
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(f"clip_grad_norm_: the norm of the gradients is {norm}; they are left as they were")
    if math.isfinite(norm) and norm + 1e-6 > max_norm:
        factor = max_norm / (norm + 1e-6)
        for p in owners:
            p.grad = wrap(p.grad.data * factor)  # type: ignore[union-attr]
    return np.float64(norm)


@explain_operands
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit every entry of every gradient to [-clip_value, clip_value]."""
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value_: clip_value must be at least 0, got {clip_value}")
    for p in _with_grad(parameters):
        g = p.grad.data  # type: ignore[union-attr]
        p.grad = wrap(namespace(g).clip(g, -clip_value, clip_value))


def _with_grad(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [p for p in ([parameters] if isinstance(parameters, Tensor) else parameters) if p.grad is not None]


def _norm(g: Array) -> float:
    top = float(abs(g).max()) if g.size else 0.0
    return top * float(namespace(g).linalg.norm(g / top)) if top and math.isfinite(top) else top


def _joint_norm(gradients: list[Array]) -> float:
    """The total norm of gradients on a GPU, computed there: only the result is copied."""
    gradients = [g for g in gradients if g.size]
    if not gradients:
        return 0.0
    xp = namespace(gradients[0])
    top = xp.stack([abs(g).max() for g in gradients]).max()
    scale = xp.where((top > 0) & xp.isfinite(top), top, 1)
    lengths = xp.stack([xp.linalg.norm(g / scale) for g in gradients])
    largest, length = to_floats(top, xp.linalg.norm(lengths))
    return largest * length if largest and math.isfinite(largest) else largest


__all__ = ["clip_grad_norm_", "clip_grad_value_"]
