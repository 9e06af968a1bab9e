"""The light comparison with the specification: what it finds, small and large, and what it lets pass."""

from unittest import mock

import numpy as np
import pytest
from tinyres_kernels import im2col
from tinyres_kernels.conformance import agree, projection
from tinyres_kernels.conformance.agree import disagreements
from tinyres_kernels.conformance.calling import call
from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.ops import OPS

CONVOLUTIONS = ["conv2d", "conv2d_dx", "conv2d_dw"]
SMALL = {"N": 2, "hw": (7, 6), "CG": 5, "OG": 4, "padding": (1, 1)}
WIDE = {"N": 3, "hw": (9, 8), "CG": 40, "OG": 24, "padding": (1, 0), "groups": 2}


def computed(op, dtype="float32", **changes):
    """Inputs, results by `im2col` in the dtype, and keywords."""
    case = Case(OPS[op], "", {**OPS[op].family.plain, **changes}, dtype)
    inputs = case.inputs()
    outputs = {arg.name: np.empty(case.shape(arg), arg.dtype or dtype) for arg in case.writes}
    given = {**inputs, **outputs}
    call(op, getattr(im2col, op), [given[arg.name] if arg else None for arg in case.arguments], case.keywords)
    return inputs, outputs, case.keywords


@pytest.fixture
def projected():
    """Convolutions of any size are projected, and what the projections said is noted."""
    said = []
    whole = agree._projections_agree

    def note(*args):
        said.append(whole(*args))
        return said[-1]

    with mock.patch.object(projection, "LARGE", 0), mock.patch.object(agree, "_projections_agree", note):
        yield said


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", OPS)
def test_right_results_agree(op, dtype):
    inputs, outputs, keywords = computed(op, dtype)
    assert disagreements(op, inputs, outputs, keywords) == []


@pytest.mark.parametrize("op", OPS)
def test_one_wrong_element_is_found_and_named(op):
    inputs, outputs, keywords = computed(op, **SMALL if op.startswith("conv") else {})
    for name, a in outputs.items():
        place = tuple(n // 2 for n in a.shape)
        kept = a[place]
        a[place] += 1 if a.dtype.kind == "i" else 1e-3 + abs(kept) * 1e-3
        (fault,) = disagreements(op, inputs, outputs, keywords)
        at = ", ".join(map(str, place))
        assert fault.startswith(f"{name}: 1 of {a.size} elements are wrong, the worst at [{at}]: got "), fault
        a[place] = np.nan if a.dtype.kind == "f" else -1
        assert len(disagreements(op, inputs, outputs, keywords)) == 1
        a[place] = kept
    assert disagreements(op, inputs, outputs, keywords) == []


def an_element(out):
    out[tuple(n // 2 for n in out.shape)] += 1


def a_channel(out):
    out[..., 7] *= 1.001


def channels_swapped(out):
    out[..., [3, 4]] = out[..., [4, 3]]


def an_unwritten_row(out):
    out[:, 1] = 0


def a_nan(out):
    out[0, 0, 0, 11] = np.nan


FAULTS = [an_element, a_channel, channels_swapped, an_unwritten_row, a_nan]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", CONVOLUTIONS)
def test_projections_of_right_results_agree(projected, op, dtype):
    for changes in (WIDE, WIDE | {"groups": 1, "CG": 20, "OG": 70}, WIDE | {"stride": (2, 1), "kernel": (4, 3)}):
        inputs, outputs, keywords = computed(op, dtype, **changes)
        assert disagreements(op, inputs, outputs, keywords) == []
    assert projected == [True] * 3


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("op", CONVOLUTIONS)
def test_projections_find_faults_and_then_everything_is_computed_to_say_where(projected, op, fault):
    inputs, outputs, keywords = computed(op, **WIDE)
    fault(outputs["out"])
    (said,) = disagreements(op, inputs, outputs, keywords)
    assert projected == [False]
    assert "elements are wrong, the worst at [" in said


@pytest.mark.parametrize("op", CONVOLUTIONS)
def test_projections_find_one_tap_left_out_of_a_sum(projected, op):
    inputs, outputs, keywords = computed(op, **WIDE)
    first, second = inputs
    spoilt = {**inputs, second: inputs[second].copy()}
    spoilt[second][1, 1, 5, 30] = 0  # one of the terms of some elements
    getattr(im2col, op)(spoilt[first], spoilt[second], outputs["out"], **keywords)
    assert len(disagreements(op, inputs, outputs, keywords)) == 1
    assert projected == [False]


def test_what_is_not_finite_in_an_image_is_of_one_kind_everywhere():
    for value in (np.nan, np.inf, -np.inf):
        inputs, outputs, keywords = computed("conv2d", **SMALL)
        inputs["x"][0, 3, 3, 1] = value
        assert len(disagreements("conv2d", inputs, outputs, keywords)) == 1
        with np.errstate(invalid="ignore"):
            im2col.conv2d(inputs["x"], inputs["w"], outputs["out"], **keywords)
        assert disagreements("conv2d", inputs, outputs, keywords) == []


@pytest.mark.parametrize("op", CONVOLUTIONS)
def test_at_the_rim_a_second_argument_that_is_not_finite_may_show_or_not(op):
    """`reference` leaves padding out, `im2col` multiplies it: both conform. Other channels are compared as ever."""
    from tinyres_kernels import reference

    inputs, outputs, keywords = computed(op, **SMALL | {"groups": 2})
    second = list(inputs)[1]
    inputs[second][0, 0, 1, 2] = np.inf
    with np.errstate(invalid="ignore"):
        getattr(reference, op)(*inputs.values(), outputs["out"], **keywords)
    assert disagreements(op, inputs, outputs, keywords) == []
    wrong = outputs["out"].copy()
    wrong[np.isfinite(wrong)] += 1
    assert len(disagreements(op, inputs, {"out": wrong}, keywords)) == 1
    lost = outputs["out"].copy()
    lost[..., 0] = np.nan
    assert len(disagreements(op, inputs, {"out": lost}, keywords)) == 1


def test_numbers_too_small_for_the_dtype_are_allowed_to_vanish():
    inputs, outputs, keywords = computed("conv2d", **SMALL)
    for a in inputs.values():
        a *= np.float32(1e-22)
    im2col.conv2d(inputs["x"], inputs["w"], outputs["out"], **keywords)
    outputs["out"][...] = 0
    assert disagreements("conv2d", inputs, outputs, keywords) == []
    for a in inputs.values():
        a *= np.float32(1e5)
    assert len(disagreements("conv2d", inputs, outputs, keywords)) == 1
