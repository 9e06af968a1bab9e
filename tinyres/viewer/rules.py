"""Source code of an operation: its forward and the vjp rule of each input."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
from collections.abc import Callable
from functools import cache
from textwrap import dedent
from typing import Any

from tinyres.autograd.primitive import PRIMITIVES
from tinyres.viewer.records import Op

_LONGEST = 1200  # characters
_SHAPES_ALONE = {"_t": True, "_rows": False}  # helpers that change no number: whether they transpose
_MACHINERY = {"kernels_for", "empty", "empty_in_order", "channels_last", "channels_first"}  # how, not what


@cache
def rule_text(name: str) -> dict[str, Any]:
    """{"forward": Python code, "args": {input: Python code of its rule}}; a joint rule has the key "*".

    If inputs broadcast, "broadcasts" is True: the engine then sums a contribution to its input's shape.
    The forward of a fused operation is its decomposition into primitives. What is only readable with the library's
    private helpers at hand is left out. Empty for anything that is not a primitive (leaves, constants, a checkpoint).
    """
    primitive = PRIMITIVES.get(name)
    if primitive is None:
        return {}
    rules: dict[str, Any] = {"*": primitive.joint} if primitive.joint is not None else dict(primitive.rules)
    forward = _public(_body(primitive.decomposition or primitive.forward))
    told = {arg: _public(_text(rule, arg)) for arg, rule in rules.items()}
    text = {"args": {arg: code for arg, code in told.items() if code}} | ({"forward": forward} if forward else {})
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


class _Plainer(ast.NodeTransformer):
    """Code without helpers that change no number; `matmul_`, the raw form of matmul, by its name."""

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in _SHAPES_ALONE and len(node.args) == 1:
            return ast.Attribute(node.args[0], "T") if _SHAPES_ALONE[node.func.id] else node.args[0]
        return node

    def visit_Name(self, node: ast.Name) -> Any:
        return ast.Name(node.id.rstrip("_") or node.id, node.ctx)


def _public(code: str) -> str:
    """The code as somebody reads it who knows the operations by name alone; empty if that is not enough."""
    code = re.sub(r"\bnamespace\(\w+\)\.", "np.", code)  # or CuPy's function of that name
    try:
        tree = ast.parse(code)
    except SyntaxError:  # it was cut off
        return ""
    tree.body, code = _reshaped(tree.body, code)
    only = tree.body[0] if len(tree.body) == 1 else None
    if isinstance(only, ast.Expr) and isinstance(only.value, ast.IfExp):
        # Two ways, by the size of the arrays: the one that is written out says what both compute.
        ways = [_public(ast.unparse(way)) for way in (only.value.orelse, only.value.body)]
        return next((way for way in ways if way and not re.search(r"_dx\(", way)), "")
    if any(name.startswith("_") or name.endswith("_") for name in _names(tree) - {"_"}):
        if len(tree.body) > 1:
            tree.body = [line for line in tree.body if not _checks(line)]
        tree = _Plainer().visit(tree)
        code = "\n".join(map(ast.unparse, tree.body))
    names = _names(tree)
    return "" if names & _MACHINERY or any(name.startswith("_") for name in names - {"_"}) else code


def _reshaped(body: list[ast.stmt], code: str) -> tuple[list[ast.stmt], str]:
    """`y = rule; return y if ... else reshape(y, ...)` is the rule: a new shape changes no number."""
    match body:
        case [
            ast.Assign([ast.Name(name)], rule),
            ast.Return(ast.IfExp(_, ast.Name(same), ast.Call(ast.Name("reshape"), [ast.Name(again), *_]))),
        ] if name == same == again:
            return [ast.Expr(rule)], ast.unparse(rule)
    return body, code


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _checks(line: ast.stmt) -> bool:
    """Whether it calls a private helper for nothing but what that raises."""
    return isinstance(line, ast.Expr) and any(name.startswith("_") for name in _names(line))


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
