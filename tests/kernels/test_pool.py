"""Pools and their adjoints, against windows laid out in full."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from tinyres_kernels import cpu, im2col, reference
from tinyres_kernels.geometry import conv_out

RUNGS = pytest.mark.parametrize("rung", [reference, im2col, cpu], ids=["reference", "im2col", "cpu"])


@st.composite
def pools(draw, dilations=2):
    """The image's shape, the output's, the static arguments, a generator."""
    axes = []
    for _ in range(2):
        kernel, stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, dilations))
        padding = draw(st.integers(0, kernel // 2))
        least = (kernel - 1) * dilation + 1  # so that no window holds padding alone
        axes.append((draw(st.integers(least, least + 4)), kernel, stride, padding, dilation))
    hw, kernel, stride, padding, dilation = zip(*axes, strict=True)
    N, C = draw(st.integers(0, 2)), draw(st.integers(1, 5))
    static = {"kernel": kernel, "stride": stride, "padding": padding}
    if dilations > 1:
        static["dilation"] = dilation
    out = (N, *map(conv_out, hw, kernel, stride, padding, dilation), C)
    return (N, *hw, C), out, static, np.random.default_rng(draw(st.integers(0, 2**32 - 1)))


def windows(a, static, fill):
    """Every window of (N, H, W, C), its taps in a row: (N, OH, OW, C, KH*KW). Padding holds `fill`."""
    (KH, KW), (sh, sw), (ph, pw) = static["kernel"], static["stride"], static["padding"]
    dh, dw = static.get("dilation", (1, 1))
    padded = np.pad(a, [(0, 0), (ph, ph), (pw, pw), (0, 0)], constant_values=fill)
    if not len(padded):
        padded = np.zeros((1, *padded.shape[1:]), a.dtype)  # a view of windows needs something to look at
    view = sliding_window_view(padded, ((KH - 1) * dh + 1, (KW - 1) * dw + 1), axis=(1, 2))
    view = view[:, ::sh, ::sw, :, ::dh, ::dw][: len(a)]
    return view.reshape(*view.shape[:4], KH * KW)


def max_pool(rung, x, shape, static):
    x.flags.writeable = False
    out, index = np.full(shape, np.nan, x.dtype), np.full(shape, -7, np.int32)
    assert rung.max_pool2d(x, out, index, **static) is out
    return out, index


def run(function, *args, shape, **static):
    """The kernel's result; `out` holds NaN before, and must be what comes back. No kernel writes to its inputs."""
    for a in args:
        a.flags.writeable = False
    out = np.full(shape, np.nan, args[0].dtype)
    assert function(*args, out, **static) is out
    return out


@settings(max_examples=80, deadline=None)
@given(case=pools(), dtype=st.sampled_from("fd"))
def test_max_pool_ties_nan_and_infinities(case, dtype):
    shape, out_shape, static, rng = case
    values = [-np.inf, -np.inf, -1, 0, 1, np.inf, np.nan] if rng.random() < 0.7 else [-np.inf, -1]
    x = rng.choice(np.array(values, dtype), shape)  # few values: most windows hold ties
    out, index = max_pool(reference, x, out_shape, static)
    assert (out.dtype, index.dtype) == (dtype, np.int32)
    # argmax takes the first NaN, else the first maximum; real pixels are lifted above the padding, which must lose.
    laid_out = windows(np.maximum(x, np.finfo(dtype).min), static, -np.inf)
    np.testing.assert_array_equal(index, laid_out.argmax(-1))
    chosen = np.take_along_axis(windows(x, static, 99), index[..., None].astype(int), -1)[..., 0]
    np.testing.assert_array_equal(out, chosen)
    np.testing.assert_array_equal(run(reference.max_pool2d_take, x, index, shape=out_shape, **static), out)


