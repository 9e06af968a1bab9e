"""Convolution and its two adjoints, on every rung of the CPU."""

from dataclasses import dataclass
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tinyres_kernels import cpu, im2col, reference
from tinyres_kernels.geometry import conv_out

RUNGS = pytest.mark.parametrize("rung", [reference, im2col, cpu], ids=["reference", "im2col", "cpu"])
LAYOUTS = {
    "plain": lambda a: a,
    "channels first": lambda a: np.ascontiguousarray(a.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1),
    "every other": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards": lambda a: a[:, ::-1].copy()[:, ::-1],
}


@dataclass
class Case:
    x: tuple[int, ...]
    w: tuple[int, ...]
    y: tuple[int, ...]
    static: dict
    seed: int = 0

    def arrays(self, dtype=np.float64):
        draw = np.random.default_rng(self.seed).standard_normal
        return [draw(shape).astype(dtype) for shape in (self.x, self.w, self.y)]


def make(N, hw, kernel, CG, OG, stride, padding, dilation, groups, seed=0):
    out = [conv_out(*numbers) for numbers in zip(hw, kernel, stride, padding, dilation, strict=True)]
    static = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return Case((N, *hw, CG * groups), (*kernel, CG, OG * groups), (N, *out, OG * groups), static, seed)


@st.composite
def cases(draw):
    axes = []
    for _ in range(2):
        kernel, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
        stride, padding = draw(st.integers(1, 3)), draw(st.integers(0, 3))
        least = max(1, (kernel - 1) * dilation + 1 - 2 * padding)
        axes.append((draw(st.integers(least, least + 5)), kernel, stride, padding, dilation))
    hw, kernel, stride, padding, dilation = zip(*axes, strict=True)
    N, CG, OG, groups = (draw(st.integers(low, 3)) for low in (0, 1, 1, 1))
    return make(N, hw, kernel, CG, OG, stride, padding, dilation, groups, draw(st.integers(0, 2**32 - 1)))


def run(rung, name, case, *args):
    """The kernel's result; `out` holds NaN before, and must be what comes back. No kernel writes to its inputs."""
    for a in args:
        a.flags.writeable = False
    shape = {"conv2d": case.y, "conv2d_dx": case.x, "conv2d_dw": case.w}[name]
    out = np.full(shape, np.nan, args[0].dtype)
    assert getattr(rung, name)(*args, out, **case.static) is out
    return out


