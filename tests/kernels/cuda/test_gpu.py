"""The CUDA kernels on a GPU: conformance, every tile on shapes beyond the simulator, the same bits twice."""

from functools import partial

import numpy as np
import pytest
from tinyres_kernels import im2col
from tinyres_kernels.conformance import OPS, check
from tinyres_kernels.contract import kernel
from tinyres_kernels.settings import Conv, Norm, Running

from tests.device.conftest import reason_without_gpu
from tinyres.bench.gpu.conform import MOVED, on_card

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(reason_without_gpu() is not None, reason=str(reason_without_gpu())),
]
CONVOLUTIONS = ("conv2d", "conv2d_dx", "conv2d_dw")
SHAPES = {  # images, channels of a group, size, outputs of a group, kernel, stride, padding, dilation, groups
    "a residual network's layer": (8, 64, 14, 64, 3, 1, 1, 1, 1),
    "its first layer": (16, 3, 32, 16, 3, 1, 1, 1, 1),
    "a layer that halves": (8, 32, 17, 64, 3, 2, 1, 1, 1),
    "a generator's layer": (8, 64, 16, 32, 4, 2, 1, 1, 1),
    "a generator's last layer": (8, 3, 32, 64, 4, 2, 1, 1, 1),
    "a critic's last layer": (64, 256, 4, 1, 4, 1, 0, 1, 1),
    "tails everywhere": (5, 37, 19, 45, 3, 1, 1, 1, 1),
    "stride 3, dilation 2, groups": (4, 12, 23, 20, 3, 3, 2, 2, 2),
    "depthwise": (8, 1, 28, 1, 3, 1, 1, 1, 32),
    "more than 2^16 blocks of pixels": (300, 4, 224, 4, 1, 1, 0, 1, 1),
}


@pytest.fixture(scope="module")
def rung():
    from tinyres_kernels import cuda

    return cuda


def ways(op):
    from tinyres_kernels import cuda

    from tinyres.bench.gpu.conform import ways as of_rung

    return of_rung(cuda, op)


@pytest.mark.parametrize("way", ["", MOVED, "naive", "tiled"])
@pytest.mark.parametrize("op", OPS)
def test_every_operation_conforms(op, way):
    if way not in ways(op):
        return
    report = check(on_card(ways(op)[way], moved=way == MOVED), op, examples=30)
    assert [(f.case.title, f.case.dtype, f.faults) for f in report.failures] == []


def arrays_of(shape, dtype):
    N, CG, size, OG, k, stride, padding, dilation, groups = shape
    out = (size + 2 * padding - dilation * (k - 1) - 1) // stride + 1
    rng = np.random.default_rng(0)
    dims = {"x": (N, size, size, CG * groups), "w": (k, k, CG, OG * groups), "g": (N, out, out, OG * groups)}
    how = {"stride": (stride,) * 2, "padding": (padding,) * 2, "dilation": (dilation,) * 2, "groups": groups}
    return {name: rng.standard_normal(dim).astype(dtype) for name, dim in dims.items()}, how


def compared(call, op, shape, dtype):
    """Twice on the card, over rubbish, and held against im2col in float64."""
    import cupy

    arrays, how = arrays_of(shape, dtype)
    names = {"conv2d": ("x", "w", "g"), "conv2d_dx": ("g", "w", "x"), "conv2d_dw": ("x", "g", "w")}[op]
    there = [cupy.asarray(arrays[name]) for name in names[:2]]
    first, again = (cupy.full(arrays[names[2]].shape, rubbish, dtype) for rubbish in (np.nan, 7.0))
    call(*there, first, **how)
    call(*there, again, **how)
    assert first.get().tobytes() == again.get().tobytes()
    wide = [arrays[name].astype("float64") for name in names[:2]]
    expected, size = (np.empty(first.shape) for _ in range(2))
    getattr(im2col, op)(*wide, expected, **how)
    getattr(im2col, op)(*map(abs, wide), size, **how)
    assert (abs(first.get() - expected) <= 6 * np.finfo(dtype).eps * size).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("title", SHAPES)
@pytest.mark.parametrize("op", CONVOLUTIONS)
def test_convolutions_of_some_size(rung, op, title, dtype):
    compared(getattr(rung, op), op, SHAPES[title], dtype)


