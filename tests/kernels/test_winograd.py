"""Winograd's way to the same convolution: all sizes, not only those it is chosen for."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tinyres_kernels import cpu, im2col
from tinyres_kernels.cpu import host
from tinyres_kernels.cpu.fast import winograd

STATIC = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}


def arrays(N, H, W, C, O, padding, seed=0):
    draw = np.random.default_rng(seed).standard_normal
    OH, OW = H + 2 * padding[0] - 2, W + 2 * padding[1] - 2
    return [draw(s).astype("f") for s in ((N, H, W, C), (3, 3, C, O), (N, OH, OW, O))]


def exact(name, a, b, like, padding):
    static = {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": 1}
    return getattr(im2col, name)(a.astype("d"), b.astype("d"), np.empty(like.shape), **static)


def assert_close(found, expected, bound):
    """`bound`: the most that the terms of an element, and of its neighbours in the tile, can come to."""
    assert (abs(found - expected) <= 4 * np.finfo("f").eps * bound).all()


@settings(max_examples=80, deadline=None)
@example(N=1, hw=(1, 1), C=1, O=1, padding=(1, 1), seed=0)
@example(N=1, hw=(1, 1), C=38, O=13, padding=(0, 0), seed=0)  # one output: nothing averages out
@example(N=2, hw=(4, 30), C=33, O=65, padding=(1, 1), seed=0)
@given(
    N=st.integers(1, 4),
    hw=st.tuples(st.integers(1, 19), st.integers(1, 35)),
    C=st.integers(1, 40),
    O=st.integers(1, 70),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_the_convolution(N, hw, C, O, padding, seed):
    hw = tuple(max(n, 3 - 2 * p) for n, p in zip(hw, padding, strict=True))
    x, w, g = arrays(N, *hw, C, O, padding, seed)
    for a in (x, w, g):
        a.flags.writeable = False
    static = STATIC | {"padding": padding}
    out = np.full(g.shape, np.nan, "f")
    with cpu.forced(winograd=True):
        cpu.conv2d(x, w, out, **static)
    largest = 4 * abs(x).max(axis=(0, 1, 2))  # a transformed pixel is a sum of up to four
    assert_close(out, exact("conv2d", x, w, g, padding), largest @ abs(w).sum(axis=(0, 1)))
    out = np.full(w.shape, np.nan, "f")
    with cpu.forced(winograd=True):
        cpu.conv2d_dw(x, g, out, **static)
    assert_close(out, exact("conv2d_dw", x, g, w, padding), np.outer(largest, abs(g).sum(axis=(0, 1, 2))))


@pytest.mark.parametrize("vectors", [1, 2])
def test_every_tile_is_taken_and_none_beyond_the_last(vectors):
    for count in range(1, 100):
        taken = np.zeros(count, int)
        for first, size in winograd.steps(count, host.TARGET.pixels[vectors]):
            assert 0 <= first <= first + size <= count
            taken[first : first + size] += 1
        assert taken.min() == 1
        assert (taken > 1).sum() <= 16


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("name", ["conv2d", "conv2d_dx", "conv2d_dw"])
def test_what_is_not_finite_is_left_to_the_direct_way(name, bad):
    x, w, g = arrays(2, 9, 8, 32, 32, (1, 1))
    a, b, like = {"conv2d": (x, w, g), "conv2d_dx": (g, w, x), "conv2d_dw": (x, g, w)}[name]
    a[1, 4, 4, 5] = bad
    with cpu.forced(winograd=True):
        found = getattr(cpu, name)(a, b, np.empty_like(like), **STATIC)
    with np.errstate(invalid="ignore", over="ignore"):
        expected = getattr(im2col, name)(a, b, np.empty_like(like), **STATIC)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(found), np.isinf(expected))
    assert np.isfinite(found).any()
    finite = np.isfinite(expected)
    np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-3, atol=1e-3 * max(1, min(abs(bad), 1e38)))


@pytest.mark.parametrize("name", ["conv2d", "conv2d_dx", "conv2d_dw"])
def test_it_is_as_exact_as_the_direct_sum(name):
    x, w, g = arrays(8, 16, 16, 64, 64, (1, 1))
    a, b, like = {"conv2d": (x, w, g), "conv2d_dx": (g, w, x), "conv2d_dw": (x, g, w)}[name]
    expected = exact(name, a, b, like, (1, 1))
    errors = []
    for taken in (True, False):
        with cpu.forced(winograd=taken):
            errors.append(abs(getattr(cpu, name)(a, b, np.empty_like(like), **STATIC) - expected).max())
    assert errors[0] != errors[1]
    assert errors[0] <= 1.5 * errors[1]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 3])
def test_transformed_weights_end_in_zeros(threads, dtype, turned):
    """What is beyond the last channel is multiplied, too: NaN there would send a finite convolution another way."""
    C, O, wide = 5, 17, 8
    w = np.random.default_rng(0).standard_normal((3, 3, O, C) if turned else (3, 3, C, O)).astype(dtype)
    w = w[::-1, ::-1].transpose(0, 1, 3, 2) if turned else w
    panels, taps = np.full((16, 3, C, wide), np.nan, dtype), np.full((threads, 3, 3, wide), np.nan, dtype)
    loops = winograd.loops
    loops.transform_weights(threads, w, panels, taps, loops.TERMS, loops.FACTORS.astype(dtype))
    g = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]  # G of Lavin & Gray 2016 [lavin2016fast]
    whole = np.zeros((16, C, 3 * wide))
    whole[..., :O] = np.einsum("ai,bj,ijco->abco", g, g, w.astype("d")).reshape(16, C, O)
    expected = whole.reshape(16, C, 3, wide).transpose(0, 2, 1, 3)
    np.testing.assert_allclose(panels, expected, rtol=0, atol=10 * np.finfo(dtype).eps)
    assert not panels[:, 2, :, 1:].any()
