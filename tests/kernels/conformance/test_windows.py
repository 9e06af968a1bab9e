"""Faults planted in what runs windows over images: each is caught, and named in words."""

import pytest
from tinyres_kernels import conformance

from tests.kernels.conformance.faulty import (
    CONVOLUTIONS,
    DILATED,
    WINDOWS,
    added_to_what_was_there,
    bent,
    dilation_ignored,
    groups_mixed,
    last_tile_dropped,
    last_tile_forgotten,
    padding_on_one_side,
    rewritten,
    stride_off_by_one,
    tiles_added_where_they_overlap,
)

CONV_FAULTS = {  # the kernel, and what the report must say
    "wrong padding side": (bent("conv2d", padding_on_one_side), ["every failing case has padding > 0"]),
    "dropped last tile": (
        rewritten("conv2d", last_tile_dropped),
        ["ow of out is no multiple of 4 in every failing case", "got 0, needed", "0 . . . . X"],
    ),
    "off-by-one stride": (bent("conv2d", stride_off_by_one), ["every failing case has stride > 1", "0 . X"]),
    "groups mixed": (
        groups_mixed("conv2d"),
        ["every failing case has groups > 1", "all wrong elements of out belong to groups after the first"],
    ),
    "dilation ignored": (bent("conv2d", dilation_ignored), ["every failing case has dilation > 1"]),
    "overlapping writes": (
        rewritten("conv2d", tiles_added_where_they_overlap),
        ["no element of out with ow < 1 is ever wrong", ". X X X ."],
    ),
    "uninitialised output: added to": (
        rewritten("conv2d", added_to_what_was_there),
        ["out: what it held before shows in 1 of 1 elements", "0 X"],
    ),
    "uninitialised output: not written": (
        rewritten("conv2d", last_tile_forgotten),
        ["1 of 5 elements still hold what was there before", "a tail: o of out is no multiple of 4", "0 N"],
    ),
}


@pytest.mark.parametrize("fault", CONV_FAULTS)
def test_a_planted_fault_is_named(fault):
    kernel, said = CONV_FAULTS[fault]
    report = conformance.check(kernel, "conv2d", examples=40, dtypes=["float64"])
    assert not report.ok
    assert report.found, "drawn cases catch it too"
    assert not report.smallest.case.refused
    assert all(size <= 5 for size in report.smallest.case.shape(report.smallest.case.writes[0]))
    text = " ".join(str(report).split())  # lines are wrapped
    assert "DOES NOT CONFORM" in text
    for words in said:
        assert words in text, text


ELSEWHERE = [
    *((bent, bend, op) for bend in (padding_on_one_side, stride_off_by_one) for op in WINDOWS if op != "conv2d"),
    *((bent, dilation_ignored, op) for op in DILATED if op != "conv2d"),
    *(
        (rewritten, write, op)
        for write in (last_tile_dropped, last_tile_forgotten, tiles_added_where_they_overlap, added_to_what_was_there)
        for op in WINDOWS
        if op != "conv2d"
    ),
]


def test_assert_conforms_raises_with_the_report():
    with pytest.raises(AssertionError, match=r"DOES NOT CONFORM[^$]*groups > 1"):
        conformance.assert_conforms(groups_mixed("conv2d"), "conv2d", examples=0)


WHERE = {
    padding_on_one_side: "padding",
    stride_off_by_one: "asymmetric stride",
    dilation_ignored: "dilation 2",
    last_tile_dropped: "width 33 (tile tail)",
    last_tile_forgotten: "3 channels",
    tiles_added_where_they_overlap: "width 33 (tile tail)",
    added_to_what_was_there: "plain",
}


@pytest.mark.parametrize(
    ("plant", "fault", "op"),
    [
        pytest.param(*planted, id=f"{planted[2]}-{planted[1].__name__}", marks=pytest.mark.slow if number % 5 else ())
        for number, planted in enumerate(ELSEWHERE)
    ],
)
def test_it_is_caught_in_every_operation(plant, fault, op):
    report = conformance.check(plant(op, fault), op, examples=0, dtypes=["float64"])
    titles = {finding.case.title for finding in report.failures}
    assert WHERE[fault] in titles or "17 channels (tile tail)" in titles
    assert "empty batch" not in titles  # which no kernel sees


@pytest.mark.parametrize("op", CONVOLUTIONS[1:])
def test_mixed_groups_are_caught_in_both_adjoints(op):
    report = conformance.check(groups_mixed(op), op, examples=0, dtypes=["float64"])
    assert "every failing case has groups > 1, and none that passes" in str(report)
    assert {"groups 2", "depthwise"} <= {finding.case.title for finding in report.failures}
