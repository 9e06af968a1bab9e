"""Which CUDA kernels a staged run launches, and for what: found on the stand-in for CuPy, where nothing is computed.

python -m tests.bench.record     writes tinyres/bench/gpu/kernels.json, which `warm.py` compiles beforehand
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from importlib.machinery import ModuleSpec
from types import SimpleNamespace
from unittest import mock

import numpy as np

from tests.device.stand_in import standing_in
from tinyres.arrays import dispatch
from tinyres.bench import convolutions, streams, works
from tinyres.bench.gpu import conform, smoke, warm

CACHE = 50 << 20  # bytes, of an H100's L2


@contextmanager
def recording():
    """CuPy's stand-in with the CUDA kernels serving it; gives the list that launches go to, none of which happens."""
    rung = importlib.import_module("tinyres_kernels.cuda")
    host, launching = (importlib.import_module(f"tinyres_kernels.cuda.{name}") for name in ("host", "launching"))
    assert not host.SIMULATED, "the simulator has kernels of its own: record without NUMBA_ENABLE_CUDASIM"
    modules = [importlib.import_module(m.name) for m in pkgutil.iter_modules(rung.__path__, f"{rung.__name__}.")]
    made, found = {}, {}

    def tagged(make, *given, **more):
        compiled = make(*given, **more)
        if hasattr(compiled, "py_func"):
            assert not more
            function = make.__wrapped__
            made[compiled] = f"{function.__module__}.{function.__qualname__}", [warm.encoded(each) for each in given]
        return compiled

    def launch(compiled, grid, block, arguments):
        name, given = made[compiled]
        row = {"make": name, "given": given, "arguments": [kind(each, launching) for each in arguments]}
        found[json.dumps(row)] = row

    with ExitStack() as stack:
        cupy = stack.enter_context(standing_in())
        cupy.__spec__ = ModuleSpec("cupy", None)
        cupy.cuda.is_available = lambda: True
        cupy.cuda.runtime = SimpleNamespace(getDevice=lambda: 0, getDeviceProperties=lambda _: {"l2CacheSize": CACHE})
        for module in modules:
            for name, value in list(vars(module).items()):
                if hasattr(value, "cache_info") and hasattr(value, "__wrapped__"):
                    stack.enter_context(mock.patch.object(module, name, partial(tagged, value)))
        stack.enter_context(mock.patch.object(launching, "launch", launch))
        stack.enter_context(mock.patch.object(dispatch, "_on_gpu", lambda a: type(a).__module__ == "cupy"))
        yield rung, cupy, found


def kind(argument, launching):
    """As `warm.py` reads it."""
    if isinstance(argument, tuple):
        (number,) = {str(launching.kind(each)) for each in argument}
        return [number, len(argument)]
    if isinstance(argument, launching.NUMBER):
        return str(launching.kind(argument))
    return [str(argument.dtype), argument.ndim, "C" if argument.flags.c_contiguous else "A"]


class Undrawn:
    """A generator whose numbers nobody looks at."""

    def standard_normal(self, size, dtype=float):
        return np.empty(size, dtype)


def undrawn(cupy, shape):
    with mock.patch.object(np.random, "default_rng", return_value=Undrawn()):
        return convolutions.Arrays(*map(cupy.asarray, convolutions.draw(shape)))


def checks(rung, cupy):
    for check in smoke.CHECKS:
        # What comes out is rubbish, and some of CuPy is missing: what was launched before that was noticed counts.
        with suppress(Exception), mock.patch.object(np, "testing", mock.MagicMock(unsafe=True)):
            check.look(rung, np.random.default_rng(0))
    for N, C, H, O, K, stride, padding in smoke.SHAPES.values():
        shape = convolutions.Shape(N, C, H, O, K, stride, padding)
        for call in convolutions.ours(rung, shape, undrawn(cupy, shape)).values():
            call()


def conformance(rung, cupy):
    from tinyres_kernels.conformance import OPS, examine, search

    for op in OPS:
        for way, kernel in conform.ways(rung, op).items():
            call = conform.on_card(kernel, moved=way == conform.MOVED)
            for case in search._named(OPS[op], search.DTYPES, 0):
                examine._run(call, case, case.inputs(), np.nan)


def tests(rung, cupy):
    with mock.patch.dict(sys.modules), mock.patch.object(np.random, "default_rng", return_value=Undrawn()):
        gpu = importlib.import_module("tests.kernels.cuda.test_gpu")
        with mock.patch.object(gpu, "compared", lambda call, *what: compared(gpu, cupy, call, *what)):
            for op in gpu.CONVOLUTIONS:
                for dtype in ("float32", "float64"):
                    for title in gpu.SHAPES:
                        gpu.test_convolutions_of_some_size(rung, op, title, dtype)
                    for title in ("a residual network's layer", "a layer that halves", "tails everywhere"):
                        gpu.test_every_tile(rung, op, title, dtype)


def compared(gpu, cupy, call, op, shape, dtype):
    arrays, how = gpu.arrays_of(shape, dtype)
    names = {"conv2d": "xwg", "conv2d_dx": "gwx", "conv2d_dw": "xgw"}[op]
    call(*(cupy.asarray(arrays[name]) for name in names), **how)


def benchmarks(rung, cupy):
    for shape in (shape for family in works.FAMILIES.values() for shape in family):
        for call in convolutions.ours(rung, shape, undrawn(cupy, shape)).values():
            call()
    for net in works.NETS.values():
        for batch in net.batches["cuda"]:
            step = net.module.ours(batch, device="cuda")
            step()
            step()
    for stream in streams.streams(images=(64, 32, 32, 16), parameters=20_000, rows=4096):
        call = stream.ours("cuda", 0)
        call()
        call()


def recorded():
    """The list, in the order in which it is to be compiled: what takes longest first."""
    with recording() as (rung, cupy, found), np.errstate(all="ignore"):
        for look in (checks, conformance, tests, benchmarks):
            began, before = time.monotonic(), len(found)
            look(rung, cupy)
            print(f"{look.__name__}: {len(found) - before} more, {time.monotonic() - began:.0f} s", file=sys.stderr)
    return sorted(found.values(), key=lambda row: ("conv" not in row["make"], json.dumps(row)))


def main():
    lines = ",\n".join(json.dumps(row) for row in recorded())
    warm.LIST.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"wrote {warm.LIST}: {len(lines.splitlines())} kernels")


if __name__ == "__main__":
    main()
