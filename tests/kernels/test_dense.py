"""A fully connected layer, sums of columns and layer norm, compiled: any layout, any number of threads, exact sums."""

import numpy as np
import pytest
from tinyres_kernels import cpu, im2col

LAYOUTS = {
    "plain": lambda a: a,
    "turned": lambda a: np.ascontiguousarray(a.T).T,
    "apart": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "in a wider one": lambda a: np.pad(a, ((0, 0), (3, 2)))[:, 3:-2],
    "backwards": lambda a: np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1],
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "the other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
}
SIZES = [(1, 1, 1), (40, 7, 20), (33, 300, 17), (300, 64, 530), (500, 2, 3), (20, 30, 64)]  # tiles, and BLAS


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("sizes", SIZES)
def test_a_linear_layer(sizes, threads, dtype):
    M, K, N = sizes
    draw = np.random.default_rng(0).standard_normal
    w, b = draw((N, K)).astype(dtype), draw(N).astype(dtype)
    x = draw((M, K)).astype(dtype)
    expected = x.astype("d") @ w.astype("d").T + b.astype("d")
    for layout in LAYOUTS.values():
        for bias in (b, None, np.repeat(b, 2)[::2]):
            out = np.full((M, N), np.nan, dtype)
            with cpu.forced(worth_a_thread=0, matmul_rows=1, threads=threads):
                cpu.linear(layout(x), layout(w), bias, out)
            bound = (K + 2) * np.finfo(dtype).eps * (abs(x.astype("d")) @ abs(w.astype("d")).T + abs(b))
            assert (abs(out - expected + (b.astype("d") if bias is None else 0)) <= bound).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", [(1, 1), (31, 5), (33, 64), (1000, 17)])
def test_sums_of_columns(shape, threads, layout):
    x = np.random.default_rng(0).standard_normal(shape).astype("f")
    with cpu.forced(worth_a_thread=0, threads=threads):
        found = cpu.column_sums(LAYOUTS[layout](x), np.full(shape[1], np.nan, "f"))
    np.testing.assert_allclose(found, x.sum(axis=0, dtype="d"), rtol=0, atol=2e-6 * abs(x).sum(axis=0).max())


def test_a_sum_of_very_many_rows_loses_none():
    ones = np.broadcast_to(np.float32(1), (1 << 25, 1))
    assert cpu.column_sums(ones, np.empty(1, "f")) == 1 << 25
    assert im2col.column_sums(ones, np.empty(1, "f")) == 1 << 25


def normed(x, weight, bias, threads=1, kernels=cpu):
    M = len(x)
    out, mean, scale = np.full(x.shape, np.nan, "f"), np.full(M, np.nan, "f"), np.full(M, np.nan, "f")
    with cpu.forced(worth_a_thread=0, threads=threads):
        kernels.layer_norm(x, weight, bias, out, mean, scale, eps=1e-5)
    return out, mean, scale


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("C", [1, 15, 16, 33, 128])
@pytest.mark.parametrize("M", [1, 32, 67])
def test_layer_norm_and_its_gradients(M, C, layout):
    rng = np.random.default_rng(0)
    plain, g = (rng.standard_normal((M, C)).astype("f") for _ in range(2))
    weight, bias = (rng.standard_normal(C).astype("f") for _ in range(2))
    x, above = LAYOUTS[layout](plain), LAYOUTS[layout](g)
    for w, b in ((weight, bias), (weight, None), (None, bias), (None, None)):
        wide = [None if a is None else a.astype("d") for a in (plain, w, b)]
        centre, spread = wide[0].mean(axis=1), 1 / np.sqrt(wide[0].var(axis=1) + 1e-5)
        unit = (wide[0] - centre[:, None]) * spread[:, None]
        d = g.astype("d") * (1 if w is None else wide[1])
        drift, along = d.mean(axis=1, keepdims=True), (d * unit).mean(axis=1, keepdims=True)
        needed = spread[:, None] * (d - drift - unit * along), (g * unit).sum(axis=0), g.sum(axis=0, dtype="d")
        for threads in (1, 3):
            out, mean, scale = normed(x, w, b, threads)
            for found, right in zip((out, mean, scale), (unit * (1 if w is None else w) + (0 if b is None else b),
                                                         centre, spread), strict=True):  # fmt: skip
                np.testing.assert_allclose(found, right, rtol=1e-5, atol=2e-5)
            dx, dw, db = np.full((M, C), np.nan, "f"), np.full(C, np.nan, "f"), np.full(C, np.nan, "f")
            with cpu.forced(worth_a_thread=0, threads=threads):
                cpu.layer_norm_dx(above, x, w, mean, scale, dx, dw, db, eps=1e-5)
            for found, right in zip((dx, dw, db), needed, strict=True):
                np.testing.assert_allclose(found, right, rtol=0, atol=2e-5 * max(1, abs(right).max()))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("C", [1, 15, 16, 33, 128])
@pytest.mark.parametrize("M", [1, 32, 67])
def test_rms_norm_and_its_gradients(M, C, layout):
    rng = np.random.default_rng(0)
    plain, g = (3 + rng.standard_normal((M, C)).astype("f") for _ in range(2))
    x, above, weight = LAYOUTS[layout](plain), LAYOUTS[layout](g), rng.standard_normal(C).astype("f")
    for w in (weight, None):
        wide, factor = plain.astype("d"), np.ones(C) if w is None else w.astype("d")
        spread = 1 / np.sqrt((wide * wide).mean(axis=1) + 1e-5)
        unit, d = wide * spread[:, None], g * factor
        dx = spread[:, None] * (d - unit * (d * unit).mean(axis=1, keepdims=True))
        needed = unit * factor, spread, dx, (g * unit).sum(axis=0)
        for threads in (1, 3):
            out, scale, back, dw = (np.full(shape, np.nan, "f") for shape in ((M, C), M, (M, C), C))
            with cpu.forced(worth_a_thread=0, threads=threads):
                cpu.rms_norm(x, w, out, scale, eps=1e-5)
                cpu.rms_norm_dx(above, x, w, scale, back, dw, eps=1e-5)
            for found, right in zip((out, scale, back, dw), needed, strict=True):
                np.testing.assert_allclose(found, right, rtol=0, atol=1e-5 * max(1, abs(right).max()))


def test_gradients_that_are_not_wanted_are_left_out():
    x = np.random.default_rng(0).standard_normal((40, 8)).astype("f")
    _, mean, scale = normed(x, None, None)
    for kernels in (cpu, im2col):
        alone, beside, bias = np.empty_like(x), np.empty_like(x), np.empty(8, "f")
        kernels.layer_norm_dx(x, x, None, mean, scale, alone, None, None, eps=1e-5)
        kernels.layer_norm_dx(x, x, None, mean, scale, beside, None, bias, eps=1e-5)
        np.testing.assert_array_equal(alone, beside)


def test_small_work_is_done_by_one_thread_and_large_by_all():
    small, large = (64, 64), (4096, 128)
    for op, rest in (("column_sums", lambda s: (s[1:],)), ("layer_norm", lambda s: (None, None, s, s[:1], s[:1]))):
        more = {"eps": 1e-5} if op == "layer_norm" else {}
        plans = [cpu.explain(op, shape, *rest(shape), threads=2, **more) for shape in (small, large)]
        assert [plan.threads for plan in plans] == [1, 2]


def test_a_layer_without_inputs_gives_its_bias():
    b = np.arange(3.0)
    found = cpu.linear(np.ones((2, 0)), np.ones((3, 0)), b, np.full((2, 3), np.nan))
    np.testing.assert_array_equal(found, [b, b])
