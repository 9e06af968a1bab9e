"""The fault of 0.1.0: three taps in a row over more channels than are summed at a time came out as rubbish."""

import pytest
from tinyres_kernels import cpu

from tests.kernels.test_cpu import arrays, assert_right, triple


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("C", [85, 86, 96, 128, 171, 172, 300])
@pytest.mark.parametrize("O", [3, 8, 16])
def test_three_taps_in_a_row_over_many_channels(C, O, dtype):
    *given, static = arrays((1, 6, 33, 3, C, O, 1, 1, 1, 1, 0), dtype)
    assert_right(triple(cpu, *given, static), *given, static)


@pytest.mark.parametrize("shape", [(3, 128, 3, 1), (16, 128, 3, 1), (3, 128, 5, 2), (3, 128, 4, 1), (3, 128, 7, 3)])
def test_image_gradients_onto_few_channels(shape):
    C, O, kernel, stride = shape
    *given, static = arrays((1, 34, 34, kernel, C, O, stride, kernel // 2, 1, 1, 0), "f")
    assert_right(triple(cpu, *given, static), *given, static)
