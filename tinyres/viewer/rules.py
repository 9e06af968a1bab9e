"""Source code of an operation: its forward and the vjp rule of each input."""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Callable
from functools import cache
from textwrap import dedent
from typing import Any

from tinyres.autograd.primitive import PRIMITIVES
from tinyres.viewer.records import Op

_LONGEST = 1200  # characters


@cache
def rule_text(name: str) -> dict[str, Any]:
    """{"forward": Python code, "args": {input: Python code of its rule}}; a joint rule has the key "*".

    If inputs broadcast, "broadcasts" is True: the engine then sums a contribution to its input's shape.
    The forward of a fused operation is its decomposition into primitives. Empty for anything that is not a
    primitive (leaves, constants, a checkpoint).
    """
    primitive = PRIMITIVES.get(name)
    if primitive is None:
        return {}
    rules: dict[str, Any] = {"*": primitive.joint} if primitive.joint is not None else dict(primitive.rules)
    forward = _body(primitive.decomposition or primitive.forward)
    text = {"forward": forward, "args": {arg: _text(rule, arg) for arg, rule in rules.items()}}
    return text | ({"broadcasts": True} if primitive.broadcasts else {})


def broadcasting(consumer: Op, arg: int, shape: tuple[int, ...]) -> str:
    """The clause to add to a rule if the input, of `shape`, was broadcast: the engine sums its contribution."""
    if not rule_text(consumer.kind).get("broadcasts"):
        return ""
    whole = consumer.shape
    if consumer.kind == "matmul":  # only batch axes broadcast, those before the two matrix axes
        whole, shape = whole[:-2], shape[:-2]
    return "" if whole == shape else ", summed over the broadcast axes"


def _text(rule: Callable[..., Any], arg: str) -> str:
    if rule.__name__ != "<lambda>":
        return _body(rule)
    source = _source(rule.__code__.co_filename)
    found = [node for node in _lambdas(source) if node[1].lineno == rule.__code__.co_firstlineno]
    if not found:
        return ""
    named = [node for keyword, node in found if keyword == arg] or [node for _, node in found]
    return _cut(ast.get_source_segment(source, named[0].body) or "")


def _body(function: Callable[..., Any]) -> str:
    """The body of a function without signature and docstring; a lone return becomes its expression."""
    function = inspect.unwrap(function)
    try:
        source = dedent(inspect.getsource(function))
        (definition,) = ast.parse(source).body
    except (OSError, SyntaxError, TypeError, ValueError):
        return ""
    if not isinstance(definition, ast.FunctionDef):
        return ""
    body = definition.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and len(body) > 1:
        body = body[1:]
    if len(body) == 1 and isinstance(body[0], ast.Return) and body[0].value is not None:
        return _cut(ast.get_source_segment(source, body[0].value) or "")
    return _cut(dedent("\n".join(source.splitlines()[body[0].lineno - 1 :])))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _source(filename: str) -> str:
    return "".join(linecache.getlines(filename))


@cache
def _lambdas(source: str) -> list[tuple[str | None, ast.Lambda]]:
    """Every lambda in the source, with the keyword it is passed as."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a notebook cell may contain more than Python
        return []
    keywords = {id(node.value): node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    return [(keywords.get(id(node)), node) for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
