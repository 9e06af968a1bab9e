"""Anomaly detection: which operation made the first NaN or Inf?"""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Any

import numpy as np

from tinyres.arrays import namespace
from tinyres.autograd.node import Node
from tinyres.autograd.primitive import Primitive
from tinyres.autograd.tensor import Array, raw
from tinyres.context import Observer


class Anomaly(Observer):
    """Raises at the first operation whose output, or whose rule's contribution, is not finite."""

    watches_layers = False
    _cotangent: Any = None  # of the node whose rules run now

    def on_call(self, primitive: Primitive, inputs: tuple[Any, ...], parents: tuple[Any, ...], value: Array) -> None:
        if not _finite(value):
            ranges = ", ".join(f"{name}: {_range(a)}" for name, a in zip(primitive.inputs, inputs, strict=False))
            raise FloatingPointError(f"{primitive.name} made {_what(value)} at {user_line()}; its inputs were {ranges}")

    def on_forward(self, node: Node, value: Array) -> None:
        node.line = user_line()

    def on_cotangent(self, node: Node, total: Any) -> None:
        if not _finite(raw(total)):  # a sum of finite contributions, or what the pass was started with
            raise FloatingPointError(
                f"the gradient at {node!r}, summed over all that use it, is {_what(raw(total))}; "
                f"the operation was called at {node.line}"
            )
        self._cotangent = total

    def on_edge(self, consumer: Node, arg_index: int, producer: Node, contribution: Any) -> None:
        if not _finite(raw(contribution)):
            raise FloatingPointError(
                f"the rule of {consumer!r} for argument {arg_index} made {_what(raw(contribution))}; "
                f"its cotangent was {_range(raw(self._cotangent))}; the operation was called at {consumer.line}"
            )


def detect_anomaly() -> Observer:
    """A block in which the first NaN or Inf raises an error, in the forward or the backward pass.

    The FloatingPointError names the operation, the range of its inputs and the line of your code that called it. Every
    value is checked, which is slow: use it to find a fault, not to train.
    """
    return Anomaly()


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
    """The innermost line of the call stack outside of tinyres and NumPy, "file.py:12"."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_ours(frame):
        frame = frame.f_back
    return None if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
