"""Optimisers' steps on every rung of the CPU: against the equations in float64, and against each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinyres_kernels import cpu, im2col, reference
from tinyres_kernels.settings import Adam, Sgd

RUNGS = pytest.mark.parametrize("rung", [reference, im2col, cpu], ids=["reference", "im2col", "cpu"])
SHAPES = st.sampled_from([(), (0,), (1,), (7,), (40,), (3, 2), (5, 4, 3, 3)])
SETTINGS = settings(max_examples=60, deadline=None)
DECAY, BOOL, SEED, DTYPE = st.sampled_from([0.0, 0.1]), st.booleans(), st.integers(0, 2**32 - 1), st.sampled_from("fd")


def arrays(shape, seed, dtype, count, order):
    """Numbers above 0.1, in the order of memory asked for; none may be written into."""
    rng, made = np.random.default_rng(seed), []
    for _ in range(count):
        a = np.asarray(0.1 + rng.random(shape), dtype)
        a = a.transpose(np.roll(range(a.ndim), 2)).copy().transpose(np.roll(range(a.ndim), -2)) if order else a
        a.flags.writeable = False
        made.append(a)
    return made


def fresh(p, there=True):
    return np.full_like(p, np.nan) if there else None


def check(found, expected, dtype):
    for a, e in zip(found, expected, strict=True):
        assert a is not None
        assert a.dtype == dtype
        np.testing.assert_allclose(a, e, rtol=0, atol=60 * np.finfo(dtype).eps)


@SETTINGS
@given(SHAPES, SEED, DTYPE, BOOL, BOOL, DECAY, st.sampled_from([0.0, 0.9]), st.sampled_from([0.0, 0.3]), BOOL)
def test_sgd(shape, seed, dtype, order, first, decay, momentum, dampening, nesterov):
    p, g, b = arrays(shape, seed, dtype, 3, order)
    out, new = fresh(p), fresh(p, momentum > 0)
    how = {"lr": 0.1, "momentum": momentum, "dampening": dampening, "weight_decay": decay, "nesterov": nesterov}
    assert reference.sgd(p, g, None if first or not momentum else b, out, new, **how) is out
    p, g, b = (a.astype("d") for a in (p, g, b))
    step = g + decay * p
    if not momentum:
        check([out], [p - 0.1 * step], dtype)
        return
    b = step if first else momentum * b + (1 - dampening) * step
    check([out, new], [p - 0.1 * (step + momentum * b if nesterov else b), b], dtype)


@SETTINGS
@given(SHAPES, SEED, DTYPE, BOOL, BOOL, DECAY, BOOL, st.integers(1, 5))
def test_adam(shape, seed, dtype, order, first, decay, decoupled, step):
    p, g, m, v = arrays(shape, seed, dtype, 4, order)
    out, new_m, new_v = (fresh(p) for _ in range(3))
    how = {"lr": 0.1, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3, "weight_decay": decay, "decoupled": decoupled}
    olds = (None, None) if first else (m, v)
    assert reference.adam(p, g, *olds, out, new_m, new_v, **how, step=step) is out
    p, g, m, v = (a.astype("d") for a in (p, g, m, v))
    start, slope = ((1 - 0.1 * decay) * p, g) if decoupled else (p, g + decay * p)
    m, v = (0, 0) if first else (m, v)
    m, v = 0.8 * m + 0.2 * slope, 0.95 * v + 0.05 * slope**2
    stride = 0.1 * (m / (1 - 0.8**step)) / (np.sqrt(v / (1 - 0.95**step)) + 1e-3)
    check([out, new_m, new_v], [start - stride, m, v], dtype)


@SETTINGS
@given(SHAPES, SEED, DTYPE, BOOL, BOOL, DECAY, st.sampled_from([0.0, 0.7]), BOOL)
def test_rmsprop(shape, seed, dtype, order, first, decay, momentum, centred):
    p, g, v, a, b = arrays(shape, seed, dtype, 5, order)
    v = v + 2  # above a squared
    out, new = fresh(p), [fresh(p), fresh(p, centred), fresh(p, momentum > 0)]
    how = {"lr": 0.1, "alpha": 0.9, "eps": 1e-3, "weight_decay": decay, "momentum": momentum}
    olds = (None, None, None) if first else (v, a if centred else None, b if momentum else None)
    assert reference.rmsprop(p, g, *olds, out, *new, **how) is out
    p, g, v, a, b = (x.astype("d") for x in (p, g, v, a, b))
    slope = g + decay * p
    v = 0.1 * slope**2 + (0 if first else 0.9 * v)
    a = 0.1 * slope + (0 if first else 0.9 * a)
    step = slope / (np.sqrt(v - a**2 if centred else v) + 1e-3)
    step = momentum * b + step if momentum and not first else step
    expected = {0: v, 1: a if centred else None, 2: step if momentum else None}
    kept = [(n, expected[i]) for i, n in enumerate(new) if n is not None]
    check([out, *(n for n, _ in kept)], [p - 0.1 * step, *(e for _, e in kept)], dtype)


SGD = {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.0, "nesterov": False}
ADAM = {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 0.0, "weight_decay": 0.0, "decoupled": False, "step": 2}


@pytest.mark.parametrize("size", [1, 15, 16, 1000])
def test_compiled_steps_round_as_whole_array_operations_do(size):
    p, g, m, v = arrays((size,), 0, "f", 4, False)
    found = []
    for rung in (im2col, cpu):
        news = [fresh(p) for _ in range(7)]
        rung.sgd(p, g, m, *news[:2], **{**SGD, "weight_decay": 0.1, "nesterov": True})
        rung.adam(p, g, m, v, *news[2:5], **{**ADAM, "weight_decay": 0.1})
        rung.rmsprop(p, g, v, None, None, *news[5:], None, None, lr=0.1, alpha=0.9, eps=0, weight_decay=0, momentum=0)
        found.append(news)
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


SHAPES_OF_A_NET = [(), (0,), (1,), (7, 5), (3, 2, 3, 3), (1000,), (4, 4096), (2, 3)]
LAYOUTS = {
    "plain": lambda a: a,
    "channels last": lambda a: a.T.copy().T,
    "with gaps": lambda a: np.repeat(a, 2, -1)[..., ::2] if a.ndim else a,
    "read-only": lambda a: np.broadcast_to(a, a.shape),
    "the other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("op", "states", "how"), [
    ("adam", 2, lambda first: Adam(0.1, 0.8, 0.9, 1e-3, 0.1, True, 1 if first else 3)),
    ("sgd", 1, lambda first: Sgd(0.1, 0.8, 0.2, 0.1, False)),
    ("sgd", 1, lambda first: Sgd(0.1, 0.8, 0.0, 0.0, True)),
    ("sgd", 0, lambda first: Sgd(0.1, 0.0, 0.0, 0.1, False)),
])  # fmt: skip
def test_many_parameters_in_one_call_have_the_bits_of_one_by_one(op, states, how, layout, first, threads):
    rng, how, kernel = np.random.default_rng(0), how(first), getattr(cpu, op)
    absent = (None,) * (op == "sgd" and not states)
    steps, alone = [], []
    for i, shape in enumerate(SHAPES_OF_A_NET * 2):
        dtype = "f" if i < 10 else "d"
        p, g, *held = (np.asarray(rng.random(shape), dtype) for _ in range(2 + states))
        olds = [None for _ in held] if first else [LAYOUTS[layout](a) for a in held[:1]] + held[1:]
        given = (p, LAYOUTS[layout](g), *olds, *absent)
        steps.append((*given, *(np.full(shape, np.nan, dtype) for _ in range(1 + states)), *absent))
        alone.append([np.full(shape, np.nan, dtype) for _ in range(1 + states)])
        kernel(*given, *alone[-1], *absent, how)
    with cpu.forced(worth_a_thread=0, threads=threads):
        cpu.MANY[op].launch(steps, how)
    for step, expected in zip(steps, alone, strict=True):
        for a, b in zip([a for a in step[-1 - states - len(absent) :] if a is not None], expected, strict=True):
            np.testing.assert_array_equal(a, b)
    out = 2 + states + len(absent)
    with pytest.raises(ValueError, match="shapes must agree"):
        cpu.MANY[op].launch([(*steps[5][:out], np.empty(3, "f"), *steps[5][out + 1 :])], how)


@RUNGS
def test_what_is_off_does_not_touch_what_is_infinite(rung):
    p, g = np.array([np.inf, 1.0, 1.0]), np.array([1.0, np.inf, np.nan])
    out, new, square = fresh(p), fresh(p), fresh(p)
    rung.sgd(p, g, None, out, new, **SGD)
    np.testing.assert_array_equal(out, [np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(new, g)
    rung.adam(p, np.zeros(3), None, None, out, new, square, **{**ADAM, "eps": 1.0})
    np.testing.assert_array_equal(out, p)


@RUNGS
def test_without_eps_zero_by_zero_is_nan(rung):
    p, z = np.ones(2), np.zeros(2)
    out, new, square = fresh(p), fresh(p), fresh(p)
    with np.errstate(invalid="ignore"):
        rung.adam(p, z, z, z, out, new, square, **ADAM)
    assert np.isnan(out).all()


@pytest.mark.parametrize("rung", [im2col, cpu], ids=["im2col", "cpu"])
def test_gradients_and_state_of_another_layout(rung):
    p, g, b = arrays((4, 3, 2), 0, "f", 3, True)
    assert not p.flags.c_contiguous
    out, new, plain, state = (fresh(p) for _ in range(4))
    rung.sgd(p, g, b, plain, state, **SGD)
    rung.sgd(p, np.ascontiguousarray(g).astype(">f4"), np.asfortranarray(b), out, new, **SGD)
    np.testing.assert_allclose(out, plain, rtol=1e-6)
    np.testing.assert_allclose(new, state, rtol=1e-6)
    assert out.strides == p.strides
    stretched = np.broadcast_to(np.float32(0.5), p.shape)
    rung.sgd(p, stretched, None, out, new, **SGD)
    np.testing.assert_allclose(out, p - np.float32(0.05), rtol=1e-6)


def test_new_state_must_be_laid_out_as_out_is():
    p = np.ones((3, 2), "f")
    with pytest.raises(ValueError, match="laid out as out is"):
        cpu.sgd(p, p, None, fresh(p), np.asfortranarray(p), **SGD)
