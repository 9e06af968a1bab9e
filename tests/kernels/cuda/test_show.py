"""What `show_thread` tells is what the equations say, and it needs neither a GPU nor the simulator."""

from pathlib import Path
from threading import BrokenBarrierError

import numpy as np
import pytest

pytest.importorskip("numba", reason="NO NUMBA: the CUDA kernels need it")
host = pytest.importorskip("tinyres_kernels.cuda.host", reason="NO NUMBA.CUDA", exc_type=ImportError)

from tinyres_kernels.cuda import (  # noqa: E402
    Access,
    conv_measure,
    conv_naive,
    conv_tile,
    conv_tiled,
    conv_weights,
    elementwise,
    loss,
    norm,
    races,
    show,
    show_thread,
)
from tinyres_kernels.cuda import sums as of_parts  # noqa: E402
from tinyres_kernels.geometry import Axis  # noqa: E402

TINY = conv_tile.Tile(16, 16, 4, 4, 4)
ONE_BY_ONE = conv_tile.Words(1, 1, 1)


def naive_case():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 5, 6, 2)), rng.standard_normal((3, 3, 2, 4))
    return x, w, np.zeros((1, 5, 6, 4)), (1, 1, 1), (1, 1, 1)


@pytest.mark.parametrize("i", [0, 57, 119])
def test_one_thread_of_the_naive_convolution_reads_its_window(i):
    x, w, out, rows, cols = naive_case()
    shown = show_thread(conv_naive.conv2d_naive(np.float64), i // 8, i % 8, (x, w, out, rows, cols), threads=8)
    n, oh, ow, o = np.unravel_index(i, out.shape)
    axes = (Axis(size, size, 3, 1, 1, 1) for size in (5, 6))
    (down, along) = (axis.window(int(at)) for axis, at in zip(axes, (oh, ow), strict=True))
    pixels = {Access("x", (n, h, v, c)) for _, h in down for _, v in along for c in range(2)}
    weights = {Access("w", (kh, kw, c, o)) for kh, _ in down for kw, _ in along for c in range(2)}
    assert set(shown.reads) == pixels | weights
    assert shown.writes == [Access("out", (n, oh, ow, o))]
    assert not out.any()  # the arguments are left alone


def test_a_thread_beyond_the_end_does_nothing_and_says_so():
    a = np.ones(3)
    shown = show_thread(elementwise.add_kernel(np.float64), 0, 3, (a, a, a.copy()), threads=4)
    assert str(shown) == "reads nothing\nwrites nothing"
    shown = show_thread(elementwise.add_kernel(np.float64), 0, 2, (a, a, a.copy()), threads=4)
    assert str(shown) == "reads a[2], b[2]\nwrites out[2]"


def test_a_tile_reads_each_number_once():
    """The naive way reads 256 weights for these 16 pixels; here the block loads each one once."""
    x, w, out = np.ones((1, 4, 4, 4)), np.ones((1, 1, 4, 4)), np.zeros((1, 4, 4, 4))
    lines = (x.reshape(-1), w.reshape(-1), out.reshape(-1))
    image, axis = (1, 4, 4, 4, 4, 4, 4, 4, 4, 1, 4), (4, 1, 0, 1, 1, 1)
    kernel = conv_tiled.gather_kernel(np.float64, TINY, conv_tile.Words(4, 4, 4), False)
    shown = [show_thread(kernel, 0, i, (*lines, image, axis, axis), threads=TINY.threads) for i in range(TINY.threads)]
    reads = [access for each in shown for access in each.reads]
    assert len(reads) == len(set(reads)) == 16 * 4 + 4 * 4  # 16 pixels and 4 outputs, of 4 channels
    writes = [access for each in shown for access in each.writes]
    assert sorted(access.place[0] for access in writes) == list(range(64))


def test_the_threads_of_a_row_meet_at_their_barriers():
    x, target = np.array([[1.0, 5.0, 2.0]]), np.array([1])
    arguments = (x, target, np.zeros(1), np.zeros((1, 3)))
    shown = show_thread(loss.cross_entropy_kernel(np.float64), 0, (0, 0), arguments, threads=(2, 1))
    assert set(shown.writes) == {Access("out", (0,)), Access("probabilities", (0, 0)), Access("probabilities", (0, 2))}


def test_leaving_an_array_is_an_error_that_names_it():
    with pytest.raises(IndexError, match=r"b\[3\] lies outside of the array, which has the shape \(3,\)"):
        show_thread(elementwise.add_kernel(np.float64), 0, 0, (np.ones(4), np.ones(3), np.ones(4)), threads=4)
    with pytest.raises(ValueError, match=r"thread \(4, 0, 0\) is not in a block of \(4, 1, 1\) threads"):
        show_thread(elementwise.add_kernel(np.float64), 0, 4, (np.ones(4),) * 3, threads=4)


ROOM, COUNTED = np.zeros(500), np.ones(4, "uint32")  # of which a kernel is given the addresses


def blocks_with_barriers():
    """(title, how the kernel is made, block, arguments, threads, grid): all kernels with shared memory, on shapes with
    more than one slab."""
    rng = np.random.default_rng(0)
    x, w, g = rng.standard_normal((1, 4, 4, 6)), rng.standard_normal((3, 3, 6, 5)), rng.standard_normal((1, 4, 4, 5))
    line = [a.reshape(-1) for a in (x, w, g)]
    axes = ((4, 1, 1, 1, 3, 1),) * 2
    image = (1, 4, 4, 6, 6, 4, 4, 5, 5, 1)
    pixels, sums, channels = rng.standard_normal((21, 3)), np.zeros((3, 3)), np.ones(3)
    many = (1 << 20,) * 3
    make, tile = conv_tiled.gather_kernel, (TINY, ONE_BY_ONE, False)
    yield "a convolution", (make, tile), (0, 0, 0), (*line, (*image, 54), *axes), TINY.threads, many
    two = np.concatenate([line[0]] * 2), line[1], np.concatenate([line[2]] * 2)  # images: the first one has arrived
    room, counted = ROOM.ctypes.data, COUNTED.ctypes.data
    more = 1, room, conv_measure.ONE // 4, counted, *range(room + 1600, room + 2880, 160)
    given = *two, (2, *image[1:], 54, *more), *axes
    made = make, (*tile, conv_measure.Measure(True, True, True))
    yield "a convolution that measures", made, (1, 0, 0), given, TINY.threads, (2, 1, 1)
    counted = np.array([2, 1, 0, 0], "uint32")  # of the blocks below, the last ones have not arrived
    given = line[0], line[2], np.zeros(4 * 2 * 256), counted, line[1], (*image, 8, 2, 1), *axes
    yield "of weights", (conv_weights.weight_kernel, (TINY, ONE_BY_ONE)), (1, 0, 1), given, TINY.threads, many
    parts, threads = (np.ones(6 * 5), np.zeros(5), 6), (of_parts.ACROSS, of_parts.DOWN)
    yield "a sum of parts", (of_parts.parts_sum_kernel, ()), 0, parts, threads, many
    given = pixels, np.zeros(21, int), np.zeros(21), pixels
    yield "a loss", (loss.cross_entropy_kernel, ()), 0, given, (4, 2), many
    running = *[channels] * 2, np.zeros(1, int), *[channels] * 2, np.zeros(1, int), 0.9, 0.1, 0.1, 1, 1, 1
    given = pixels, sums, sums, counted, channels, channels, *running, 8
    yield "statistics", (norm.statistics_kernel, ()), (0, 2), given, (2, 4), many
    given = pixels, pixels, pixels, *[channels] * 4, sums, sums, counted, channels, channels, 1e-5, 1, 1, 8
    yield "the sums of its adjoint", (norm.sums_dx_kernel, ()), (0, 2), given, (2, 4), many


CASES = {title: case for title, *case in blocks_with_barriers()}


def raced(make, title):
    (_, given), block, arguments, threads, grid = CASES[title]
    COUNTED[:] = 1
    return races(make(np.float64, *given), block, arguments, threads=threads, grid=grid)


@pytest.mark.parametrize("title", CASES)
def test_between_two_barriers_no_thread_touches_what_another_writes(title):
    assert raced(CASES[title][0][0], title) == []


def test_what_a_kernel_has_the_address_of_is_watched_too():
    raced(conv_tiled.gather_kernel, "a convolution that measures")
    assert COUNTED.tolist() == [0, 1, 1, 1]
    assert ROOM.view(int)[340] == ROOM.view(int)[280] + 1  # batches: the block was the last one
    COUNTED[:] = 1
    (make, given), block, arguments, threads, grid = CASES["a convolution that measures"]
    shown = show_thread(make(np.float64, *given), block, 0, arguments, threads=threads, grid=grid)
    assert Access(f"address {ROOM.ctypes.data}", (5,)) in shown.writes


@pytest.mark.parametrize(
    "module",
    [conv_tiled, conv_weights, of_parts, loss, norm],
    ids=["conv_tiled", "conv_weights", "sums", "loss", "norm"],
)
def test_every_barrier_is_needed(module, monkeypatch):
    """Take away one `syncthreads()` at a time: some kernel of the module then races, or some threads leave while others
    wait for them."""
    monkeypatch.setattr(show, "PATIENCE", 1.0)
    text = Path(module.__file__).read_text()
    pieces = text.split("cuda.syncthreads()")
    assert len(pieces) > 1
    for i in range(1, len(pieces)):
        broken = "cuda.syncthreads()".join(pieces[:i]) + "pass" + "cuda.syncthreads()".join(pieces[i:])
        scope = {"__name__": module.__name__}
        exec(compile(broken, "broken", "exec"), scope)
        found = []
        for title, ((make, _), *_) in CASES.items():
            if make.__name__ in scope:
                try:
                    found += raced(scope[make.__name__], title)
                except BrokenBarrierError:
                    found.append("a barrier that some never reach")
        assert found, f"without its barrier number {i}, {module.__name__} still has no race"
