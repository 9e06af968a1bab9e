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
    cpu.matmul(a, b, np.empty((64, 600)))
    with pytest.raises(ValueError, match="mismatch"):
        body(a, b[:-1], np.empty((64, 600)))
    assert [library.get_num_threads() for library in _blas()] == before
