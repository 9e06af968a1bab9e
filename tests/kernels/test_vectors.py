"""What LLVM makes of the kernels: loops over lines become vectors, and sums stay in registers."""

import inspect
import re

import numba
import numpy as np
import pytest
from tinyres_kernels.cpu import elementwise, head_rows, jit, loss, products, simd, update
from tinyres_kernels.cpu.compiler import KernelCompiler
from tinyres_kernels.cpu.depthwise_tiles import depth_sums, depth_tile
from tinyres_kernels.cpu.host import TARGET

OFF, RATES = (False, False), (0.5,) * 9
CASES = {
    "add": (elementwise._add, 3, ()),
    "relu": (elementwise._relu, 2, (0.0, False)),
    "leaky relu": (elementwise._relu, 2, (0.25, True)),
    "relu_dx": (elementwise._relu_dx, 3, (0.0, False)),
    "leaky relu_dx": (elementwise._relu_dx, 3, (0.25, True)),
    "bce_with_logits": (loss._yes_or_no, 3, ()),
    "bce_with_logits_dx": (loss._yes_or_no_dx, 4, ()),
    "sgd": (update._sgd, 5, (RATES[:4], True, *OFF)),
    "adam": (update._adam, 7, (RATES, False)),
    "rmsprop": (update._rmsprop, 5, (RATES[:5], False)),
}


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CASES)
def test_a_loop_over_lines_is_made_of_vectors(name, dtype):
    """Where LLVM cannot rule out a negative index, it takes number by number, or gathers them: 4 to 28 times as slow.
    Once more compiled, for Numba shows no code that comes from its cache."""
    kernel, count, settings = CASES[name]
    start = inspect.getclosurevars(kernel).nonlocals["start"]()
    again = numba.njit(**jit.OPTIONS, pipeline_class=KernelCompiler)(start.py_func)
    lines = [np.ones(40, dtype) for _ in range(count)]
    again(0, 0, 1, *lines, *(np.dtype(dtype).type(s) if isinstance(s, float) else s for s in settings))
    (code,) = again.inspect_llvm().values()
    element = {"float32": "float", "float64": "double"}[dtype]
    assert re.search(rf"load <\d+ x {element}>", code)
    assert re.search(rf"store <\d+ x {element}>", code)
    assert "masked.gather" not in code
    assert "masked.scatter" not in code


LARGEST = {vectors: pixels[0] for vectors, pixels in TARGET.pixels.items()}
TILES = {
    **{f"dot_tile {v}": simd.dot_tile(LARGEST[v], v) for v in LARGEST},
    "row_tile": simd.row_tile(LARGEST[1]),
    **{f"outer_tile {v}": simd.outer_tile(taps, v) for v, taps in TARGET.taps.items()},
    "outer_row": simd.outer_row(1, TARGET.row_taps),
    "a product's tile": products._tile,
    "sums over queries": head_rows.summed,
    **{f"depth_tile {p} {v}": depth_tile(p, v) for p, v in ((8, TARGET.registers // 16), (4, 2), (1, 4))},
    **{f"depth_sums {t} {v}": depth_sums(t, v) for t, v in ((3, 2), (1, 4))},
    **({"outer_row, all taps": simd.outer_row(3, 3)} if TARGET.registers == 32 else {}),
}


@pytest.mark.parametrize("dtype", [numba.float32, pytest.param(numba.float64, marks=pytest.mark.slow)], ids=str)
@pytest.mark.parametrize("name", TILES)
def test_sums_stay_in_registers(name, dtype):
    """If LLVM loads too far ahead, a turn of the innermost loop takes some sums from the stack and puts them back."""
    parameters = list(inspect.signature(TILES[name]._defn).parameters)[1:]
    types = {
        **dict.fromkeys(("x", "w", "g", "a", "b", "out", "sums"), dtype[::1]),
        "places": numba.intp[::1],
        "add": numba.boolean,
        "group": numba.types.UniTuple(numba.intp, 1),
    }
    scope = {"tile": TILES[name], "__name__": __name__}
    exec(f"def call({', '.join(parameters)}):\n tile({', '.join(parameters)})", scope)
    made = numba.njit(tuple(types.get(p, numba.intp) for p in parameters), no_cpython_wrapper=True)(scope["call"])
    (code,) = made.inspect_asm().values()
    if "vfmadd" not in code:
        pytest.skip("this processor has no fused multiply-add")
    _, *parts = re.split(r"^(\.\w+):", code, flags=re.M)
    blocks = [
        (label, block) for label, block in zip(parts[::2], parts[1::2], strict=True) if block.count("vfmadd") >= 6
    ]
    loops = [block for label, block in blocks if re.search(rf"\tj\w+\t{label}\b", block)]
    assert loops
    assert not [block for block in loops if re.search(r"\(%rsp\).*%[xyz]mm|%[xyz]mm.*\(%rsp\)", block)]