def triple(rung, case, x, w, g):
    return [
        run(rung, "conv2d", case, x, w),
        run(rung, "conv2d_dx", case, g, w),
        run(rung, "conv2d_dw", case, x, g),
    ]


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from(sorted(LAYOUTS)), st.sampled_from([1, 3000, 8 << 20]), st.sampled_from("fd"))
@example(make(2, (6, 5), (3, 3), 2, 3, (1, 1), (1, 1), (1, 1), 1), "plain", 1, "d")  # a residual network's layer
@example(make(2, (5, 5), (1, 1), 3, 2, (1, 1), (0, 0), (1, 1), 2), "plain", 1, "d")  # a matrix product
@example(make(2, (6, 6), (4, 4), 2, 2, (2, 2), (1, 1), (1, 1), 1), "plain", 1, "d")  # a generator's layer
def test_im2col_is_the_reference_whatever_the_layout_and_the_budget(case, layout, budget, dtype):
    x, w, g = case.arrays(dtype)
    with mock.patch.object(im2col.conv, "BUDGET", budget):
        got = triple(im2col, case, *map(LAYOUTS[layout], (x, w, g)))
    eps = np.finfo(dtype).eps
    for a, b in zip(got, triple(reference, case, x, w, g), strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=100 * eps)  # sums of at most some hundred terms of order one


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_the_three_are_one_trilinear_form(case):
    x, w, g = case.arrays()
    y, dx, dw = triple(reference, case, x, w, g)
    form = np.vdot(g, y)
    bound = 1e-13 * (1 + np.vdot(abs(g), run(reference, "conv2d", case, abs(x), abs(w))))
    assert abs(np.vdot(dx, x) - form) <= bound
    assert abs(np.vdot(dw, w) - form) <= bound


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_conv2d_is_scipys_correlation_channel_by_channel(case):
    from scipy.signal import correlate2d  # a second, for whoever collects

    x, w, _ = case.arrays()
    (ph, pw), (dh, dw), (sh, sw) = (case.static[key] for key in ("padding", "dilation", "stride"))
    KH, KW, CG, O = case.w
    OG = O // case.static["groups"]
    spread = np.zeros(((KH - 1) * dh + 1, (KW - 1) * dw + 1, CG, O))
    spread[::dh, ::dw] = w
    padded = np.pad(x, [(0, 0), (ph, ph), (pw, pw), (0, 0)])
    expected = np.zeros(case.y)
    for n, o, c in np.ndindex(case.x[0], O, CG):
        plane = correlate2d(padded[n, :, :, o // OG * CG + c], spread[:, :, c, o], mode="valid")
        expected[n, :, :, o] += plane[::sh, ::sw]
    np.testing.assert_allclose(run(reference, "conv2d", case, x, w), expected, rtol=0, atol=1e-12)


@RUNGS
def test_pixels_that_no_window_reads_get_a_zero_gradient(rung):
    case = make(1, (6, 6), (1, 2), 1, 1, (2, 4), (0, 0), (1, 1), 1)
    _, w, g = case.arrays()
    reached = run(rung, "conv2d_dx", case, g, w)[0, :, :, 0] != 0
    assert reached.tolist() == [[h % 2 == 0 and i % 4 < 2 for i in range(6)] for h in range(6)]


@pytest.mark.parametrize("rung", [im2col, cpu], ids=["im2col", "cpu"])
def test_the_same_bits_twice(rung):
    case = make(16, (16, 16), (3, 3), 8, 8, (1, 1), (1, 1), (1, 1), 1)
    arrays = case.arrays(np.float32)
    for a, b in zip(triple(rung, case, *arrays), triple(rung, case, *arrays), strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize(
    ("inputs", "outputs", "kernel", "groups"),
    [(16, 16, 3, 1), (3, 16, 3, 1), (24, 40, 1, 1), (8, 8, 5, 8)],
    ids=["in a row", "all taps", "1x1", "depthwise"],
)
def test_a_weight_gradient_of_a_large_image_is_exact_since_its_sums_are_cut(inputs, outputs, kernel, groups):
    pads, size = (kernel // 2, kernel // 2), (224, 224)
    case = make(1, size, (kernel, kernel), inputs // groups, outputs // groups, (1, 1), pads, (1, 1), groups)
    x, _, g = case.arrays(np.float32)
    expected = run(im2col, "conv2d_dw", case, x.astype("d"), g.astype("d"))

    def error():
        return np.sqrt(((run(cpu, "conv2d_dw", case, x, g) - expected) ** 2).mean() / (expected**2).mean())

    cut = error()
    with cpu.forced(pixels=1 << 40, pixels_least=1 << 40):
        assert error() > 2 * cut
    assert cut < 1e-6


@pytest.mark.parametrize(
    ("images", "height", "width", "inputs", "outputs", "by_blas"),
    [
        (1, 16, 32, 64, 64, True),
        (3, 16, 32, 256, 64, True),
        (1, 16, 32, 63, 64, False),  # too few channels, on either side
        (1, 16, 32, 64, 63, False),
        (9, 7, 73, 64, 64, False),  # small images, however many: their sums would be longer
        (4, 14, 14, 256, 128, False),
    ],
)
def test_the_gradient_of_a_wide_1x1_kernel_is_a_product_where_it_rounds_no_more(
    images, height, width, inputs, outputs, by_blas
):
    shapes = (images, height, width, inputs), (images, height, width, outputs), (1, 1, inputs, outputs)
    static = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    assert (cpu.explain("conv2d_dw", *shapes, dtype="f", **static).way == "product") == by_blas
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal(shape, np.float32) for shape in shapes[:2])
    found = cpu.conv2d_dw(x, g, np.full(shapes[2], np.nan, np.float32), **static)[0, 0]
    with cpu.forced(blas=False):
        direct = cpu.conv2d_dw(x, g, np.empty(shapes[2], np.float32), **static)[0, 0]
    exact = x.reshape(-1, inputs).astype("d").T @ g.reshape(-1, outputs).astype("d")
    error, known = (np.sqrt(np.mean((a - exact) ** 2)) for a in (found, direct))
    assert error <= 1.25 * known < 1e-4