@pytest.mark.parametrize("title", ["a residual network's layer", "a layer that halves", "tails everywhere"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", CONVOLUTIONS)
def test_every_tile(rung, op, title, dtype):
    width = 1 if title == "tails everywhere" else 4
    for offer in rung.conv_plan.offers(np.dtype(dtype), rung.conv_tile.Words(width, width, width)):

        def call(*arrays, tile=offer.tile, **how):
            kernel(op, partial(getattr(rung.conv, op), tile=tile))(*arrays, **how)

        compared(call, op, SHAPES[title], dtype)


@pytest.mark.parametrize("title", ["a residual network's layer", "its first layer", "tails everywhere"])
@pytest.mark.parametrize("op", ["conv2d", "conv2d_dx"])
def test_winograds_way(rung, op, title, monkeypatch):
    """Whatever would be chosen: close by norm, and what is not finite stays with the windows that read it."""
    import cupy

    arrays, how = arrays_of(SHAPES[title], "float32")
    names = {"conv2d": ("x", "w", "g"), "conv2d_dx": ("g", "w", "x")}[op]
    a, w, out = (arrays[name] for name in names)
    expected, marks = np.empty(out.shape), np.empty_like(out)
    getattr(im2col, op)(a.astype("float64"), w.astype("float64"), expected, **how)
    spoilt = a.copy()
    spoilt[0, 1, 1, 0] = np.inf
    getattr(im2col, op)(spoilt, w, marks, **how)
    for offer in rung.winograd.OFFERS:
        monkeypatch.setattr(rung.conv, "choose", lambda gather, tile, of=offer.block: rung.winograd.Plan(of, 0.0))
        first, again, third = (cupy.full(out.shape, rubbish, "float32") for rubbish in (np.nan, 7.0, np.nan))
        for result in (first, again):
            getattr(rung, op)(cupy.asarray(a), cupy.asarray(w), result, **how)
        assert first.get().tobytes() == again.get().tobytes()
        off = np.linalg.norm(first.get() - expected) / np.linalg.norm(expected)
        assert off < 1e-6
        getattr(rung, op)(cupy.asarray(spoilt), cupy.asarray(w), third, **how)
        assert (np.isfinite(third.get()) == np.isfinite(marks)).all()


def test_arrays_that_begin_between_sixteen_bytes(rung):
    """What four numbers at once cannot be loaded from is loaded one by one."""
    import cupy

    arrays, how = arrays_of(SHAPES["a residual network's layer"], "float32")
    x, w, g = (cupy.asarray(arrays[name]) for name in "xwg")
    moved = cupy.empty(x.size + 1, "float32")[1:].reshape(x.shape)
    moved[...] = x
    assert moved.data.ptr % 16
    assert moved.flags.c_contiguous
    first, second = cupy.empty_like(g), cupy.empty_like(g)
    rung.conv2d(x, w, first, **how)
    rung.conv2d(moved, w, second, **how)
    assert abs(first - second).max().item() < 1e-3


def test_kernels_run_on_the_stream_that_is_current(rung):
    import cupy

    a = cupy.ones(1 << 24, "float32")
    with cupy.cuda.Stream(non_blocking=True) as stream:
        b = a + 1
        out = rung.add(a, b, cupy.empty_like(a))
        doubled = out * 2
    stream.synchronize()
    assert (doubled.get() == 6).all()


def test_batch_norm_of_a_far_mean_and_many_parts(rung):
    import cupy

    x = (1e4 + np.random.default_rng(0).standard_normal((200_000, 17))).astype("float32")
    there, one = cupy.asarray(x), cupy.ones(17, "float32")
    mean, variance, out = cupy.empty_like(one), cupy.empty_like(one), cupy.empty_like(there)
    rung.batch_norm(there, one, one, None, out, mean, variance, eps=1e-5, training=True, relu=False)
    np.testing.assert_allclose(mean.get(), x.astype("float64").mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(variance.get(), x.astype("float64").var(axis=0), rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("title", ["a residual network's layer", "its first layer", "tails everywhere"])
def test_a_convolution_measures_its_result_and_takes_a_norm_along(rung, title, dtype, monkeypatch):
    """By every tile, and Winograd's way: mean, variance and running ones of what it wrote, with the same bits twice."""
    import cupy

    arrays, how = arrays_of(SHAPES[title], dtype)
    x, w, y = (cupy.asarray(arrays[name]) for name in "xwg")
    O, pixels = y.shape[3], y.size // y.shape[3]
    words = rung.conv_tile.Words(*[1 if title == "tails everywhere" else 4] * 3)
    own = [rung.conv_plan.Plan(offer.tile, 1, 1 << 30, 0.0) for offer in rung.conv_plan.offers(np.dtype(dtype), words)]
    own = [plan for plan in own if how["groups"] == 1 or O // how["groups"] >= 4]
    three = w.shape[:2] == (3, 3) and {*how["stride"], *how["dilation"], how["groups"]} == {1}
    ways = (
        [rung.winograd.Plan(offer.block, 0.0) for offer in rung.winograd.OFFERS] if three and dtype == "float32" else []
    )
    close = {"rtol": 1e-4, "atol": 1e-4} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-11}
    line = cupy.arange(O, dtype=dtype) + 1
    for plan in [*own, *ways]:
        monkeypatch.setattr(rung.conv_norm, "choose", lambda gather, tile, plan=plan: plan)
        monkeypatch.setattr(rung.conv, "choose", lambda gather, tile, plan=plan: plan)
        found = []
        for _ in range(2):
            made = [cupy.full(O, cupy.nan, dtype) for _ in range(4)] + [cupy.zeros(1, "int64")]
            mean, variance, *new = made
            rung.conv2d_statistics(
                x, w, y, mean, variance, Running(line, line, cupy.array([41]), *new), Conv(**how), 0.25
            )
            found.append([a.get() for a in made])
        assert [a.tobytes() for a in found[0]] == [a.tobytes() for a in found[1]]
        rows = y.get().reshape(-1, O).astype("float64")
        centre, spread, old = rows.mean(axis=0), rows.var(axis=0), line.get()
        moved = 0.75 * old + 0.25 * centre, 0.75 * old + 0.25 * spread * pixels / (pixels - 1)
        for a, b in zip(found[0], (centre, spread, *moved, [42]), strict=True):
            np.testing.assert_allclose(a, b, **close)
        if plan in own:
            out = rung.conv2d_norm(
                x, w, cupy.empty_like(y), line, line, mean, variance, y, Conv(**how), Norm(0.1, False, True)
            )
            expected = np.maximum((rows - centre) / np.sqrt(spread + 0.1) * old + old + rows, 0)
            np.testing.assert_allclose(out.get().reshape(-1, O), expected, rtol=1e-3, atol=close["atol"] * 10)
