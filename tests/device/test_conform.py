"""How conformance brings arrays to the card: with the memory around them, and moved by one number."""

import numpy as np
import pytest
from tinyres_kernels import im2col

from tinyres.bench.gpu.conform import CONVOLUTIONS, MOVED, on_card, ways

cuda = pytest.importorskip("tinyres_kernels.cuda", reason="NO NUMBA.CUDA", exc_type=ImportError)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("moved", [False, True])
def test_arrays_arrive_where_four_numbers_can_be_loaded_at_once_or_one_number_further(moved, dtype, double):
    x, memory = np.arange(12, dtype=dtype).reshape(3, 4), np.full(28, -1, dtype)
    out, places = memory[8:20].reshape(3, 4), []

    def kernel(x, out):
        places.extend(a.data.ptr % 16 for a in (x, out))
        assert x.flags.c_contiguous
        assert out.flags.c_contiguous
        out[...] = x * 2

    on_card(kernel, moved=moved)(x, out)
    assert places == [x.itemsize if moved else 0] * 2
    np.testing.assert_array_equal(memory, [-1] * 8 + [*range(0, 24, 2)] + [-1] * 8)


def test_every_operation_is_also_put_to_moved_arrays():
    for rung in (cuda, im2col):
        assert all(MOVED in ways(rung, op) for op in (*CONVOLUTIONS, "add", "adam", "batch_norm"))
