"""Kernels that are watched: what is wrong is reported, and what is only rounded another way is not."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from tinyres_kernels import conformance, cpu, im2col, reference
from tinyres_kernels.checked import KernelDisagreement, checked
from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.contract import OPERATIONS

WATCHED = checked(cpu)
GEOMETRY = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}


def wrong(op, place, write):
    """The CPU's kernels, of which `op` has its argument number `place` brought out of order by `write`."""

    def kernel(*arguments, **keywords):
        out = getattr(cpu, op)(*arguments, **keywords)
        arrays = OPERATIONS[op].one_by_one(OPERATIONS[op].split(arguments, keywords)[0])
        write(arrays[OPERATIONS[op].order[place]])
        return out

    kernels = {name: getattr(cpu, name) for name in OPERATIONS}
    return checked(SimpleNamespace(**{**kernels, op: kernel}, __name__="faulty", explain=cpu.explain))


def drawn(op, dtype="float32", **changes):
    """A plain call: all arrays one by one, and the settings."""
    declared = conformance.OPS[op]
    case = Case(declared, "plain", declared.family.plain | changes, dtype)
    inputs = case.inputs()
    outputs = {arg.name: np.full(case.shape(arg), 77, arg.dtype or dtype) for arg in case.writes}
    return [(inputs | outputs)[arg.name] if arg else None for arg in case.arguments], case.keywords


def called(kernels, op, arrays, keywords):
    return getattr(kernels, op)(*OPERATIONS[op].gathered(arrays), **keywords)


def results(op):
    declared = conformance.OPS[op]
    return [i for i, arg in enumerate(declared.arguments(declared.family.plain)) if arg.written]


def off(a):
    a.flat[a.size // 2] += 1


def test_every_kernel_is_watched():
    assert set(vars(WATCHED)) - {"__name__"} == set(OPERATIONS) == set(conformance.OPS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", OPERATIONS)
def test_what_a_kernel_gives_is_handed_on(op, dtype):
    (plain, keywords), (watched, _) = drawn(op, dtype), drawn(op, dtype)
    called(cpu, op, plain, keywords)
    assert called(WATCHED, op, watched, keywords) is watched[conformance.OPS[op].order.index("out")]
    for a, b in zip(plain, watched, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("op", "place"), [(op, place) for op in OPERATIONS for place in results(op)])
def test_one_wrong_element_of_any_result_is_reported(op, place):
    arrays, keywords = drawn(op)
    with pytest.raises(KernelDisagreement) as caught:
        called(wrong(op, place, off), op, arrays, keywords)
    name, a = conformance.OPS[op].order[place], arrays[place]
    assert caught.value.op == op
    assert [fault.split(":")[0] for fault in caught.value.faults] == [name]
    assert f"{name}: 1 of {a.size} elements are wrong, the worst at [" in str(caught.value)


def test_the_message_says_what_was_called_which_way_it_went_and_how_to_go_on():
    arrays, keywords = drawn("conv2d", CG=86, hw=(3, 17), padding=(1, 1))
    with pytest.raises(KernelDisagreement) as caught:
        wrong("conv2d", 2, off).conv2d(*arrays, **keywords)
    plan = cpu.explain("conv2d", *arrays, **keywords)
    assert str(caught.value).startswith(
        f"faulty.conv2d [{plan}] in float32 of x (1, 3, 17, 86), w (3, 3, 86, 2), out (1, 3, 17, 2), stride=(1, 1), "
        "padding=(1, 1), dilation=(1, 1), groups=1 disagrees with im2col in float64: out: 1 of 102 elements are wrong, "
        "the worst at [0, 1, 8, 1]: got "
    )
    assert "needed " in str(caught.value)
    assert " within " in str(caught.value)
    assert str(caught.value).endswith('`with tr.kernels("im2col"):` goes on without this kernel, more slowly')


# -- arguments that are read and written ------------------------------------------------------------------------------
@pytest.mark.parametrize("over", [0, 1])
def test_a_sum_may_be_written_over_either_term(over):
    terms = [np.arange(5.0), np.full(5, 2.0)]
    WATCHED.add(*terms, terms[over])
    np.testing.assert_array_equal(terms[over], np.arange(5) + 2)
    with pytest.raises(KernelDisagreement):
        wrong("add", 2, off).add(*terms, terms[over])


def test_statistics_are_read_in_evaluation():
    arrays, keywords = drawn("batch_norm", training=False)
    called(WATCHED, "batch_norm", arrays, keywords)
    with pytest.raises(KernelDisagreement):
        called(wrong("batch_norm", 4, off), "batch_norm", arrays, keywords)


# -- what is no fault -------------------------------------------------------------------------------------------------
def at_a_kink(lets_pass):
    """Batch norm's adjoint without `y`, two values of channel 0 being 0 to rounding; which of them `lets_pass` says."""
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 40, 3)).astype("float32")
    x[1, 0] = x[0, 0]
    weight, mean, variance = (rng.uniform(0.5, 2, 3).astype("float32") for _ in range(3))
    bias = (-(x[0] - mean) * weight / np.sqrt(variance + 1e-5)).astype("float32")
    plain = (x.astype("float64") - mean) * (weight / np.sqrt(variance + 1e-5)) + bias
    plain[0], plain[1, 0] = [1 if lets_pass[0] else -1] * 3, 1 if lets_pass[1] else -1
    keywords = {"eps": 1e-5, "training": True, "relu": True}

    def batch_norm_dx(g, x, y, *rest, **keywords):
        return im2col.batch_norm_dx(g, x, plain.astype("float32"), *rest, **keywords)

    names = {name: getattr(im2col, name) for name in OPERATIONS}
    kernels = checked(SimpleNamespace(**{**names, "batch_norm_dx": batch_norm_dx}, __name__="either side"))
    out, dresidual, dweight, dbias = np.empty_like(x), np.empty_like(x), np.empty_like(mean), np.empty_like(mean)
    return (
        plain,
        g,
        lambda: kernels.batch_norm_dx(
            g, x, None, weight, bias, mean, variance, out, dweight, dbias, dresidual, **keywords
        ),
    )


