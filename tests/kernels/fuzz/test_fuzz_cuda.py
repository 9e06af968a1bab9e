"""The CUDA rung under the fuzz: small cases in Numba's simulator, and on a GPU whole ones."""

import ctypes
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tinyres_kernels.conformance import OPS
from tinyres_kernels.conformance.fuzz import drawn
from tinyres_kernels.conformance.layouts import LAYOUTS, ON_DEVICE
from tinyres_kernels.dispatch import each

from tests.device.conftest import reason_without_gpu
from tests.kernels.cuda.once import simulated


@pytest.mark.cudasim
@pytest.mark.slow
def test_small_cases_in_the_simulator(tmp_path_factory):
    told = simulated(tmp_path_factory, "simulated_cases", folder=Path(__file__).parent)
    assert {name: faults for name, faults in told.items() if faults} == {}
    assert {json.loads(line)["op"] for line in told if line != "lines"} == set(OPS) - {"matmul"}


def memory(a):
    """The bytes that the array lies in, as far from a multiple of 256 as they are; and where its first element is."""
    low, high = np.lib.array_utils.byte_bounds(a)
    held = np.zeros(low % 256 + high - low, np.uint8)
    held[low % 256 :] = (ctypes.c_ubyte * (high - low)).from_address(low)
    return held, a.__array_interface__["data"][0] - low + low % 256


def there(a):
    """The array on the card, with the strides that it has here."""
    import cupy

    held, start = memory(a)
    return cupy.ndarray(a.shape, a.dtype, cupy.asarray(held).data + start, strides=a.strides)


@pytest.mark.parametrize("layout", ON_DEVICE)
def test_arrays_travel_with_the_memory_that_they_lie_in(layout):
    for shape in [(3, 4, 5), (7,), (1, 1, 6, 1), (0, 3)]:
        scope = {"np": np, "a": np.random.default_rng(0).standard_normal(shape)}
        exec(LAYOUTS[layout].format(a="a"), scope)
        a = scope["a"]
        held, start = memory(a)
        np.testing.assert_array_equal(np.ndarray(a.shape, a.dtype, held, start, a.strides), a)
        assert (start - a.__array_interface__["data"][0]) % 16 == 0


def on_card(kernel):
    def body(*arguments):
        pairs = []

        def brought(a):
            pairs.append((a, there(a)))
            return pairs[-1][1]

        kernel(*each(arguments, brought))
        for a, b in pairs:
            if a.flags.writeable and a.flags.c_contiguous:
                a[...] = b.get()

    return body


@pytest.mark.gpu
@pytest.mark.skipif(reason_without_gpu() is not None, reason=str(reason_without_gpu()))
@pytest.mark.parametrize("op", [op for op in OPS if op != "matmul"])
def test_whole_cases_on_a_gpu(op):
    from tinyres_kernels import cuda

    for number in range(60):
        trial = drawn(0, number, [op])
        layouts = {name: [each for each in lines if each in ON_DEVICE] for name, lines in trial.layouts.items()}
        trial = replace(trial, layouts=layouts)
        assert trial.faults(on_card(getattr(cuda, op))) == [], str(trial)
