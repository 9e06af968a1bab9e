"""Small methods that PyTorch's tensors have: sizes, conversions, names for what is the same here."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.autograd.operators import FUNCTIONS, Operators
from tinyres.refusals.arguments import explain_words


class Size(int):
    """The number of elements of an array. `x.size()` is the shape, `x.size(0)` the size of an axis."""

    shape: tuple[int, ...]

    def __new__(cls, array: Any) -> Size:
        made = super().__new__(cls, array.size)
        made.shape = array.shape
        return made

    def __call__(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]


class Methods(Operators):
    """What Tensor inherits besides operators and operations."""

    __slots__ = ()

    @property
    def size(self) -> Size:
        """The number of elements, as in NumPy; called, the shape or the size of an axis, as in PyTorch."""
        return Size(self._data)

    def numel(self) -> int:
        """The number of elements."""
        return int(self._data.size)

    def dim(self) -> int:
        """The number of axes."""
        return int(self._data.ndim)

    def contiguous(self) -> Any:
        """The tensor itself: a value has no memory layout that anything depends on."""
        return self

    @explain_words
    def to(
        self, target: Any = None, dtype: Any = None, non_blocking: bool = False, copy: bool = False, *,
        device: Any = None,
    ) -> Any:  # fmt: skip
        """The same values on a device ("cpu", "cuda"), in a dtype, or in both of another tensor; differentiable.
        non_blocking and copy are for PyTorch's sake: they change no value."""
        if hasattr(target, "node"):
            target, dtype = target.device, target.dtype
        if target is not None and not _is_device(target):
            target, dtype = None, target
        device = str(device or target or self.device).partition(":")[0]
        moved = self if device == self.device else FUNCTIONS["move"](self, device=device)
        return moved if dtype is None or self.dtype == dtype else FUNCTIONS["astype"](moved, dtype)

    def type_as(self, other: Any) -> Any:
        """The same values in the dtype of another tensor."""
        return self.to(other.dtype)

    def cpu(self) -> Any:
        """The same values on the CPU."""
        return self.to("cpu")

    def cuda(self) -> Any:
        """The same values on the GPU."""
        return self.to("cuda")

    def t(self) -> Any:
        """A matrix transposed; a vector or a number as it is."""
        if self.ndim > 2:
            raise ValueError(f"t: needs at most two axes, got shape {self.shape}; mT swaps the last two")
        return FUNCTIONS["transpose"](self)

    @property
    def T(self) -> Any:
        return FUNCTIONS["transpose"](self)

    @property
    def mT(self) -> Any:
        """The last two axes swapped."""
        return FUNCTIONS["matrix_transpose"](self)

    H, mH = T, mT  # of complex numbers they would be conjugated


def _is_device(target: Any) -> bool:
    """Whether a target names a device: it is a text, and no dtype's."""
    try:
        return isinstance(target, str) and np.dtype(target) is None
    except TypeError:
        return True


__all__ = ["Methods", "Size"]
