"""Guarded arrays: where they lie, that they stand for the originals, and what compiled kernels get."""

import mmap
import sys
from pathlib import Path

import numpy as np
import pytest
from tinyres_kernels import cpu, guard, im2col
from tinyres_kernels.cpu import memory
from tinyres_kernels.guard import SIDES, guarded, guarding


def ends(a):
    low, high = np.lib.array_utils.byte_bounds(a)
    return low % mmap.PAGESIZE, high % mmap.PAGESIZE


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
@pytest.mark.parametrize("shape", [(3,), (2, 3, 5), (1 << 14,), (0,), (2, 0, 3), ()])
def test_a_copy_lies_against_a_page_on_the_side_that_is_asked_for(shape, dtype):
    given = np.ones(shape, dtype)
    assert guarded(lambda a: ends(a)[1], given, side="end") == 0
    assert guarded(lambda a: ends(a)[0], given, side="start") == 0
    assert guarded(lambda a: (a.shape, a.dtype, (a == 1).all()), given, side="end") == (shape, given.dtype, True)


@pytest.mark.parametrize("size", [0, 3])
@pytest.mark.parametrize("side", SIDES)
def test_on_its_other_side_lies_nan(size, side):
    def beside(a):
        first = a.ctypes.data - a.base.ctypes.data
        return np.ndarray(1, a.dtype, a.base, first + a.nbytes if side == "start" else first - a.itemsize)[0]

    assert np.isnan(guarded(beside, np.ones(size), side=side))


@pytest.mark.parametrize("side", SIDES)
def test_strided_views_keep_their_strides_and_have_nan_between_their_elements(side):
    whole = np.arange(4.0 * 5 * 6).reshape(4, 5, 6)
    view = whole[::-1, 1:4, ::2].transpose(2, 0, 1)

    def look(a):
        row = a.transpose(1, 2, 0)[0, 0]  # elements 2 apart
        between = np.lib.stride_tricks.as_strided(row[1:], (1,), (-8,))
        return a.strides, a.copy(), np.lib.stride_tricks.as_strided(row, (4,), (8,)), between

    strides, values, row, _ = guarded(look, view, side=side)
    assert strides == view.strides
    np.testing.assert_array_equal(values, view)
    np.testing.assert_array_equal(np.isnan(row), [False, True, False, True])
    broadcast = np.broadcast_to(np.arange(3.0), (4, 3))
    np.testing.assert_array_equal(guarded(np.array, broadcast, side=side), broadcast)


@pytest.mark.parametrize("side", SIDES)
def test_what_was_changed_comes_back_and_nothing_else(side):
    def kernel(x, out, *, other, scale):
        out += x * scale
        other[1:] = x[1:]
        return out

    x, out, other = np.arange(3.0), np.ones(3), np.zeros((3, 2))[:, 0]
    assert guarded(kernel, x, out, other=other, scale=2.0, side=side) is out
    np.testing.assert_array_equal(out, [1, 3, 5])
    np.testing.assert_array_equal(other.base, [[0, 0], [1, 0], [2, 0]])

    def raises(out):
        out[0] = 7
        raise ValueError("so it is")

    with pytest.raises(ValueError, match="so it is"):
        guarded(raises, out, side=side)
    assert out[0] == 7


@pytest.mark.parametrize("side", SIDES)
def test_arrays_that_share_memory_do_so_in_guard_mode(side):
    def over_its_term(a, b, out):
        out[...] = a
        return bool((b.reshape(out.shape) == out).all())

    a, out = np.ones(6), np.zeros((2, 3))
    readonly = out.reshape(-1).view()
    readonly.flags.writeable = False
    assert guarded(over_its_term, a.reshape(2, 3), readonly, out, side=side)
    np.testing.assert_array_equal(out, 1)
    line = np.arange(8.0)

    def shift(low, high):
        low += 1
        high *= 2

    guarded(shift, line[:5], line[3:], side=side)  # elements 3 and 4 are in both
    np.testing.assert_array_equal(line, [1, 2, 3, 8, 10, 10, 12, 14])
    assert guarded(lambda a, b: a is b, line, line, side=side)


def test_what_is_read_only_stays_so():
    a = np.zeros(3)
    a.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        guarded(lambda a: a.__setitem__(0, 1), a, side="end")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_memory_is_given_back():
    def maps():
        return len(Path("/proc/self/maps").read_text().splitlines())

    arrays = [np.zeros(1000) for _ in range(5)]
    guarded(lambda *arrays: None, *arrays, side="end")
    before = maps()
    for _ in range(50):
        guarded(lambda *arrays: None, *arrays, side="end")
    assert maps() < before + 10


@pytest.mark.parametrize("side", SIDES)
def test_compiled_kernels_are_handed_guarded_arrays_and_poisoned_scratch(side, monkeypatch):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 9, 20, 5), "f"), rng.standard_normal((3, 3, 5, 7), "f")
    settings = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    plain, out = np.empty((2, 2, 9, 20, 7), "f")
    cpu.conv2d(x, w, plain, **settings)
    handed, names = [], []

    def spied(call, *args, side):
        def spy(*copies):
            handed.extend(a.copy() for a in copies if isinstance(a, np.ndarray))
            assert all(ends(a)[SIDES.index(side) ^ 1] == 0 for a in copies if isinstance(a, np.ndarray))
            return call(*copies)

        return guarded(spy, *args, side=side)

    monkeypatch.setattr(guard, "guarded", spied)
    with guarding(side, names.append):
        cpu.conv2d(x, w, out, **settings)
    assert names == ["pack", "dot"]
    np.testing.assert_array_equal(out, plain)
    panels, buffer = handed[1], handed[-1]
    assert panels.size > w.size
    assert np.isnan(panels).all(), "the panels, before they are packed"
    assert buffer.size > x[0].size
    assert np.isnan(buffer).all(), "the padded images, before they are copied"


def test_outside_of_the_block_nothing_is_guarded():
    memory.scratch("of this test", "f", 4)[...] = 1
    with guarding("end"):
        assert np.isnan(memory.scratch("of this test", "f", 4)).all()
    with pytest.raises(KeyError), guarding("end"):
        raise KeyError
    assert guard.mode() is None
    memory.scratch("of this test", "f", 4)[...] = 1
    assert (memory.scratch("of this test", "f", 4) == 1).all()


def test_a_system_that_cannot_is_told_so(monkeypatch):
    monkeypatch.delattr(mmap, "MAP_PRIVATE")
    with pytest.raises(OSError, match="needs mmap and mprotect, which this system does not have: run it on Linux"):
        guarded(im2col.relu, np.ones(3), np.ones(3), slope=0.0, side="end")
    with pytest.raises(OSError, match="guard mode"), guarding("end"):
        pass
