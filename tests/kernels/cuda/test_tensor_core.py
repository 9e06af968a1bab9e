"""The tensor-core convolutions without a GPU: their source runs as C++ on a processor.

The processor proves index arithmetic, tails, barriers, waits, rounding and what becomes of NaN. The layout of an mma's
registers it has from the PTX ISA; CUTLASS's own statement of it is held against that. It proves nothing about speed.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from tinyres_kernels import im2col
from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.examine import examine
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.geometry import conv_out
from tinyres_kernels.settings import Conv

from tests.kernels.cuda.tensor_core_faults import FAULTS

pytest.importorskip("numba.cuda", reason="NO KERNELS: numba-cuda is missing; pip install 'numba-cuda[cu12]'")
from tinyres_kernels.cuda import tensor_core
from tinyres_kernels.cuda.tensor_core import program
from tinyres_kernels.cuda.tensor_core.program import Variant

_spec = importlib.util.spec_from_file_location("tensor_core_host", Path(__file__).parent / "tensor_core_host.py")
host = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(host)
aligned = host.aligned
CONVOLUTIONS = ("conv2d", "conv2d_dx", "conv2d_dw")
needs_compiler = pytest.mark.skipif(not host.COMPILER, reason="NO COMPILER: g++ is missing, no tensor-core kernel run")
slow = pytest.mark.slow  # what builds a library of its own, or all of them


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return host.Machine(tmp_path_factory.mktemp("tensor_core"))


@pytest.fixture
def machine(built, monkeypatch):
    monkeypatch.setattr(program, "launch", built.launch)
    built.order = built.late = built.mmas = 0
    built.variants.clear()
    return built


def triple(rng, n, hw, c, o, *, kernel=3, stride=1, padding=1, dilation=1, groups=1, draw="standard_normal"):
    """The three operations of one convolution: (name, two inputs, shape of the result, keywords)."""
    out = [conv_out(size, kernel, stride, padding, dilation) for size in hw]
    shapes = {"x": (n, *hw, c), "w": (kernel, kernel, c // groups, o), "g": (n, *out, o)}
    x, w, g = (aligned(shape, getattr(rng, draw)(shape)) for shape in shapes.values())
    how = {"stride": (stride,) * 2, "padding": (padding,) * 2, "dilation": (dilation,) * 2, "groups": groups}
    return [
        ("conv2d", x, w, g.shape, how),
        ("conv2d_dx", g, w, x.shape, how),
        ("conv2d_dw", x, g, w.shape, how),
    ]


def run(name, a, b, shape, how, **more):
    out = aligned(shape)
    getattr(tensor_core.conv, name)(a, b, out, Conv(**how), **more)
    return out


def exact(name, a, b, shape, how, dtype="float64"):
    return getattr(im2col, name)(a.astype(dtype), b.astype(dtype), np.empty(shape, dtype), **how)


def errors(got, name, a, b, shape, how):
    """In units of the sum of the terms' absolute values, in which rounding comes."""
    return abs(got - exact(name, a, b, shape, how)) / exact(name, abs(a), abs(b), shape, how).clip(1e-30)


SHAPES = {
    "tails of rows, columns and depth": {"n": 3, "hw": (17, 13), "c": 8, "o": 20, "stride": 2},
    "several columns of tiles, words one by one": {"n": 1, "hw": (9, 8), "c": 6, "o": 290, "stride": 2, "groups": 2},
    "64 columns": {"n": 2, "hw": (9, 9), "c": 16, "o": 52},
    "128 columns": {"n": 2, "hw": (7, 6), "c": 12, "o": 100, "kernel": 2},
    "dilation": {"n": 2, "hw": (11, 8), "c": 20, "o": 36, "dilation": 3, "padding": 2},
    "stride 3, dilation 2": {"n": 2, "hw": (13, 11), "c": 5, "o": 50, "dilation": 2, "stride": 3},
    "windows apart": {"n": 2, "hw": (13, 9), "c": 9, "o": 8, "kernel": 2, "stride": 4, "padding": 0},
    "groups of 4": {"n": 2, "hw": (8, 8), "c": 16, "o": 48, "groups": 4},
    "the pixels in parts": {"n": 5, "hw": (16, 16), "c": 5, "o": 7},
}


