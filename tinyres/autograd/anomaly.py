"""Which operation made the first NaN or Inf?"""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyres.backend import namespace
from tinyres.context import context
from tinyres.node import Node
from tinyres.tensor import Array, raw

if TYPE_CHECKING:
    from tinyres.autograd.primitive import Primitive


class Anomaly:
    """Raises at the first operation whose output, or whose rule's contribution, is not finite."""

    def check_forward(self, primitive: Primitive, inputs: tuple[Any, ...], y: Array) -> None:
        if not _finite(y):
            ranges = ", ".join(f"{name}: {_range(a)}" for name, a in zip(primitive.inputs, inputs, strict=False))
            raise FloatingPointError(f"{primitive.name} made {_what(y)} at {user_line()}; its inputs were {ranges}")

    def note_line(self, node: Node) -> None:
        node.line = user_line()

    def check_backward(self, node: Node, i: int, g: Any, contribution: Any) -> None:
        if not _finite(raw(contribution)):
            raise FloatingPointError(
                f"the rule of {node!r} for argument {i} made {_what(raw(contribution))}; "
                f"its cotangent was {_range(raw(g))}; the operation was called at {node.line}"
            )


def detect_anomaly() -> context:
    """Inside the block the first NaN or Inf, forward or backward, raises FloatingPointError naming the operation, the
    range of its inputs and the line of your code that called it. Slow: for looking, not for training."""
    return context(anomaly=Anomaly())


def _finite(value: Array) -> bool:
    xp = namespace(value)
    return value.dtype.kind != "f" or bool(xp.isfinite(value).all())


def _what(value: Array) -> str:
    return "NaN" if bool(namespace(value).isnan(value).any()) else "Inf"


def _range(value: Any) -> str:
    if not hasattr(value, "shape"):
        return repr(value)
    if value.size == 0 or value.dtype.kind not in "fiu":
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return f"[{float(value.min()):.4g}, {float(value.max()):.4g}] of shape {tuple(value.shape)}"


_OURS = (os.path.dirname(os.path.dirname(__file__)) + os.sep, os.path.dirname(np.__file__) + os.sep, "<tinyres ")


def is_ours(frame: FrameType) -> bool:
    """Whether a frame of the call stack runs code of tinyres or NumPy."""
    return frame.f_code.co_filename.startswith(_OURS) or "tinyres_kernels" in frame.f_code.co_filename


def user_line() -> str | None:
    """The innermost line of the call stack that is neither tinyres nor NumPy."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_ours(frame):
        frame = frame.f_back
    return None if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
