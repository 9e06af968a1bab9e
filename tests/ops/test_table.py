"""One body of tests, run for every row of the table."""

import importlib
import pkgutil
import types

import numpy as np
import pytest

import tinyres as tr
from tests.ops.table import ROWS
from tinyres import ops
from tinyres.arrays import check_device
from tinyres.autograd.primitive import PRIMITIVES
from tinyres.autograd.tensor import FUNCTIONS, Tensor, wrap
from tinyres.context import Observer
from tinyres.gradcheck import gradcheck


def for_rows(wanted=lambda row: True):
    """Run a test for each row that is wanted; skip, and say so, those whose device is missing."""

    def marks(row):
        try:
            check_device(row.needs or "cpu")
        except RuntimeError as error:
            return [pytest.mark.skip(reason=f"{row.id}: {error}")]
        return []

    return pytest.mark.parametrize("row", [pytest.param(r, id=r.id, marks=marks(r)) for r in ROWS if wanted(r)])


def differentiable(row):
    return row.differentiable


def parts(value):
    """The outputs of a function that may have several."""
    return list(value) if isinstance(value, (tuple, list)) else [value]


def leaves(arrays):
    return [wrap(a).requires_grad_(a.dtype.kind == "f") for a in arrays]


def gradients(row, arrays, *, cotangents=None, create_graph=False):
    """The outputs' values and the gradients under random cotangents, as arrays."""
    xs = leaves(arrays)
    ys = parts(row.function(*xs))
    rng = np.random.default_rng(5)
    g = cotangents or [rng.standard_normal(y.shape).astype(y.dtype) for y in ys]
    return [y.detach().numpy() for y in ys], [d.numpy() for d in tr.grad(ys, xs, g, create_graph=create_graph)]


# -- the table itself -----------------------------------------------------------------------------------------------
def test_every_primitive_has_a_row():
    missing = sorted(PRIMITIVES.keys() - {row.primitive for row in ROWS})
    assert not missing, f"no row in tests/ops/table.py for {', '.join(missing)}"


def a_row_runs_the_primitive_it_names(row):
    seen = []

    class Names(Observer):
        def on_forward(self, node, value):
            seen.append(node.name)

    with Names():
        row.function(*leaves(row.inputs()))
    assert row.primitive in seen or not PRIMITIVES[row.primitive].differentiable
    assert PRIMITIVES[row.primitive].differentiable == row.differentiable


def test_operators_and_methods_reach_the_public_functions():
    for name in ops.__all__:
        plain = getattr(ops, name)
        plain = getattr(plain, "__wrapped__", plain)  # what is called by its name explains its errors besides
        found = FUNCTIONS.get(name, plain)
        same = found is plain or getattr(found, "primitive", found) is getattr(plain, "primitive", plain)
        assert same, f"FUNCTIONS[{name!r}] is something else"


def test_no_submodule_takes_the_place_of_a_public_name():
    """Importing tinyres.x sets the attribute x of tinyres: a late import would replace the function of that name."""
    for found in pkgutil.iter_modules(tr.__path__):
        importlib.import_module(f"tinyres.{found.name}")
    values = {name: getattr(tr, name) for name in tr.__all__}
    hidden = [name for name, value in values.items() if isinstance(value, types.ModuleType) and not callable(value)]
    assert hidden == [], f"rename the files of {hidden}, or load them before the name is bound"


# -- values ---------------------------------------------------------------------------------------------------------
@for_rows()
def test_forward(row):
    arrays = row.inputs()
    expected = parts(row.oracle(*arrays))
    actual = parts(row.function(*(wrap(a) for a in arrays)))
    assert len(actual) == len(expected)
    for y, e in zip(actual, expected, strict=True):
        assert isinstance(y, Tensor)
        assert not y.requires_grad
        assert y.shape == np.shape(e)
        np.testing.assert_allclose(y.numpy(), e, rtol=1e-12, atol=1e-13)


def raw_arrays_in_raw_arrays_out(row):
    arrays = row.inputs()
    for y, t in zip(parts(row.function(*arrays)), parts(row.function(*(wrap(a) for a in arrays))), strict=True):
        assert isinstance(y, (np.ndarray, np.generic))
        np.testing.assert_array_equal(y, t.numpy(), strict=isinstance(y, np.ndarray))


# -- gradients ------------------------------------------------------------------------------------------------------
@for_rows(differentiable)
def test_gradients(row):
    gradcheck(row.function, row.inputs(), order=2, seeds=2, allow_zero=row.allow_zero)


@for_rows(lambda row: row.analytic)
def test_gradients_by_complex_step(row):
    gradcheck(row.function, row.inputs(1), complex_step=True, full=False)


def layout_does_not_matter_and_nothing_is_written_into(row):
    """Strided, reversed and column-major inputs; cotangents broadcast from one element."""
    plain = row.inputs()
    strided = []
    for a in plain:
        room = np.zeros([3 * n + 1 for n in a.shape], a.dtype)
        view = room[(..., *(slice(1 + 3 * (n - 1), None, -3) for n in a.shape))]
        view[...] = a
        assert a.size < 2 or not view.flags.c_contiguous
        strided.append(view)
    columns = [a.copy(order="F") for a in plain]
    before = [a.copy() for a in plain]
    ys, reference = gradients(row, plain)
    for arrays in (strided, columns):
        zs, found = gradients(row, arrays)
        for a, b in zip([*ys, *reference], [*zs, *found], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    for a, b in zip([*plain, *strided, *columns], before * 3, strict=True):
        np.testing.assert_array_equal(a, b)
    stretched = gradients(row, plain, cotangents=[np.broadcast_to(0.7, y.shape) for y in ys])[1]
    full = gradients(row, plain, cotangents=[np.full(y.shape, 0.7) for y in ys])[1]
    for a, b in zip(stretched, full, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def float32_stays_float32(row):
    exact = row.inputs()
    arrays = [a.astype(np.float32) for a in exact]
    ys, _ = gradients(row, exact)
    cotangents = [np.random.default_rng(6).standard_normal(y.shape) for y in ys]
    ys, wide = gradients(row, exact, cotangents=cotangents)
    for create_graph in (False, True):
        narrow = [g.astype(np.float32) for g in cotangents]
        zs, found = gradients(row, arrays, cotangents=narrow, create_graph=create_graph)
        assert {a.dtype for a in (*zs, *found)} == {np.dtype(np.float32)}
        for a, b in zip([*ys, *wide], [*zs, *found], strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-4)


def nothing_in_nothing_out(row):
    arrays = [np.zeros(shape) for shape in row.empty]
    ys = parts(row.function(*(wrap(a) for a in arrays)))
    for y, e in zip(ys, parts(row.function(*arrays)), strict=True):
        assert y.shape == np.shape(e)
    if row.differentiable:
        for create_graph in (False, True):
            _, found = gradients(row, arrays, create_graph=create_graph)
            assert [d.shape for d in found] == list(row.empty)
            assert all((d == 0).all() for d in found)


CHECKS = {
    a_row_runs_the_primitive_it_names: lambda row: row.primitive,
    raw_arrays_in_raw_arrays_out: lambda row: True,
    layout_does_not_matter_and_nothing_is_written_into: differentiable,
    float32_stays_float32: lambda row: row.differentiable and row.float32,
    nothing_in_nothing_out: lambda row: row.empty,
}


@for_rows()
def test_what_holds_for_every_row(row):
    """All in one test: pytest's own work for a test takes longer than most of these."""
    for check, wanted in CHECKS.items():
        if wanted(row):
            check(row)
