"""What the fuzz draws: the same again by seed, within its budget, of every operation, size and layout."""

from dataclasses import replace

import numpy as np
import pytest
from tinyres_kernels.conformance import OPS
from tinyres_kernels.conformance.draw import Budget, draw, products
from tinyres_kernels.conformance.fuzz import drawn
from tinyres_kernels.conformance.layouts import CHANGES, LAYOUTS
from tinyres_kernels.conformance.trial import Trial, read


def some(op, count=60, **how):
    return [draw(np.random.default_rng([7, i]), OPS[op], **how) for i in range(count)]


@pytest.mark.parametrize("op", OPS)
def test_cases_are_legal_and_within_their_budget(op):
    for trial in some(op, 100):
        case = trial.case
        assert case.elements <= 4e6
        assert products(case) <= 1e9
    for trial in some(op, 30, budget=Budget(110, 1e4, 20)):
        assert trial.case.elements <= 400  # no window is cut, so a large one may still be too large
        trial.inputs()


def test_a_case_depends_on_its_seed_and_number_alone():
    first = [str(drawn(3, number)) for number in range(40)]
    assert [str(drawn(3, number)) for number in reversed(range(40))] == first[::-1]
    assert len({*first, *(str(drawn(4, number)) for number in range(40))}) == 80


def test_every_operation_is_drawn_and_convolutions_most():
    names = [drawn(0, number).case.op.name for number in range(600)]
    assert set(names) == set(OPS)
    assert 300 < sum(name.startswith("conv") for name in names) < 450
    assert {drawn(0, number, ["relu", "add"]).case.op.name for number in range(30)} == {"relu", "add"}


def test_sizes_reach_from_one_to_many_and_lie_near_powers_of_two():
    drawn = [trial.case.structure for trial in some("conv2d", 2000)]
    channels = [s["CG"] * s["groups"] for s in drawn]
    assert min(channels) == 1
    assert max(channels) > 900
    assert {31, 32, 33, 63, 64, 65, 127, 128, 129, 3} <= set(channels)
    near = {2**k + i for k in range(4, 11) for i in (-1, 0, 1)}
    assert sum(c in near for c in channels) > len(channels) / 5
    assert {s["N"] for s in drawn} > {0, 1, 2, 3, 8, 16}
    assert max(s["hw"][0] for s in drawn) > 200
    assert {s["groups"] > 1 for s in drawn} == {s["CG"] == 1 < s["groups"] for s in drawn} == {True, False}
    assert sum(s["kernel"] == (3, 3) and s["stride"] == (1, 1) for s in drawn) > 200
    assert sum(s["kernel"] == (4, 4) and s["stride"] == (2, 2) for s in drawn) > 50
    assert {p > k // 2 for s in drawn for p, k in zip(s["padding"], s["kernel"], strict=True)} == {True, False}


def test_layouts_are_what_they_are_called():
    plain = some("matmul", 1)[0].case
    arrays = {name: Trial(plain, {"a": [name]}).inputs()["a"] for name in LAYOUTS}
    dtype = np.dtype(plain.dtype)
    assert arrays["Fortran"].flags.f_contiguous
    assert arrays["channels first"].strides[-1] > arrays["channels first"].strides[0] == dtype.itemsize
    assert arrays["every second"].strides[-1] == 2 * dtype.itemsize
    assert max(arrays["reversed"].strides) < 0
    assert arrays["broadcast"].strides[0] == 0
    assert arrays["one element on"].ctypes.data % 16 == dtype.itemsize % 16
    assert not arrays["misaligned"].flags.aligned
    assert not arrays["big-endian"].dtype.isnative
    assert not arrays["read-only"].flags.writeable
    right = Trial(plain).inputs()["a"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, right[:1] + 0 * right if name == "broadcast" else right, name)


@pytest.mark.parametrize("op", OPS)
def test_every_layout_can_be_laid_in_every_operation(op):
    case = some(op, 1, budget=Budget(200, 1e5, 100))[0].case
    for layout in LAYOUTS:
        inputs = Trial(case, {arg.name: [layout] for arg in case.reads}).inputs()
        assert [inputs[arg.name].shape for arg in case.reads] == [case.shape(arg) for arg in case.reads], layout


@pytest.mark.slow
def test_a_sum_over_images_is_never_one_of_equal_terms():
    """Found by the fuzz: of 7 equal images, float32's roundings add up to 4.4 of a term's size, in BLAS as well."""
    drawn = [draw(np.random.default_rng(seed), OPS["conv2d_dw"], Budget(100, 1e3, 99)).layouts for seed in range(3000)]
    alike = [{name for name, layouts in each.items() if "broadcast" in layouts} for each in drawn]
    assert {frozenset(names) for names in alike} == {frozenset(), frozenset({"x"}), frozenset({"g"})}


def test_a_trial_is_a_line_of_text_and_back():
    for number in range(300):
        trial = drawn(1, number, threads=4)
        line = str(trial)
        assert "\n" not in line
        assert str(read(line)) == line
        back, own = read(line).lines(), trial.lines()
        assert back == own


def test_what_is_computed_from_a_broadcast_array_agrees_with_it():
    case = draw(np.random.default_rng(0), OPS["batch_norm_dx"], Budget(500, 1e5, 499)).case
    case = replace(case, structure={**case.structure, "training": True})
    inputs = Trial(case, {"x": ["broadcast"]}).inputs()
    np.testing.assert_allclose(inputs["mean"], inputs["x"][0], rtol=1e-6)


def test_values_are_changed_before_what_is_computed_from_them():
    case = draw(np.random.default_rng(0), OPS["conv2d"], Budget(500, 1e5, 400)).case
    right = Trial(case).inputs()
    for change in CHANGES:
        changed = Trial(case, changes={"x": [change]}).inputs()
        np.testing.assert_array_equal(changed["w"], right["w"])
        assert changed["x"].dtype == right["x"].dtype
        assert (changed["x"] != right["x"]).any()
