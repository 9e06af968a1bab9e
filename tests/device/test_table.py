"""The table of operations on the other device: forward, first and second order, against the same on NumPy."""

from contextlib import nullcontext

import numpy as np
import pytest

import tinyres as tr
from tests.device.double import no_copies
from tests.device.moved import moved
from tests.ops.table import ROWS
from tinyres.arrays import device_of, to_device
from tinyres.autograd.tensor import Tensor, wrap


def parts(value):
    return list(value) if isinstance(value, (tuple, list)) else [value]


def draws(rng, values):
    return [rng.standard_normal(v.shape).astype(v.dtype) for v in values]


def orders(function, arrays, place):
    """The values, the gradients under a random cotangent, and those of a random combination of the gradients."""
    rng = np.random.default_rng(11)
    xs = [wrap(place(a)).requires_grad_(a.dtype.kind == "f") for a in arrays]
    ys = parts(function(*xs))
    if not all(y.requires_grad for y in ys):
        return ys, [], []
    gs = [wrap(place(g)).requires_grad_() for g in draws(rng, ys)]
    first = tr.grad(ys, xs, gs, create_graph=True, retain_graph=True)
    plain = tr.grad(ys, xs, [g.detach() for g in gs], retain_graph=True)
    us = [place(u) for u in draws(rng, first)]
    curved = [(d, u) for d, u in zip(first, us, strict=True) if d.requires_grad]
    second = tr.grad([d for d, _ in curved], [*xs, *gs], [u for _, u in curved], allow_unused=True)
    return ys, [*first, *plain], [d for d in second if d is not None]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_row_is_the_same_on_the_gpu_and_copies_nothing_to_the_host(row, gpu):
    arrays = row.inputs()
    device = "cpu" if row.primitive == "move" else "cuda"  # that row goes there, and comes back
    here = orders(row.function, arrays, lambda a: a)
    with no_copies() if device == "cuda" else nullcontext():
        there = orders(moved(row.function, device), arrays, lambda a: to_device(a, device))
    for found, expected in zip(there, here, strict=True):
        assert len(found) == len(expected)
        for d, e in zip(found, expected, strict=True):
            assert isinstance(d, Tensor)
            assert d.device == device
            assert (d.shape, d.dtype) == (e.shape, e.dtype)
            np.testing.assert_allclose(d.numpy(), e.numpy(), rtol=1e-10, atol=1e-11)
    if row.differentiable and row.float32 and row.primitive != "move":
        float32_stays_float32(row, arrays)


def float32_stays_float32(row, arrays):
    ys, first, second = orders(moved(row.function), arrays, lambda a: to_device(a.astype(np.float32), "cuda"))
    assert {t.dtype for t in (*ys, *first, *second)} == {np.dtype(np.float32)}
    assert {device_of(t.data) for t in (*ys, *first, *second)} == {"cuda"}
