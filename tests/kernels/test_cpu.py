"""The compiled rung over the sizes that its tiles care about: tails of pixels, channels, taps; short rows; phases."""

import multiprocessing
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinyres_kernels import cpu, im2col, reference
from tinyres_kernels.cpu import host, memory
from tinyres_kernels.geometry import conv_out


@st.composite
def cases(draw):
    kernel, dilation = draw(st.integers(1, 5)), draw(st.integers(1, 2))
    stride, padding = draw(st.integers(1, 3)), draw(st.integers(0, 4))
    least = max(1, (kernel - 1) * dilation + 1 - 2 * padding)
    H, W = (draw(st.integers(least, least + 18)) for _ in range(2))
    N, groups = draw(st.integers(1, 5)), draw(st.sampled_from([1, 1, 1, 2, 3]))
    CG, OG = draw(st.integers(1, 20)), draw(st.integers(1, 40))
    return N, H, W, kernel, CG, OG, stride, padding, dilation, groups, draw(st.integers(0, 2**32 - 1))


def triple(rung, x, w, g, static):
    made = []
    for name, args, like in (("conv2d", (x, w), g), ("conv2d_dx", (g, w), x), ("conv2d_dw", (x, g), w)):
        made.append(getattr(rung, name)(*args, np.full(like.shape, np.nan, like.dtype), **static))
    return made


def arrays(case, dtype):
    N, H, W, kernel, CG, OG, stride, padding, dilation, groups, seed = case
    static = {"stride": (stride,) * 2, "padding": (padding,) * 2, "dilation": (dilation,) * 2, "groups": groups}
    out = [conv_out(n, kernel, stride, padding, dilation) for n in (H, W)]
    draw = np.random.default_rng(seed).standard_normal
    shapes = (N, H, W, CG * groups), (kernel, kernel, CG, OG * groups), (N, *out, OG * groups)
    return *(draw(shape).astype(dtype) for shape in shapes), static


def assert_right(got, x, w, g, static):
    """Against im2col in float64: within a few roundings of the sum of the absolute values of its terms."""
    wide = [a.astype("d") for a in (x, w, g)]
    sizes = triple(im2col, *map(abs, wide), static)
    for a, b, size in zip(got, triple(im2col, *wide, static), sizes, strict=True):
        assert a.dtype == x.dtype
        assert (abs(a - b) <= 6 * np.finfo(x.dtype).eps * size + np.finfo("d").eps * size).all()


@settings(max_examples=150, deadline=None)
@given(cases(), st.sampled_from("fd"), st.sampled_from([1, 30_000, 512 * 1024]))
def test_it_is_im2col(case, dtype, budget):
    _, _, _, _, CG, OG, _, _, _, groups, _ = case
    if groups > 1 and CG == OG > 2:
        dtype = "f"  # three kernels are compiled for each width of such a group: in float64 by tests of plans
    *given_arrays, static = arrays(case, dtype)
    with cpu.forced(images_bytes=budget):
        got = triple(cpu, *given_arrays, static)
    assert_right(got, *given_arrays, static)


@pytest.mark.parametrize(
    "shape",
    [  # N, C, size, O, kernel, stride, padding: layers of the nets that this is for
        (3, 3, 32, 16, 3, 1, 1),
        (3, 16, 32, 32, 3, 2, 1),
        (3, 64, 8, 64, 3, 1, 1),
        (2, 3, 32, 64, 4, 2, 1),
        (2, 128, 8, 256, 4, 2, 1),
        (2, 64, 14, 128, 3, 1, 1),
        (1, 8, 224, 8, 7, 2, 3),
    ],
)
def test_layers(shape):
    N, C, size, O, kernel, stride, padding = shape
    *given_arrays, static = arrays((N, size, size, kernel, C, O, stride, padding, 1, 1, 0), "f")
    assert_right(triple(cpu, *given_arrays, static), *given_arrays, static)


def test_nan_and_infinity_reach_exactly_the_outputs_that_read_them():
    x, w, _, static = arrays((1, 9, 9, 3, 2, 17, 1, 1, 1, 1, 0), "f")
    x[0, 4, 4, 0], x[0, 0, 0, 1] = np.nan, np.inf
    y = cpu.conv2d(x, w, np.empty((1, 9, 9, 17), "f"), **static)
    bad = ~np.isfinite(y).all(axis=-1)[0]
    expected = np.zeros((9, 9), bool)
    expected[3:6, 3:6] = expected[:2, :2] = True
    np.testing.assert_array_equal(bad, expected)


@pytest.mark.parametrize("cpu_name", ["haswell", "nehalem", "skylake-avx512"])
def test_tiles_follow_the_target(cpu_name):
    code = "from tinyres_kernels.cpu.host import TARGET; print(*TARGET)"
    environment = {**os.environ, "NUMBA_CPU_NAME": cpu_name, "NUMBA_CPU_FEATURES": ""}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert (
        ran.stdout.split() == {"haswell": ["8", "16"], "nehalem": ["4", "16"], "skylake-avx512": ["16", "32"]}[cpu_name]
    )


def in_a_fork(queue):
    x, w, _, static = arrays((2, 6, 6, 3, 2, 4, 1, 1, 1, 1, 0), "f")
    queue.put((host.threads(), cpu.conv2d(x, w, np.empty((2, 6, 6, 4), "f"), **static)))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_forked_child_runs_serially_instead_of_being_killed():
    x, w, _, static = arrays((2, 6, 6, 3, 2, 4, 1, 1, 1, 1, 0), "f")
    expected = cpu.conv2d(x, w, np.empty((2, 6, 6, 4), "f"), **static)  # the parent has entered OpenMP
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=in_a_fork, args=(queue,))
    child.start()
    threads, found = queue.get(timeout=60)
    child.join()
    assert child.exitcode == 0
    assert threads == 1
    np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_the_second_process_compiles_nothing(tmp_path):
    code = """
import gc

import numpy as np
from numba.core.dispatcher import Dispatcher
from tinyres_kernels import cpu

static = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
for C in (3, 32):
    x, w = np.ones((1, 4, 4, C), "f"), np.ones((3, 3, C, C), "f")
    y = cpu.conv2d(x, w, np.empty_like(x), **static)
    cpu.conv2d_dw(x, y, np.empty_like(w), **static)
known = [d for d in gc.get_objects() if isinstance(d, Dispatcher) and "tinyres" in d.py_func.__module__]
hits, misses = (sum(sum(getattr(d.stats, kind).values()) for d in known) for kind in ("cache_hits", "cache_misses"))
print(hits, misses)
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}

    def run():
        ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        return [int(word) for word in ran.stdout.split()]

    assert run()[1] > 0
    hits, misses = run()
    assert hits > 0
    assert misses == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_few_channels_at_a_stride_keep_what_is_not_finite_in_its_place(bad):
    """All phases at once would multiply it by the zeros of phases that do not read it."""
    _, w, g, static = arrays((2, 9, 8, 4, 3, 17, 2, 1, 1, 1, 0), "f")
    g[1, 2, 2, 3] = bad
    found, expected = (rung.conv2d_dx(g, w, np.full((2, 9, 8, 3), np.nan, "f"), **static) for rung in (cpu, reference))
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    finite = np.isfinite(expected)
    np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_scratch_memory_begins_with_a_cache_line(dtype):
    """Of any size, small or so large that the C library asks the system for it, and whatever was held there before."""
    for size in (1, 100, 10**5, 3 * 10**6):
        for name in ("of this test", f"of this test, {size} {dtype}"):
            assert memory.scratch(name, dtype, size).ctypes.data % 64 == 0
