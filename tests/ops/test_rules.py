"""A rule runs on arrays and on tensors alike, so it may use nothing in which the two differ (design: one declaration).

Allowed, in a rule and in the helpers that it calls, are operators, `.shape`, `.size`, `.ndim`, `.dtype`, `.T`, static
arguments, and calls of primitives, public functions, builtins and `math`; not a method such as `x.sum(axis)`, nor
`np.sum(x)`. The rules of fused operations are exempt: they see arrays only, and their reference is what is
differentiated further.
"""

import ast
import builtins
import importlib
import inspect
import math
import pkgutil
import textwrap
from pathlib import Path

import numpy as np
import pytest

from tinyres import ops
from tinyres.arrays import namespace
from tinyres.autograd.primitive import PRIMITIVES
from tinyres.autograd.tensor import FUNCTIONS, raw

COMMON = {"shape", "size", "ndim", "dtype", "T"}
MODULES = [importlib.import_module(f"tinyres.ops.{found.name}") for found in pkgutil.iter_modules(ops.__path__)]


def rules_of(tree):
    """(operation's name, argument, rule) of every call of `.vjp` in a file."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "vjp":
            for keyword in call.keywords:
                yield call.func.value.id, keyword.arg, keyword.value


def violations(rule, scope, statics, seen):
    """What a lambda or a function uses that arrays and tensors do not share. `scope`: the globals it sees."""
    if isinstance(rule, ast.Name):
        yield from of_helper(scope[rule.id], seen)
        return
    own = {a.arg for node in ast.walk(rule) if isinstance(node, ast.arguments) for a in (*node.args, *node.kwonlyargs)}
    own |= {node.id for node in ast.walk(rule) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    body = rule.body if isinstance(rule.body, list) else [rule.body]  # not a function's annotations or decorators
    for node in (node for part in body for node in ast.walk(part)):
        if isinstance(node, ast.Attribute):
            base = node.value.id if isinstance(node.value, ast.Name) else None
            if node.attr not in COMMON and base not in statics and base != "math":
                yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in own | {"math"}:
            yield from of_name(node, scope, seen)


def of_name(node, scope, seen):
    if node.id not in scope:
        if not hasattr(builtins, node.id):
            yield f"line {node.lineno}: {node.id}, which is not defined"
        return
    value = scope[node.id]
    if (
        isinstance(value, (int, float))
        or hasattr(value, "primitive")
        or any(value is public for public in FUNCTIONS.values())
    ):
        return
    if inspect.isfunction(value) and value.__module__.startswith(ops.__name__):
        yield from of_helper(value, seen)
    else:
        yield f"line {node.lineno}: {node.id}"


def of_helper(function, seen):
    if function not in seen:
        seen.add(function)
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
        for text in violations(definition, function.__globals__, set(), seen):
            yield f"{function.__name__}, {text}"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_rules_use_only_what_arrays_and_tensors_share(module):
    found = []
    for name, argument, rule in rules_of(ast.parse(Path(module.__file__).read_text())):
        primitive = getattr(module, name).primitive
        if primitive.decomposition is None:
            statics = set(primitive.statics)
            found += [f"{name}, rule for {argument}: {text}" for text in violations(rule, vars(module), statics, set())]
    assert not found, "\n".join(found)


def test_rules_are_found_at_all():
    rules = [rule for module in MODULES for rule in rules_of(ast.parse(Path(module.__file__).read_text()))]
    assert len(rules) == sum(len(primitive.rules) for primitive in PRIMITIVES.values())


def with_a_method(g, x):
    return g * x.reshape(-1)


with_a_method.__module__ = f"{ops.__name__}.planted"  # helpers of this package are looked into
SCOPE = {"np": np, "math": math, "namespace": namespace, "raw": raw, "exp": ops.exp, "with_a_method": with_a_method}


def judged(source):
    statics = {"dims"}
    return [text.split(": ")[-1] for text in violations(ast.parse(source).body[0].value, SCOPE, statics, set())]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("lambda g, x: g * x.sum(axis=0)", ["x.sum"]),
        ("lambda g: g.transpose(1, 0)", ["g.transpose"]),
        ("lambda g, x: g * x.data", ["x.data"]),
        ("lambda g, x: g * raw(x)", ["raw"]),
        ("lambda g, x: namespace(x).exp(x)", ["namespace(x).exp", "namespace"]),
        ("lambda g, x: np.exp(x) * g", ["np.exp", "np"]),
        ("with_a_method", ["x.reshape"]),
        ("lambda g, x: with_a_method(g, x)", ["x.reshape"]),
        ("lambda g, x: g * undefined", ["undefined, which is not defined"]),
    ],
)
def test_what_is_not_allowed_is_found(source, expected):
    assert judged(source) == expected


def test_what_is_allowed_passes():
    assert not judged("lambda g, x, dims: -exp(g) * x.T[0] / max(x.shape) + dims.index(1) * math.prod(x.shape)")