@settings(max_examples=80, deadline=None)
@given(case=pools(), dtype=st.sampled_from("fd"))
def test_take_and_its_adjoint_for_any_index(case, dtype):
    shape, out_shape, static, rng = case
    u, g = rng.standard_normal(shape).astype(dtype), rng.standard_normal(out_shape).astype(dtype)
    taps = np.prod(static["kernel"])
    index = rng.integers(0, taps, out_shape, dtype=np.int32)  # some point at padding
    taken = run(reference.max_pool2d_take, u, index, shape=out_shape, **static)
    expected = np.take_along_axis(windows(u, static, 0), index[..., None].astype(int), -1)[..., 0]
    np.testing.assert_array_equal(taken, expected)
    dx = run(reference.max_pool2d_dx, g, index, shape=shape, **static)
    # Which pixel is meant: the same windows, of the pixels' own numbers; 0 stands for padding.
    numbers = windows(np.arange(1, u.size + 1).reshape(shape), static, 0)
    flat = np.zeros(u.size + 1)
    np.add.at(flat, np.take_along_axis(numbers, index[..., None].astype(int), -1)[..., 0], g)
    np.testing.assert_allclose(dx, flat[1:].reshape(shape), rtol=0, atol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("count_include_pad", [True, False])
@settings(max_examples=60, deadline=None)
@given(case=pools(dilations=1), dtype=st.sampled_from("fd"))
def test_avg_pool_and_its_adjoint(count_include_pad, case, dtype):
    shape, out_shape, static, rng = case
    x, g = rng.standard_normal(shape).astype(dtype), rng.standard_normal(out_shape).astype(dtype)
    out = run(reference.avg_pool2d, x, shape=out_shape, count_include_pad=count_include_pad, **static)
    pad = 0.0 if count_include_pad else np.nan
    atol = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(out, np.nanmean(windows(x, static, pad), -1), rtol=0, atol=atol)
    dx = run(reference.avg_pool2d_dx, g, shape=shape, count_include_pad=count_include_pad, **static)
    assert dx.dtype == dtype
    assert abs(np.vdot(g, out) - np.vdot(dx, x)) <= atol * (1 + np.abs(g).sum())


@RUNGS
def test_an_infinite_cotangent_stays_where_it_belongs(rung):
    static = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0), "dilation": (1, 1)}
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    _, index = max_pool(rung, x, (1, 2, 2, 1), static)
    g = np.array([np.inf, 1, 2, np.nan]).reshape(1, 2, 2, 1)
    dx = run(rung.max_pool2d_dx, g, index, shape=x.shape, **static)
    np.testing.assert_array_equal(dx[0, 1::2, 1::2], g[0])
    assert np.count_nonzero(dx) == 4


@RUNGS
@pytest.mark.parametrize("tap", [-1, 4, 1 << 30])
def test_a_tap_that_the_window_has_not_gets_nothing(rung, tap):
    static = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0), "dilation": (1, 1)}
    g, index = np.ones((1, 2, 2, 3)), np.zeros((1, 2, 2, 3), np.int32)
    index[0, 1, 0, 1] = tap
    dx = run(rung.max_pool2d_dx, g, index, shape=(1, 4, 4, 3), **static)
    assert dx.sum() == 11
    assert dx[0, ::2, ::2].sum() == 11


@RUNGS
def test_a_first_nan_is_not_displaced(rung):
    static = {"kernel": (1, 4), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}
    x = np.array([3, np.nan, np.inf, np.nan]).reshape(1, 1, 4, 1)
    out, index = max_pool(rung, x, (1, 1, 1, 1), static)
    assert np.isnan(out.item())
    assert index.item() == 1


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("C", [1, 7, 8, 16, 33, 70])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "dilation"),
    [
        ((9, 8), (2, 2), (2, 2), (0, 0), (1, 1)),
        ((7, 9), (3, 2), (1, 3), (1, 0), (2, 1)),
        ((6, 9), (3, 3), (2, 2), (1, 1), (1, 1)),
        ((5, 6), (5, 6), (1, 1), (0, 0), (1, 1)),
    ],
    ids=["2x2", "dilated", "overlapping", "whole image"],
)
@cpu.forced(worth_a_thread=0)
def test_vectors_of_channels_and_shares_of_threads(dtype, C, size, kernel, stride, padding, dilation):
    """What only chooses is the reference bit for bit, and what sums is so within its roundings, on all threads."""
    rng = np.random.default_rng(C)
    x = rng.choice(np.array([-1, -0.0, 0.0, 0.5, 2, np.inf, -np.inf, np.nan], dtype), (3, *size, C))
    y = (3, *map(conv_out, size, kernel, stride, padding, dilation), C)
    static = {"kernel": kernel, "stride": stride, "padding": padding}
    (out, index), (expected, winners) = (max_pool(r, x, y, {**static, "dilation": dilation}) for r in (cpu, reference))
    np.testing.assert_array_equal(index, winners)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(np.signbit(out), np.signbit(expected))
    index = rng.integers(0, kernel[0] * kernel[1], y, dtype=np.int32)
    u, g = (rng.standard_normal(shape).astype(dtype) for shape in (x.shape, y))
    calls = [("max_pool2d_take", (u, index), y), ("max_pool2d_dx", (g, index), x.shape)]
    for name, args, shape in calls:
        a, b = (run(getattr(r, name), *args, shape=shape, dilation=dilation, **static) for r in (cpu, reference))
        np.testing.assert_allclose(a, b, rtol=0, atol=0 if name.endswith("take") else 20 * np.finfo(dtype).eps)
    if dilation == (1, 1):
        for name, a, shape in (("avg_pool2d", u, y), ("avg_pool2d_dx", g, x.shape)):
            for pads in (True, False):
                found = [
                    run(getattr(r, name), a, shape=shape, count_include_pad=pads, **static) for r in (cpu, reference)
                ]
                np.testing.assert_allclose(*found, rtol=0, atol=30 * np.finfo(dtype).eps)
