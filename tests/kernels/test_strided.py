"""Winograd's way to 4x4 convolutions at stride 2: all sizes, not only those it is chosen for."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tinyres_kernels import cpu, im2col
from tinyres_kernels.geometry import conv_out

NAMES = ["conv2d", "conv2d_dx", "conv2d_dw"]


def static(padding):
    return {"stride": (2, 2), "padding": padding, "dilation": (1, 1), "groups": 1}


def strided(name, a, b, out, padding, **choices):
    """This way to it, whether it is worth it or not."""
    with cpu.forced(strided=True, **choices):
        return getattr(cpu, name)(a, b, out, **static(padding))


def cases(N, H, W, C, O, padding, seed=0):
    """For each kernel its two arguments, and an array like its result."""
    draw = np.random.default_rng(seed).standard_normal
    OH, OW = ((n + 2 * p - 4) // 2 + 1 for n, p in zip((H, W), padding, strict=True))
    x, w, g = (draw(s).astype("f") for s in ((N, H, W, C), (4, 4, C, O), (N, OH, OW, O)))
    return {"conv2d": (x, w, g), "conv2d_dx": (g, w, x), "conv2d_dw": (x, g, w)}


def exact(name, a, b, like, padding):
    return getattr(im2col, name)(a.astype("d"), b.astype("d"), np.empty(like.shape), **static(padding))


def bound(name, a, b):
    """The most that the terms of an element, and of its neighbours in the tile, can come to: a transformed pixel is a
    sum of up to four."""
    largest = 4 * abs(a).max(axis=(0, 1, 2))
    if name == "conv2d_dw":
        return np.outer(largest, abs(b).sum(axis=(0, 1, 2)))
    weights = abs(b).sum(axis=(0, 1))
    return largest @ (weights if name == "conv2d" else weights.T)


@settings(max_examples=80, deadline=None)
@example(N=1, hw=(1, 1), C=1, O=1, padding=(3, 2), threads=1, seed=0)
@example(N=1, hw=(5, 4), C=1, O=1, padding=(0, 0), threads=1, seed=0)
@example(N=2, hw=(16, 60), C=33, O=65, padding=(1, 1), threads=2, seed=0)
@example(N=2, hw=(9, 30), C=130, O=129, padding=(1, 1), threads=2, seed=0)
@example(N=1, hw=(4, 4), C=22, O=33, padding=(0, 0), threads=1, seed=5)  # one output: nothing averages out
@given(
    N=st.integers(1, 4),
    hw=st.tuples(st.integers(1, 19), st.integers(1, 35)),
    C=st.integers(1, 40),
    O=st.integers(1, 70),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    threads=st.integers(1, 7),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_the_convolution_and_its_adjoints(N, hw, C, O, padding, threads, seed):
    hw = tuple(max(n, 4 - 2 * p) for n, p in zip(hw, padding, strict=True))
    for name, (a, b, like) in cases(N, *hw, C, O, padding, seed).items():
        a.flags.writeable = b.flags.writeable = False
        out = np.full(like.shape, np.nan, "f")
        strided(name, a, b, out, padding, threads=threads, worth_a_thread=0)
        error = abs(out - exact(name, a, b, like, padding))
        assert (error <= 4 * np.finfo("f").eps * bound(name, a, b)).all(), name


@pytest.mark.parametrize("band", [1, 10**5, 10**9])
@pytest.mark.parametrize("name", NAMES)
def test_bands_of_any_height_make_up_the_same_sums(name, band):
    a, b, like = cases(5, 18, 14, 20, 36, (1, 1))[name]
    out = np.full(like.shape, np.nan, "f")
    strided(name, a, b, out, (1, 1), strided_band=band)
    np.testing.assert_allclose(out, exact(name, a, b, like, (1, 1)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("count", range(1, 8))
def test_threads_share_out_phases_and_columns(count):
    """More threads than the machine has take turns: the loop runs over shares, whoever takes them."""
    for name, (a, b, like) in cases(3, 12, 11, 9, 150, (1, 1)).items():
        out = np.full(like.shape, np.nan, "f")
        strided(name, a, b, out, (1, 1), threads=count, worth_a_thread=0)
        np.testing.assert_allclose(out, exact(name, a, b, like, (1, 1)), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_every_run_gives_the_same_bits(name):
    a, b, like = cases(16, 16, 16, 64, 64, (1, 1))[name]
    runs = [np.empty_like(like) for _ in range(4)]
    for out in runs:
        strided(name, a, b, out, (1, 1))
        np.testing.assert_array_equal(out, runs[0])


def test_it_is_taken_where_the_shapes_allow_it():
    def way(N=16, C=64, O=64, kernel=(4, 4), dtype="f", **changes):
        how = static((1, 1)) | changes
        sizes = [
            conv_out(16, *axis)
            for axis in zip(kernel, *(how[k] for k in ("stride", "padding", "dilation")), strict=True)
        ]
        x, w, y = (N, 16, 16, C), (*kernel, C // how["groups"], O), (N, *sizes, O)
        return cpu.explain("conv2d", x, w, y, dtype=dtype, **how).way

    assert way() == "strided"
    others = [{"N": 7}, {"C": 63}, {"O": 63}, {"kernel": (3, 3)}, {"dtype": "d"}, {"stride": (1, 1)}]
    others += [{"padding": (4, 1)}, {"dilation": (2, 1)}, {"groups": 2}]
    for other in others:
        assert way(**other) != "strided", other
        if not {"N", "C", "O"} & set(other):
            with pytest.raises(ValueError, match="forced"), cpu.forced(strided=True):
                way(**other)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_finite_is_left_to_the_direct_way(name, bad):
    a, b, like = cases(8, 16, 16, 64, 64, (1, 1))[name]
    a[1, 4, 4, 5] = bad
    found = strided(name, a, b, np.empty_like(like), (1, 1))
    with np.errstate(invalid="ignore", over="ignore"):
        expected = getattr(im2col, name)(a, b, np.empty_like(like), **static((1, 1)))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(found), np.isinf(expected))
    assert np.isfinite(found).any()
    finite = np.isfinite(expected)
    np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-3, atol=1e-3 * max(1, min(abs(bad), 1e38)))


@pytest.mark.parametrize(("name", "other"), [*((name, cpu) for name in NAMES[:2]), ("conv2d_dw", im2col)])
def test_it_is_as_exact_as_the_direct_sum(name, other):
    """Of dw, as a plain product: the direct way sums fewer terms at a time, and rounds a third as much."""
    a, b, like = cases(16, 16, 16, 64, 128, (1, 1))[name]
    expected, results = exact(name, a, b, like, (1, 1)), []
    for kernels, taken in ((cpu, True), (other, False)):
        with cpu.forced(strided=taken):
            results.append(getattr(kernels, name)(a, b, np.empty_like(like), **static((1, 1))))
    errors = [abs(result - expected).max() for result in results]
    assert errors[0] != errors[1]
    assert errors[0] <= 1.5 * errors[1]
