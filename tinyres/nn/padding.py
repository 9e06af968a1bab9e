"""Padding as layers; see `nn.functional.pad`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyres import ops
from tinyres.nn.module import Module


class _Pad(Module):
    """padding: an integer for all sides, or (left, right, top, bottom), the last axis first."""

    _mode = "constant"
    _axes = 2

    def __init__(self, padding: int | Sequence[int]) -> None:
        self.padding = (padding,) * (2 * self._axes) if isinstance(padding, int) else tuple(padding)
        if len(self.padding) != 2 * self._axes:
            raise ValueError(
                f"{type(self).__name__}: padding must be an integer or {2 * self._axes} of them, got {padding!r}"
            )

    def forward(self, x: Any) -> Any:
        return ops.pad(x, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_Pad):
    """Zeros around signals (..., L)."""

    _axes = 1


class ZeroPad2d(_Pad):
    """Zeros around images (..., H, W)."""


class ConstantPad1d(_Pad):
    """A number around signals (..., L)."""

    _axes = 1

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, x: Any) -> Any:
        return ops.pad(x, self.padding, value=self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad2d(ConstantPad1d):
    """A number around images (..., H, W)."""

    _axes = 2


class ReflectionPad1d(_Pad):
    """Signals (..., L), mirrored at their first and last entries."""

    _mode, _axes = "reflect", 1


class ReflectionPad2d(_Pad):
    """Images (..., H, W), mirrored at their outer rows and columns."""

    _mode = "reflect"


class ReplicationPad1d(_Pad):
    """Signals (..., L) with their first and last entries repeated."""

    _mode, _axes = "replicate", 1


class ReplicationPad2d(_Pad):
    """Images (..., H, W) with their outer rows and columns repeated."""

    _mode = "replicate"


class CircularPad1d(_Pad):
    """Signals (..., L), continued periodically."""

    _mode, _axes = "circular", 1


class CircularPad2d(_Pad):
    """Images (..., H, W), continued periodically."""

    _mode = "circular"


__all__ = [
    "CircularPad1d", "CircularPad2d", "ConstantPad1d", "ConstantPad2d", "ReflectionPad1d", "ReflectionPad2d",
    "ReplicationPad1d", "ReplicationPad2d", "ZeroPad1d", "ZeroPad2d",
]  # fmt: skip
