"""What is decided on the host, before anything is launched: in which order memory is read, and what goes where."""

from unittest import mock

import numpy as np
import pytest

host = pytest.importorskip("tinyres_kernels.cuda.host", reason="NO NUMBA.CUDA", exc_type=ImportError)

from tinyres_kernels.cuda import conv, sgd  # noqa: E402
from tinyres_kernels.settings import Conv, Sgd  # noqa: E402


def test_lines_lie_in_the_order_of_the_first():
    out, p = np.zeros((2, 3)).T, np.arange(6.0).reshape(3, 2)
    line, stand_in, read = host.lines((out, None), (p,))
    assert np.shares_memory(line, out)
    np.testing.assert_array_equal(read, p.T.reshape(-1))
    np.testing.assert_array_equal(stand_in, read)
    with pytest.raises(ValueError, match="must be laid out as out is"):
        list(host.lines((out, np.zeros((3, 2))), (p,)))


def test_an_update_of_transposed_parameters_is_refused_where_it_could_not_be_written():
    p = np.zeros((4, 4))[::2]
    with pytest.raises(ValueError, match="without gaps"):
        sgd(p, p, None, p, None, Sgd(0.1, 0.0, 0.0, 0.0, nesterov=False))


LARGEST = {  # a convolution whose largest array it is, and its stride
    "x": ({"x": (1, 33, 33, 4), "w": (1, 1, 4, 4), "g": (1, 5, 5, 4)}, 8),
    "w": ({"x": (1, 3, 3, 4), "w": (3, 3, 4, 4), "g": (1, 1, 1, 4)}, 1),
    "g": ({"x": (1, 6, 6, 4), "w": (1, 1, 4, 32), "g": (1, 6, 6, 32)}, 1),
}


@pytest.mark.parametrize("large", LARGEST)
@pytest.mark.parametrize("op", ["conv2d", "conv2d_dx", "conv2d_dw"])
def test_arrays_that_32_bits_cannot_count_go_to_the_naive_kernels(op, large):
    """The limit is set to the size of the largest array, or to one more; no kernel is run."""
    shapes, stride = LARGEST[large]
    arrays = {name: np.empty(shape, "f") for name, shape in shapes.items()}
    names = {"conv2d": "xwg", "conv2d_dx": "gwx", "conv2d_dw": "xgw"}[op]
    how = {"stride": (stride, stride), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    naive, tiled = mock.Mock(), mock.Mock()
    with (
        mock.patch.multiple(conv.conv_naive, run=naive, run_dw=naive),
        mock.patch.object(conv, "launch", tiled),
        mock.patch.object(conv, "wide", return_value=1),
        mock.patch.object(conv, "add_parts"),
    ):
        for more in (0, 1):
            with mock.patch.object(conv, "FIT", arrays[large].size + more):
                getattr(conv, op)(*(arrays[name] for name in names), Conv(**how))
            assert (naive.call_count, tiled.call_count) == (1, more)