@needs_compiler
@pytest.mark.parametrize("op", CONVOLUTIONS)
@pytest.mark.slow
def test_conformance(machine, op):
    found = []
    for title, named in OPS[op].cases.items():
        settings = {key: getattr(named, key) for key in ("put", "spoil", "refused", "readonly")}
        case = Case(OPS[op], title, {**OPS[op].family.plain, **named.changes}, "float32", **settings)
        found += [(title, fault) for fault in examine(getattr(tensor_core, op), case).faults]
    assert found == []
    assert machine.mmas > 1000


@slow
@needs_compiler
@pytest.mark.parametrize("title", SHAPES)
def test_errors_are_those_of_float32(machine, title):
    """The root mean square is at most twice that of NumPy's float32; with one product it is TF32's: a thousandfold."""
    for given in triple(np.random.default_rng(0), **SHAPES[title]):
        ours, plain, tf32 = (
            np.sqrt((errors(got, *given) ** 2).mean())
            for got in (run(*given), exact(*given, dtype="float32"), run(*given, products=1))
        )
        assert ours < 2 * max(plain, 2.0**-26), given[0]
        assert 1e-5 < tf32 < 3e-4, given[0]


@slow
@needs_compiler
def test_all_ways_to_compile_are_met(machine):
    for shape in SHAPES.values():
        for given in triple(np.random.default_rng(0), **shape):
            run(*given)
    assert {(v.columns, v.a_words) for v in machine.variants} == {(c, w) for c in (32, 64, 128) for w in (1, 4)}
    assert {v.b_words for v in machine.variants} == {1, 4}


LONG = {"n": 1, "hw": (4, 4), "c": 512, "o": 8, "draw": "random"}


def chain(x, w):
    """A convolution of 4 x 4 pixels, padded by 1, as one thread of float32 would add it up: term by term, rounded."""
    padded, total = np.pad(x[0], ((1, 1), (1, 1), (0, 0))).astype("float64"), np.zeros((4, 4, w.shape[3]), "float32")
    for kh, kw, c in np.ndindex(w.shape[:3]):
        total = (total + padded[kh : kh + 4, kw : kw + 4, c, None] * w[kh, kw, c]).astype("float32")
    return total[None]


def far_sum():
    """The largest errors of a sum of 4,608 positive terms, where cuts would pile up: ours, and a float32 chain's."""
    given = triple(np.random.default_rng(0), **LONG)[0]
    return errors(run(*given), *given).max(), errors(chain(*given[1:3]), *given).max()


@pytest.mark.slow
@needs_compiler
def test_a_long_sum_does_not_drift(machine):
    """Summed in the tensor cores all the way, which cut, it would be off by forty times as much as the chain."""
    ours, plain = far_sum()
    assert ours < plain < 2.0**-18


def answers(given):
    return [run(*one) for one in given]


def orders(machine, given):
    """The results with every order of the warps, and copies early and late: they must be one."""
    made = []
    for machine.late in (0, 1):
        for machine.order in range(host.ORDERS):
            made.append(answers(given))
    machine.order = machine.late = 0
    return made


@slow
@needs_compiler
@pytest.mark.parametrize("title", ["tails of rows, columns and depth", "the pixels in parts"])
def test_the_same_bits_whoever_runs_first(machine, title):
    first, *others = orders(machine, triple(np.random.default_rng(0), **SHAPES[title]))
    for other in others:
        assert [a.tobytes() for a in other] == [a.tobytes() for a in first]


def planted(value, other):
    """A convolution with `value` in one place of both inputs, the rest `other`: nothing of that has a small part."""
    given = triple(np.random.default_rng(0), 1, (5, 6), 4, 8)
    for _, a, b, _, _ in given:
        a[...], b[...] = other, other
    for _, a, b, _, _ in given:
        a.flat[7], b.flat[9] = value, value
    return given


def same_kind(got, needed):
    return np.array_equal(got, needed, equal_nan=True) or np.allclose(got, needed, rtol=1e-6, atol=0, equal_nan=True)


