"""Matrix products on every rung of the CPU."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinyres_kernels import cpu, reference
from tinyres_kernels.cpu.matmul import _blas
from tinyres_kernels.cpu.matmul import matmul as body

LAYOUTS = [lambda a: a, lambda a: np.ascontiguousarray(a.T).T, lambda a: np.repeat(a, 2, axis=1)[:, ::2]]


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(0, 40)] * 3),
    layouts=st.tuples(*[st.sampled_from(LAYOUTS)] * 2),
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from("fd"),
)
def test_it_is_the_definition(sizes, layouts, seed, dtype):
    M, K, N = sizes
    draw = np.random.default_rng(seed).standard_normal
    a, b = (layout(draw(s).astype(dtype)) for layout, s in zip(layouts, ((M, K), (K, N)), strict=True))
    for given_array in (a, b):
        given_array.flags.writeable = False
    out = np.full((M, N), np.nan, dtype)
    assert reference.matmul(a, b, out) is out
    wide = a.astype("d"), b.astype("d")
    bound = (K + 1) * np.finfo(dtype).eps * (abs(wide[0]) @ abs(wide[1]))
    assert (abs(out - wide[0] @ wide[1]) <= bound).all()


@pytest.mark.parametrize("M", [16, 33, 200])
def test_shares_of_threads_make_up_the_whole(M):
    draw = np.random.default_rng(0).standard_normal
    a, b = draw((M, 1500)), draw((1500, 1200))
    np.testing.assert_allclose(cpu.matmul(a, b, np.full((M, 1200), np.nan)), a @ b, rtol=1e-10, atol=1e-10)


def test_blas_has_its_threads_back_afterwards_also_after_an_error():
    before = [library.get_num_threads() for library in _blas()]
    assert before
    a, b = np.ones((64, 2000)), np.ones((2000, 600))
    with cpu.forced(tiles=False):
        cpu.matmul(a, b, np.empty((64, 600)))
        with pytest.raises(ValueError, match="mismatch"):
            body(a, b[:-1], np.empty((64, 600)))
    assert [library.get_num_threads() for library in _blas()] == before


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (33, 3, 17), (141, 257, 33), (29, 600, 530), (300, 40, 1), (15, 513, 48)])
@pytest.mark.parametrize("threads", [1, 3])
def test_tiles_and_blas_agree_in_every_layout(sizes, threads, dtype):
    """Rows and columns of either operand may lie one after the other, apart, backwards, or over each other."""
    M, K, N = sizes
    draw = np.random.default_rng(0).standard_normal
    more = [*LAYOUTS, lambda a: np.pad(a, ((0, 0), (0, 3)))[:, :-3], lambda a: a[::-1], lambda a: a[:, ::-1]]
    more += [lambda a: np.pad(a.T, ((0, 0), (0, 5)))[:, :-5].T, lambda a: np.broadcast_to(a[:1], a.shape)]
    for left in more:
        for right in more:
            a, b = left(draw((M, K)).astype(dtype)), right(draw((K, N)).astype(dtype))
            expected, out = a.astype("d") @ b.astype("d"), np.full((M, N), np.nan, dtype)
            with cpu.forced(tiles=True, worth_a_thread=0, threads=threads, matmul_rows=1):
                cpu.matmul(a, b, out)
            bound = (min(K, 300) + 4) * np.finfo(dtype).eps * (abs(a.astype("d")) @ abs(b.astype("d")))
            assert (abs(out - expected) <= bound).all()


def test_a_product_has_the_same_bits_on_any_number_of_threads():
    draw = np.random.default_rng(0).standard_normal
    x, g = draw((700, 65)).astype("f"), draw((700, 130)).astype("f")
    for a, b in ((x, g[:65]), (g.T, x)):
        found = []
        for threads in (1, 2, 5):
            with cpu.forced(worth_a_thread=0, threads=threads):
                assert cpu.explain("matmul", a, b, (len(a), b.shape[1])).way == "tiles"
                found.append(cpu.matmul(a, b, np.empty((len(a), b.shape[1]), "f")).copy())
        assert all((y == found[0]).all() for y in found)


def test_few_rows_or_columns_go_to_blas_and_more_to_tiles():
    ways = [cpu.explain("matmul", (M, 64), (64, N), (M, N)).way for M, N in ((31, 64), (32, 64), (64, 15), (64, 16))]
    assert ways == ["blas", "tiles", "blas", "tiles"]


def test_products_that_are_large_in_all_three_directions_go_to_blas():
    sizes = [(1024,) * 3, (1023, 4096, 4096), (4096, 1023, 4096), (4096, 4096, 1023)]
    assert [cpu.explain("matmul", (M, K), (K, N), (M, N)).way for M, K, N in sizes] == ["blas", *["tiles"] * 3]
