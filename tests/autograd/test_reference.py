"""The engine that is to be run gives what the engine that is to be read gives: for every operation, to second order."""

import sys
from contextlib import contextmanager
from functools import cache
from types import FunctionType
from unittest import mock

import numpy as np

import tinyres as tr
from tests.ops.test_table import for_rows, leaves, parts
from tinyres.autograd import calling, reference, source
from tinyres.autograd.primitive import PRIMITIVES
from tinyres.autograd.tensor import raw


@contextmanager
def read():
    """Inside the block each operation is called as `reference.record` has it, instead of by generated text.

    A generated function is called from everywhere by that very object, so its code is changed in place.
    """
    calls = calls_in(len(sys.modules))
    generated = {call: call.__code__ for call in calls if not call.primitive.variadic}
    compiled = {call: by_count(call) for call in calls if call.primitive.variadic}
    before = {call: dict(found) for call, found in compiled.items()}
    with mock.patch.object(calling, "compile_call", twin):
        try:
            for call in generated:
                call.__globals__["record"] = reference.record
                call.__code__ = recorded.__code__
            for found in compiled.values():
                found.clear()  # of each number of inputs the call is made anew, by the twin
            yield
        finally:
            for call, code in generated.items():
                call.__code__ = code
            for call, found in compiled.items():
                found.clear()
                found.update(before[call])


@cache
def calls_in(modules):
    """The generated functions that anybody has; looked for anew where something was imported meanwhile."""
    rooms = [module for name, module in sys.modules.items() if name.startswith(("tinyres.", "tests."))]
    return {found for module in rooms for found in vars(module).values() if is_call(found)}


def is_call(value):
    """Whether it is the generated function of an operation, and not one that is wrapped around it."""
    plain = isinstance(value, FunctionType) and not hasattr(value, "__wrapped__")
    return plain and PRIMITIVES.get(value.__name__) is getattr(value, "primitive", 0)


def recorded(*args, **static):
    return record(primitive, args, static)  # noqa: F821 (both are globals of the generated function)


def twin(primitive, inputs):
    return lambda *args, **static: reference.record(primitive, args, static)


def by_count(call):
    (found,) = [cell.cell_contents for cell in call.__closure__ if isinstance(cell.cell_contents, dict)]
    return found


def derivatives(row, arrays, grad):
    """Results, gradients, and gradients of the gradients' weighted sum."""
    inputs = leaves(arrays)
    ys = [y for y in parts(row.function(*inputs)) if y.requires_grad]
    rng = np.random.default_rng(3)
    found = [y.numpy() for y in ys]
    for y in ys:
        seed = rng.standard_normal(y.shape).astype(y.dtype)
        first = grad(y, inputs, seed, False)
        found += [None if g is None else np.asarray(raw(g)) for g in first]
        again = [g for g in grad(y, inputs, seed, True) if g is not None and g.requires_grad]
        for g in again:
            second = grad(g, inputs, rng.standard_normal(g.shape).astype(g.dtype), False)
            found += [None if h is None else np.asarray(raw(h)) for h in second]
    return found


def real(y, inputs, seed, create_graph):
    return tr.grad(y, inputs, seed, create_graph=create_graph, retain_graph=True, allow_unused=True)


@for_rows(lambda row: row.differentiable)
def test_the_real_engine_against_the_one_to_read(row):
    arrays = row.inputs()
    found = derivatives(row, arrays, real)
    with read():
        expected = derivatives(row, arrays, reference.grad)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_the_call_that_is_shown_is_the_one_that_is_generated():
    """In the docstring of source.py, apart from comments."""
    lines = source.__doc__.splitlines()
    shown = [line[4:].partition("  # ")[0].rstrip() for line in lines[lines.index("    def call(x):") :]]
    neg = PRIMITIVES["neg"]
    assert shown == [line.rstrip() for line in source.call_source(neg, neg.inputs).splitlines() if line.strip()]
