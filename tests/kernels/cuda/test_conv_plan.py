"""Which tile the CUDA convolutions take, asked without running any."""

import numpy as np
import pytest

pytest.importorskip("tinyres_kernels.cuda.host", reason="NO NUMBA.CUDA", exc_type=ImportError)
from tinyres_kernels.cuda import conv_plan, conv_tile, host
from tinyres_kernels.cuda.conv_tile import Words

pytestmark = pytest.mark.skipif(host.SIMULATED, reason="the simulator is given small numbers")
FLOAT = np.dtype("float32")


def test_only_the_largest_tiles_have_no_room_for_three_slabs():
    one = [offer.tile for offer in conv_plan.SINGLE if conv_tile.ahead(np.float32, offer.tile) == 1]
    assert one == [conv_plan.SINGLE[0].tile]
    assert [conv_tile.ahead(np.float64, offer.tile) for offer in conv_plan.DOUBLE] == [1, 2, 2]


def test_slabs_on_their_way_hide_the_latency_of_a_block_that_is_alone():
    """One block of the largest tile multiplies for longer than a slab takes to come; one of a small tile waits."""
    words = Words(4, 4, 4)
    for tile, waits in ((conv_plan.SINGLE[0].tile, False), (conv_plan.SINGLE[6].tile, True)):
        asked = (FLOAT, words, tile.rows, tile.columns, 1, 1024, False)
        found = conv_plan.plan(*asked, tile=tile).cycles
        latency = 1024 * 600 / (tile.deep * conv_tile.ahead(np.float32, tile))
        assert found == max(latency, 1024 * tile.rows * tile.columns / 128)
        assert (found == latency) == waits


def test_the_gradient_of_the_weights_has_room_for_three_slabs_of_every_tile():
    """Its slabs lie as they come, without spare numbers: here one block multiplies, where `gather_kernel`'s waits."""
    tile = conv_plan.DOUBLE[0].tile
    asked = (np.dtype("float64"), Words(4, 4, 4), tile.rows, tile.columns, 1, 64, True)
    own, gathered = (conv_plan.plan(*asked, weights=weights, tile=tile).cycles for weights in (True, False))
    assert (own, gathered) == (64 * 64 * 64 / 128, 64 * 600 / 16)


def test_parts_are_merged_by_their_own_blocks_unless_another_launch_is_faster():
    """Host and card together: a launch is 12,000 cycles and 4,000 more until it begins; to meet others 1,700."""
    small, large, largest = (conv_plan.SINGLE[i].tile for i in (7, 1, 0))
    assert conv_plan.merging(small, 211, 9 * 16 * 16, True) == (True, 2 * (1700 + 4 * 600))
    within = (1700 + 16 * 600) * 2 + 1700 + 2 * 600
    assert conv_plan.merging(large, 300, 1000, True) == (False, 4000 + 300 * 1000 / 285)
    assert within > 4000 + 300 * 1000 / 285 + 12_000
    assert conv_plan.merging(large, 16, 1000, True) == (True, 1700 + 16 * 600)
    assert not conv_plan.merging(largest, 2, 1 << 20, True).within  # no registers
    assert not conv_plan.merging(small, 2, 1000, False).within  # of `gather_kernel`