@pytest.mark.parametrize("lets_pass", [(True, True), (True, False), (False, True), (False, False)])
def test_a_value_within_rounding_of_0_may_fall_on_either_side_of_the_relu(lets_pass):
    at_a_kink(lets_pass)[2]()


def test_one_that_is_further_from_0_may_not():
    plain, g, call = at_a_kink((True, True))
    place = 2 + abs(g[2:, 0]).argmax(), 0
    assert abs(plain[place]) > 1e-3
    plain[place] *= -1
    with pytest.raises(KernelDisagreement) as caught:
        call()
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["out", "dweight", "dbias", "dresidual"]


def test_a_difference_that_is_only_rounding_may_have_any_root():
    g = np.full(9, 0.3, "float32")
    g[4] = 0.7
    v, a = g * g, g.copy()
    v[4] += 0.1  # here there is a difference
    how = {"lr": 0.1, "alpha": 0.9, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0}

    def call(kernels):
        out, new_v, new_a = np.empty((3, 9), "float32")
        kernels.rmsprop(np.zeros(9, "float32"), g, v, a, None, out, new_v, new_a, None, **how)

    call(WATCHED)
    call(wrong("rmsprop", 5, lambda out: np.put(out, 0, -3)))
    with pytest.raises(KernelDisagreement):
        call(wrong("rmsprop", 5, lambda out: np.put(out, 4, -3)))
    with pytest.raises(KernelDisagreement):
        call(wrong("rmsprop", 6, lambda new_v: np.put(new_v, 0, 0)))