SPECIAL = {
    "NaN": (np.nan, 1.0),
    "infinity": (np.inf, 1.0),
    "minus infinity": (-np.inf, 1.0),
    "infinity x 0": (np.inf, 0),
}


@needs_compiler
@pytest.mark.parametrize("products", [3, 1])
@pytest.mark.parametrize("title", SPECIAL)
def test_what_is_not_finite_comes_out_as_in_float32(machine, title, products):
    for given in planted(*SPECIAL[title]):
        with np.errstate(invalid="ignore"):
            needed = exact(*given)
        assert not np.isfinite(needed).all()
        assert same_kind(run(*given, products=products), needed), given[0]


def largest_stays():
    given = triple(np.random.default_rng(0), 1, (3, 3), 4, 4, kernel=1, padding=0)[0]
    given[1][...], given[2][...] = np.finfo("float32").max, 0
    given[2][0, 0, 0] = 0.5
    return same_kind(run(*given), exact(*given))


@needs_compiler
def test_the_largest_number_stays_finite(machine):
    assert largest_stays()


def healthy(machine):
    """Whether all of this is as it should be, with one library: the shapes are all for one variant."""
    given = triple(np.random.default_rng(0), **SHAPES["tails of rows, columns and depth"])
    for made in orders(machine, given):
        if not all(errors(got, *one).max() <= 2.0**-21 for got, one in zip(made, given, strict=True)):  # nor NaN
            return False
    with np.errstate(invalid="ignore"):
        if not all(same_kind(run(*one), exact(*one)) for one in planted(np.inf, 1.0)):
            return False
    if not largest_stays():
        return False
    ours, plain = far_sum()
    return ours < plain


@slow
@needs_compiler
def test_nothing_is_found_where_nothing_is_broken(machine):
    assert healthy(machine)


@slow
@needs_compiler
@pytest.mark.parametrize("title", FAULTS)
def test_notices(title, tmp_path, monkeypatch):
    broken = host.Machine(tmp_path, FAULTS[title])
    monkeypatch.setattr(program, "launch", broken.launch)
    broken.library(Variant(32, 3, 4, 4))  # a fault that does not compile would be no fault
    try:
        whole = healthy(broken)
    except RuntimeError:  # the machine's own
        whole = False
    assert not whole


def flat(shape, stride, index):
    """The number that a layout of CuTe gives to an index: mixed radix, the first digit fastest."""
    total = 0
    for size, step in zip(shape, stride, strict=True):
        index, digit = divmod(index, size)
        total += digit * step
    return total


@needs_compiler
def test_an_mma_has_the_layout_that_cutlass_states(machine):
    """CuTe's `SM80_16x8x8_F32TF32TF32F32_TN`: (lane, register) to the place in column-major (M, K), (N, K), (M, N)."""
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-9, 10, shape).astype("float32") for shape in ((16, 8), (8, 8)))  # (M, K), (N, K)
    lanes = {
        "a": np.empty((32, 4), "float32"), "b": np.empty((32, 2), "float32"), "d": np.zeros((32, 4), "float32"),
    }  # fmt: skip
    layouts = {
        "a": ((4, 8, 2, 2), (16, 1, 8, 64)),
        "b": ((4, 8, 2), (8, 1, 32)),
        "d": ((4, 8, 2, 2), (32, 1, 16, 8)),
    }
    places = {
        name: np.array([[flat(*layouts[name], lane + 32 * i) for i in range(held.shape[1])] for lane in range(32)])
        for name, held in lanes.items()
    }
    lanes["a"][...], lanes["b"][...] = a.ravel("F")[places["a"]], b.ravel("F")[places["b"]]
    address = {name: host.ctypes.c_void_p(held.ctypes.data) for name, held in lanes.items()}
    machine.library(Variant()).warp_mma(address["d"], address["a"], address["b"])
    product = np.empty(16 * 8, "float32")
    product[places["d"]] = lanes["d"]
    assert np.array_equal(product.reshape(16, 8, order="F"), a @ b.T)
