"""Window arithmetic, against counting on fingers: put the window down, step, and see whether it still fits."""

from contextlib import nullcontext
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyres_kernels.geometry import Axis, conv_axes, conv_out, extent, pool_axes

small = st.integers(1, 5)


def count_windows(size, kernel, stride, padding, dilation):
    starts = range(-padding, size + padding, stride)
    return sum(all(start + k * dilation < size + padding for k in range(kernel)) for start in starts)


@given(st.integers(0, 12), small, small, st.integers(0, 4), small)
def test_conv_out_counts_the_windows_that_fit(size, kernel, stride, padding, dilation):
    expected = count_windows(size, kernel, stride, padding, dilation)
    if expected:
        assert conv_out(size, kernel, stride, padding, dilation) == expected
    else:
        with pytest.raises(ValueError, match="does not fit"):
            conv_out(size, kernel, stride, padding, dilation)


@given(st.integers(0, 12), small, small, st.integers(0, 6), small)
def test_an_axis_solves_one_relation_in_each_of_its_unknowns(size, kernel, stride, padding, dilation):
    out = count_windows(size, kernel, stride, padding, dilation)
    axis = Axis(size, out, kernel, stride, padding, dilation)
    meets = {
        (o, k, i)
        for o in range(out)
        for k in range(kernel)
        for i in range(size)
        if i == o * stride - padding + k * dilation
    }
    assert {(o, k, i) for o in range(out) for k, i in axis.window(o)} == meets
    assert {(o, k, i) for i in range(size) for k, o in axis.readers(i)} == meets
    assert {(o, k, i) for k in range(kernel) for o, i in axis.places(k)} == meets
    for k in range(kernel):
        at_window, at_pixel = axis.slices(k)
        assert list(zip(range(out)[at_window], range(size)[at_pixel], strict=True)) == axis.places(k)


def test_a_kernel_that_does_not_fit_is_told_the_numbers_and_the_mend():
    with pytest.raises(ValueError, match=r"span 7 pixels.*has 5 \(3 \+ 2 \* 1\).*padding >= 2") as error:
        conv_out(3, 4, 1, 1, 2)
    assert conv_out(3, 4, 1, 2, 2) == 1, f"the mend does not mend: {error.value}"
    with pytest.raises(ValueError):
        conv_axes((1, 9, 3, 2), (3, 4, 2, 5), (1, 7, 1, 5), (1, 1), (0, 0), (1, 1), 1)


@pytest.mark.parametrize(
    "numbers", [(-1, 1, 1, 1, 1), (4, 0, 1, 0, 1), (4, 1, 0, 0, 1), (4, 1, 1, -1, 1), (4, 1, 1, 0, 0)]
)
def test_a_number_out_of_range_is_refused(numbers):
    with pytest.raises(ValueError, match="at least"):
        conv_out(*numbers)


@pytest.mark.parametrize(
    ("x", "w", "y", "groups"),
    [
        ((2, 5, 5, 4), (3, 3, 4, 6), (2, 3, 4, 6), 1),  # the output's size
        ((2, 5, 5, 4), (3, 3, 4, 6), (1, 3, 3, 6), 1),  # the batch
        ((2, 5, 5, 4), (3, 3, 4, 6), (2, 3, 3, 5), 1),  # the output's channels
        ((2, 5, 5, 4), (3, 3, 4, 6), (2, 3, 3, 6), 2),  # the weight's input channels
        ((2, 5, 5, 4), (3, 3, 1, 6), (2, 3, 3, 6), 4),  # groups do not divide O
        ((2, 5, 5, 4), (3, 3, 4, 6), (2, 3, 3, 6), 0),
        ((5, 5, 4), (3, 3, 4, 6), (2, 3, 3, 6), 1),
    ],
)
def test_shapes_that_do_not_belong_together_are_refused(x, w, y, groups):
    with pytest.raises(ValueError):
        conv_axes(x, w, y, (1, 1), (0, 0), (1, 1), groups)


def test_a_pool_refuses_other_channels_and_windows_of_padding_alone():
    with pytest.raises(ValueError, match="belong together"):
        pool_axes((2, 4, 4, 3), (2, 2, 2, 4), (2, 2), (2, 2), (0, 0))
    with pytest.raises(ValueError, match="nothing but padding"):
        pool_axes((2, 4, 4, 3), (2, 7, 3, 3), (2, 2), (1, 1), (2, 0))
    with pytest.raises(ValueError, match="nothing but padding"):  # the taps stride over the only pixel
        pool_axes((1, 1, 1, 1), (1, 2, 1, 1), (2, 1), (1, 1), (2, 0), (3, 1))


def test_a_pool_is_refused_exactly_where_a_window_reads_nothing():
    """Wherever that window lies: at either rim, or between two taps."""
    seen = set()
    for size, kernel, stride, padding, dilation in product(
        range(1, 7), range(1, 4), range(1, 4), range(6), range(1, 4)
    ):
        if size + 2 * padding < extent(kernel, dilation):
            continue
        out = conv_out(size, kernel, stride, padding, dilation)
        axis = Axis(size, out, kernel, stride, padding, dilation)
        empty = tuple(o for o in range(out) if not axis.window(o))
        seen.add((0 in empty, out - 1 in empty))
        one = (kernel, 1), (stride, 1), (padding, 0), (dilation, 1)
        with pytest.raises(ValueError, match="nothing but padding") if empty else nullcontext():
            pool_axes((1, size, 1, 1), (1, out, 1, 1), *one)
    assert len(seen) == 4
