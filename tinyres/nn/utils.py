"""What PyTorch has in `torch.nn.utils`: clipping of gradients, spectral norm, parameters as one vector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinyres import ops
from tinyres.autograd.tensor import Tensor, raw, rebind
from tinyres.nn.clipping import clip_grad_norm_, clip_grad_value_
from tinyres.nn.convert import fill_like
from tinyres.nn.spectral_norm import spectral_norm
from tinyres.refusals.absent import told
from tinyres.refusals.blame import explain_operands


@explain_operands
def parameters_to_vector(parameters: Iterable[Any]) -> Any:
    """All numbers of the parameters in one vector; differentiable."""
    return ops.concatenate([ops.reshape(p, -1) for p in parameters])


@explain_operands
def vector_to_parameters(vec: Any, parameters: Iterable[Tensor]) -> None:
    """Give the parameters the values of a vector, in the order of `parameters_to_vector`.

    Raises:
        ValueError: the vector has another length than all of them together.
    """
    owners = list(parameters)
    needed = sum(p.size for p in owners)
    if tuple(vec.shape) != (needed,):
        raise ValueError(f"vector_to_parameters: vec must have shape ({needed},), got {tuple(vec.shape)}")
    start = 0
    for p in owners:
        rebind(p, fill_like(p._data, raw(vec)[start : start + p.size].reshape(p.shape)))
        start += p.size


__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "spectral_norm", "vector_to_parameters",
]  # fmt: skip
__getattr__ = told(__name__)
