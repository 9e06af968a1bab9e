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
from tinyres.context import Observer, current


class AnomalyError(FloatingPointError):
    """The first value that is not finite.

    Attributes:
        path: the name of the module that its operation ran in, "" in the root module, None outside of modules.
        backward: whether it is a gradient, and no output.
        cause: the message, without the line that called the operation.
    """

    def __init__(self, what: str, why: str, path: str | None, backward: bool, line: str | None) -> None:
        self.cause, self.path, self.backward = f"{what}; {why}" if why else what, path, backward
        where = f"{self.cause}; the operation was called at {line}" if backward else f"{what} at {line}; {why}"
        super().__init__(where)


class Anomaly(Observer):
    """Raises at the first operation whose output, or whose rule's contribution, is not finite."""

    watches_layers = False
    _cotangent: Any = None  # of the node whose rules run now
    _rules_of: Node | None = None  # that node

    def __init__(self) -> None:
        self._paths: dict[int, str | None] = {}  # by serial: of what was recorded while rules ran, outside of modules

    def on_call(self, primitive: Primitive, inputs: tuple[Any, ...], parents: tuple[Any, ...], value: Array) -> None:
        if _finite(value):
            return
        path, rules = current().path, self._rules_of
        backward = path is None and rules is not None
        if backward:
            path = self._path(rules)
        ranges = ", ".join(f"{name}: {_range(a)}" for name, a in zip(primitive.inputs, inputs, strict=False))
        where = f" in {path}" if path else ""
        made = f"{primitive.name} made {_what(value)}{where}"
        raise AnomalyError(made, f"its inputs were {ranges}", path, backward, user_line())

    def on_forward(self, node: Node, value: Array) -> None:
        node.line = user_line()
        if node.path is None and self._rules_of is not None:
            self._paths[node.serial] = self._path(self._rules_of)

    def on_cotangent(self, node: Node, total: Any) -> None:
        # The leaves come last, and have no rules: what is called afterwards belongs to no node.
        self._rules_of = node if node.primitive is not None else None
        if not _finite(raw(total)):  # a sum of finite contributions, or what the pass was started with
            what = f"the gradient at {node!r}, summed over all that use it, is {_what(raw(total))}"
            raise AnomalyError(what, "", self._path(node), True, node.line)
        self._cotangent = total

    def on_edge(self, consumer: Node, arg_index: int, producer: Node, contribution: Any) -> None:
        if not _finite(raw(contribution)):
            what = f"the rule of {consumer!r} for argument {arg_index} made {_what(raw(contribution))}"
            why = f"its cotangent was {_range(raw(self._cotangent))}"
            raise AnomalyError(what, why, self._path(consumer), True, consumer.line)

    def _path(self, node: Node | None) -> str | None:
        """Of the module that an operation ran in; of one that belongs to a rule, where the rule's own operation ran."""
        return None if node is None else self._paths.get(node.serial, node.path)


def detect_anomaly() -> Observer:
    """A block in which the first NaN or Inf raises an error, in the forward or the backward pass.

    The FloatingPointError names the operation, its layer, the range of its inputs and the line of your code that called
    it. Every value is checked, which is slow: use it to find a fault, not to train.
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
