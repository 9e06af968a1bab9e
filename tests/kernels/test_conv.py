"""Convolution and its two adjoints, on every rung of the CPU."""

from dataclasses import dataclass
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tinyres_kernels import cpu, im2col, reference
from tinyres_kernels.cpu.host import TARGET
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
    ("images", "size", "stride", "inputs", "outputs", "threads", "product"),
    [
        (1, (16, 32), 1, 64, 64, 1, True),
        (1, (16, 32), 1, 63, 64, 1, False),  # too few channels, on either side
        (1, (16, 32), 1, 64, 63, 1, False),
        (2, (16, 32), 1, 255, 64, 2, False),  # too few for each of two threads
        (2, (16, 32), 1, 256, 64, 2, True),
        (1, (16, 32), 1, 64, 64, 2, True),  # one image, which the other way would leave to one thread
        (9, (7, 73), 1, 256, 64, 2, True),
        (4, (14, 14), 1, 256, 128, 2, True),
        (4, (15, 14), 2, 256, 128, 2, True),  # of the pixels, one in four
        (21, (7, 7), 1, 1024, 1024, 1, False),  # BLAS would sum more pixels of small images at a time
        (20, (7, 7), 1, 1024, 1024, 1, True),  # here, with fewer than 1024 pixels, our own tiles sum
    ],
)
def test_the_gradient_of_a_wide_1x1_kernel_is_a_product_where_it_rounds_no_more(
    images, size, stride, inputs, outputs, threads, product
):
    result = [-(-side // stride) for side in size]
    shapes = (images, *size, inputs), (images, *result, outputs), (1, 1, inputs, outputs)
    static = {"stride": (stride, stride), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal(shape, np.float32) for shape in shapes[:2])
    with cpu.forced(threads=threads):
        assert (cpu.explain("conv2d_dw", *shapes, dtype="f", **static).way == "product") == product
        found = cpu.conv2d_dw(x, g, np.full(shapes[2], np.nan, np.float32), **static)[0, 0]
        with cpu.forced(blas=False):
            direct = cpu.conv2d_dw(x, g, np.empty(shapes[2], np.float32), **static)[0, 0]
    read = x[:, ::stride, ::stride].reshape(-1, inputs).astype("d")
    exact = read.T @ g.reshape(-1, outputs).astype("d")
    error, known = (np.sqrt(np.mean((a - exact) ** 2)) for a in (found, direct))
    assert error <= 1.25 * known < 1e-4


@pytest.mark.parametrize(
    ("op", "stride", "inputs", "outputs", "product"),
    [
        ("conv2d", 1, 8, 2, False),  # channels in vectors: what is read, and what is written
        ("conv2d", 1, 8, 3, True),
        ("conv2d", 2, 8, 3, False),  # to gather pixels costs more than to read some of them again
        ("conv2d", 2, 256, 1, True),  # but not those of many channels
        ("conv2d_dx", 1, 2, 8, False),
        ("conv2d_dx", 2, 3, 8, True),
    ],
)
def test_a_1x1_kernel_onto_more_than_two_vectors_is_a_product(op, stride, inputs, outputs, product):
    lanes = TARGET.lanes
    C, O = inputs * lanes, outputs * lanes
    x, w, y = (2, 6, 7, C), (1, 1, C, O), (2, -(-6 // stride), -(-7 // stride), O)
    static = {"stride": (stride, stride), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    shapes = (x, w, y) if op == "conv2d" else (y, w, x)
    assert (cpu.explain(op, *shapes, dtype="f", **static).way == "product") == product
