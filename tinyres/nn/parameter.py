"""Parameter and Buffer: the tensors that are a module's state, and that may be changed in place."""

from __future__ import annotations

from typing import Any

from tinyres.autograd.tensor import Tensor


class Parameter(Tensor):
    """A tensor that a module learns: a leaf that requires a gradient, and that `Module.parameters` finds.

    Inside of `tr.no_grad()` it has PyTorch's `add_`, `mul_`, `copy_`, `clamp_`, ..., and `p -= step` and `p[0] = 1`
    change it; see `tinyres.autograd.in_place`.
    """

    __slots__ = ()
    is_state = True

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data, requires_grad=requires_grad)


class Buffer(Tensor):
    """What a tensor becomes when a module registers it: state that is not learned, and changes as a parameter does."""

    __slots__ = ()
    is_state = True


__all__ = ["Buffer", "Parameter"]