def test_what_leaves_the_range_of_float32_is_not_compared():
    x, w = np.full((1, 3, 3, 1), 1e30, "float32"), np.full((3, 3, 1, 1), 1e30, "float32")
    assert np.isinf(WATCHED.conv2d(x, w, np.empty_like(x), **GEOMETRY)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nor_is_a_call_that_is_given_what_is_not_finite(value):
    arrays, keywords = drawn("conv2d")
    arrays[0][0, 2, 2, 0] = value
    wrong("conv2d", 2, off).conv2d(*arrays, **keywords)


def test_numbers_that_are_nearly_0_are_compared():
    x, w = np.full((1, 3, 3, 1), 1e-20, "float32"), np.full((3, 3, 1, 1), 1e-20, "float32")
    assert WATCHED.conv2d(x, w, np.empty_like(x), **GEOMETRY).max() < 1e-38
    with pytest.raises(KernelDisagreement):
        wrong("conv2d", 2, off).conv2d(x, w, np.empty_like(x), **GEOMETRY)


def sparse(op):
    """A few pixels that are not 0, and weights of very different sizes: Winograd's sums are right by norm only."""
    rng = np.random.default_rng(0)
    x, g = np.abs(rng.standard_normal((2, 2, 8, 8, 32))) * (rng.random((2, 2, 8, 8, 32)) < 0.003)
    g = rng.standard_normal(g.shape) * np.exp(2 * rng.standard_normal(g.shape)) if op == "conv2d_dw" else g
    w = rng.standard_normal((3, 3, 32, 32)) * np.exp(2 * rng.standard_normal((3, 3, 32, 32)))
    given = {"conv2d": (x, w, np.zeros_like(g)), "conv2d_dx": (g, w, np.zeros_like(x)), "conv2d_dw": (x, g, w.copy())}
    return [a.astype("float32") for a in given[op]]


@pytest.mark.parametrize("op", ["conv2d", "conv2d_dx", "conv2d_dw"])
def test_winograds_convolution_of_a_sparse_image_is_no_fault(op):
    arrays = sparse(op)
    with cpu.forced(winograd=True):
        assert cpu.explain(op, *arrays, **GEOMETRY).way == "winograd"
        getattr(WATCHED, op)(*arrays, **GEOMETRY)
        inputs = dict(zip(conformance.OPS[op].order, arrays[:2], strict=False))
        if op != "conv2d_dw":  # whose taps count as one tile in any case
            assert conformance.in_use.faults(
                op, inputs, {"out": arrays[2]}, GEOMETRY
            )  # as any other convolution, it is
        place = int(abs(arrays[2]).argmax())
        with pytest.raises(KernelDisagreement):
            getattr(wrong(op, 2, lambda out: np.put(out, place, 0)), op)(*arrays, **GEOMETRY)


@pytest.mark.parametrize("op", ["matmul", "conv2d_dw", "batch_norm"])
def test_the_rounding_of_a_long_sum_of_one_sign_is_no_fault(op):
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 2, (4, 60, 60, 2)).astype("float32")
    if op == "matmul":
        a = x.reshape(2, -1)
        WATCHED.matmul(a, np.ascontiguousarray(a.T), np.empty((2, 2), "float32"))
    elif op == "conv2d_dw":
        WATCHED.conv2d_dw(x, x, np.empty((3, 3, 2, 2), "float32"), **GEOMETRY)
    else:
        rows, ones, out = x.reshape(-1, 2), np.ones(2, "float32"), np.empty((3, 2), "float32")
        WATCHED.batch_norm(rows, ones, ones, None, np.empty_like(rows), *out[:2], eps=1e-5, training=True, relu=True)


def test_any_rung_can_be_watched():
    arrays, keywords = drawn("conv2d")
    checked(reference).conv2d(*arrays, **keywords)
    checked(im2col).conv2d(*arrays, **keywords)


def test_a_disagreement_travels_between_processes():
    error = KernelDisagreement("relu", ["out is wrong"], "cpu.relu of x (3,)")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.op, again.faults) == (str(error), error.op, error.faults)
