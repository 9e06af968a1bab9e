"""Winograd's convolution on CUDA: when it is chosen, and in the simulator that it is the convolution."""

from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from tests.kernels.cuda.compiled import compiled, ptxas
from tests.kernels.cuda.once import simulated, simulated_titles

pytest.importorskip("tinyres_kernels.cuda.host", reason="NO NUMBA.CUDA", exc_type=ImportError)
from tinyres_kernels.cuda import conv_plan, host, winograd
from tinyres_kernels.cuda.conv_tile import Words
from tinyres_kernels.cuda.winograd_kernels import winograd_kernel
from tinyres_kernels.geometry import Axis

HERE = Path(__file__).parent
on_card = pytest.mark.skipif(host.SIMULATED, reason="the simulator is given small numbers")
FLOAT, DOUBLE = np.dtype("float32"), np.dtype("float64")


def gather(N, size, C, O, *, turn=False, dtype=FLOAT, kernel=3, stride=1, padding=1, dilation=1, groups=1):
    result = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    axis = Axis(size, result, kernel, stride, padding, dilation)
    image, out = (N, size, size, C), (N, result, result, O)
    if turn:
        image, out = (N, result, result, O), (N, size, size, C)
    return conv_plan.Gather(dtype, image, out, axis, axis, groups, turn, Words(4, 4, 4))


LAYERS = {  # images, pixels of a side, channels, outputs; the block that is foreseen to be the fastest
    "ResNet-20's last stage, batch 1024": ((1024, 8, 64, 64), 64),
    "ResNet-50's first stage, batch 32": ((32, 56, 64, 64), 64),
    "its third, with few tiles": ((32, 14, 256, 256), 32),
    "its last, batch 256": ((256, 7, 512, 512), 64),
}
DIRECT = {
    "few channels": ((1024, 32, 32, 64), {}),
    "few outputs": ((1024, 32, 64, 63), {}),
    "float64": ((1024, 8, 64, 64), {"dtype": DOUBLE}),
    "5x5 taps": ((1024, 8, 64, 64), {"kernel": 5}),
    "one tap": ((1024, 8, 64, 64), {"kernel": 1, "padding": 0}),
    "stride 2": ((1024, 8, 64, 64), {"stride": 2}),
    "dilation 2": ((1024, 8, 64, 64), {"dilation": 2}),
    "two groups": ((1024, 8, 128, 128), {"groups": 2}),
    "a gain of less than what the launch for the weights costs": ((128, 8, 64, 64), {}),
    "one image, which many small parts of the depth compute faster": ((1, 8, 64, 64), {}),
}


@on_card
@pytest.mark.parametrize("turn", [False, True])
@pytest.mark.parametrize("title", LAYERS)
def test_large_3x3_layers_go_winograds_way(title, turn):
    shape, columns = LAYERS[title]
    asked = gather(*shape, turn=turn)
    found = conv_plan.choose(asked)
    assert isinstance(found, winograd.Plan)
    assert found.block.columns == columns
    direct = conv_plan.choose(asked, conv_plan.SINGLE[1].tile)  # a tile that is asked for is what one gets
    assert direct.tile == conv_plan.SINGLE[1].tile
    assert found.cycles < direct.cycles


@on_card
@pytest.mark.parametrize("turn", [False, True])
@pytest.mark.parametrize("title", DIRECT)
def test_all_others_go_the_direct_way(title, turn):
    shape, how = DIRECT[title]
    assert isinstance(conv_plan.choose(gather(*shape, turn=turn, **how)), conv_plan.Plan)


def test_groups_do_not_fit_whatever_is_faster():
    axis = Axis(8, 8, 3, 1, 1, 1)
    assert [winograd.fits(FLOAT, axis, axis, groups, 128, 128) for groups in (1, 2)] == [True, False]


@on_card
def test_a_gain_that_is_small_is_not_trusted():
    asked = gather(2, 56, 64, 64)
    way = conv_plan.choose(asked)
    assert isinstance(way, conv_plan.Plan)
    assert winograd.ENOUGH * way.cycles < winograd.plan(2, 56, 56, 64, 64).cycles < way.cycles


@on_card
def test_the_gain_that_is_foreseen_is_that_of_the_products_less_what_the_transforms_cost():
    """Of 36 products 16 are left. A layer that fills the card many times over comes near to what its loop promises."""
    block, share, _ = winograd.OFFERS[0]
    tile, usual = conv_plan.SINGLE[0]
    promised = 36 / 16 * share / usual
    asked = gather(256, 28, 128, 128)
    found, direct = conv_plan.choose(asked), conv_plan.choose(asked, tile)
    assert found.block == block
    assert 0.9 * promised < direct.cycles / usual / found.cycles < promised  # a tile asked for counts as a perfect one


def foreseen():
    """The site's table: what the model says of each layer, in microseconds at an H100's 1.98 GHz; nothing measured."""
    for title, ((N, size, C, O), _) in LAYERS.items():
        asked = gather(N, size, C, O)
        with mock.patch.object(winograd, "LEAST", C + 1):
            direct = conv_plan.choose.__wrapped__(asked).cycles
        own = conv_plan.choose(asked).cycles
        layer = f"{title}: {N} x {size} x {size}, {C} -> {O}"
        yield f"| {layer} | {direct / 1980:.0f} | {own / 1980:.0f} | {direct / own:.2f} | |"


@on_card
def test_the_site_shows_what_the_model_says():
    page = (HERE.parents[2] / "tutorials" / "benchmarks.md").read_text().splitlines()
    assert [row for row in foreseen() if row not in page] == []


@on_card
@pytest.mark.parametrize(("target", "copies"), [("7.5", 0), ("8.0", 2)])
@pytest.mark.slow
def test_cards_that_cannot_copy_by_themselves_load_and_store(target, copies, tmp_path):
    if ptxas() is None:
        pytest.skip("NO COMPILER: ptxas is missing, pip install 'numba-cuda[cu12]'")
    kernel = winograd_kernel(np.float32, winograd.OFFERS[1].block)
    row = compiled("winograd", "float32", kernel, "rrrr97", target, ptxas(), tmp_path)
    assert (row["copies"], row["spilled"]) == ({"cg": copies, "ca": 0}, 0)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the checks of a program, or the faults planted in it, told, by their titles."""
    return cache(lambda name, what: simulated(tmp_path_factory, name, what))


@pytest.mark.cudasim
@pytest.mark.parametrize(("name", "what", "title"), simulated_titles("simulated_winograd"))
def test_simulated(told, name, what, title):
    assert told(name, what)[title] == []
