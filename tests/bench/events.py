"""What the benchmarks ask of CuPy besides arrays, on the stand-in for it: events, streams, properties.

Time is the host's; PyTorch computes on the CPU. So every line of the report runs, and nothing it says is a measurement.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from unittest import mock

from tinyres_kernels import conformance

from tests.device.stand_in import standing_in
from tinyres.bench import clocks, device, gan, peers, resnet, works
from tinyres.bench.convolutions import Shape
from tinyres.bench.gpu import __main__ as gpu_main
from tinyres.bench.gpu import card, conform, races, smoke, suite, warm

TORCH = importlib.util.find_spec("torch") is not None


class Event:
    """CuPy's."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self.timed = not disable_timing
        self.at = None

    def record(self, stream=None):
        self.at = time.perf_counter()

    def synchronize(self):
        assert self.at is not None, "waits for what was never recorded"

    def elapsed_time(self, end):
        assert self.timed
        assert end.timed
        return 1e3 * (end.at - self.at)


class Stream:
    ptr = 0

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        pass

    def synchronize(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Device:
    compute_capability = "90"

    def synchronize(self):
        pass


class Pool:
    def __init__(self):
        self.bytes = 1 << 20

    def total_bytes(self):
        self.bytes += 1 << 20  # so that what it took is something
        return self.bytes

    def free_all_blocks(self, stream=None):
        pass


def equip(cupy):
    """CuPy's further names, with its names of arguments."""
    pool = Pool()
    cupy.get_default_memory_pool = lambda: pool
    cupy.cuda.Event, cupy.cuda.Stream, cupy.cuda.Device = Event, Stream, Device
    cupy.cuda.get_current_stream = lambda device_id=-1: Stream()
    cupy.cuda.get_elapsed_time = lambda start_event, end_event: start_event.elapsed_time(end_event)
    properties = {"name": b"a stand-in", "major": 9, "minor": 0, "multiProcessorCount": 132, "l2CacheSize": 1 << 10,
                  "totalGlobalMem": 1 << 30}  # fmt: skip
    cupy.cuda.runtime = SimpleNamespace(
        getDevice=lambda: 0,
        getDeviceProperties=lambda device: properties,
        driverGetVersion=lambda: 13010,
        runtimeGetVersion=lambda: 13000,
    )


def torch_on_the_cpu(device="cpu"):
    return importlib.import_module("torch") if TORCH else None


def small():
    """(module or dictionary, name, value): sizes that take no time."""
    triple = (Shape(2, 3, 6, 4, 3, 1), Shape(2, 4, 6, 4, 4, 2))
    families = {"performance.md": triple, "56x56": (Shape(2, 4, 5, 4, 3, 1),), "1x1": (Shape(2, 4, 5, 4, 1, 1, 0),)}
    batches = {"resnet": {"cuda": (4,)}, "gan": {"cuda": (2,)}, "r3gan": {"cuda": ()}, "gpt": {"cuda": ()}}
    streams = {"cuda": {"images": (2, 6, 6, 4), "parameters": 100, "rows": 8}}
    yield from (
        (clocks, "BALLAST", 1 << 10),
        (card, "COPY_BYTES", 1 << 12),
        (card, "SIDE", 16),
        (card, "LAUNCHES", 3),
        (conform, "EXAMPLES", 0),
        (works, "FAMILIES", families),
        (works, "STREAMS", streams),
        (works, "NETS", {name: net._replace(batches=batches[name]) for name, net in works.NETS.items()}),
        (clocks.CudaClock, "turn", 0.0),
        (clocks, "AHEAD", 0.0),
        (races, "TURN", 0.0),
        (smoke, "RUNG", "tinyres_kernels.im2col"),
        (smoke, "ROWS", 400),
        (smoke, "SHAPES", {"tails": (2, 3, 7, 5, 3, 1, 1)}),
        (smoke, "LONG", 1 << 10),
        (smoke, "BATCH", 2),
        (smoke, "BATCHES", (2,)),
        (smoke, "CALLS", 3),
        (suite, "pytest", lambda *_: ("tests/a.py::one PASSED\n", None)),
        (warm, "listed", list),
        (warm, "compile_host", lambda processes: {"operations": 0}),
        (gan, "WIDTH", 4),
        (resnet, "DEPTH", 8),
    )


@contextmanager
def gpu_of_nothing():
    """Inside, the parts of the report run on the stand-in, at sizes that take no time."""
    with ExitStack() as stack:
        cupy = stack.enter_context(standing_in())
        equip(cupy)
        stack.enter_context(mock.patch.dict(device.TORCH, cuda="cpu"))
        if TORCH:
            torch_on_the_cpu().set_num_threads(1)
            cuda = torch_on_the_cpu().cuda
            stack.enter_context(mock.patch.object(cuda, "memory_reserved", Pool().total_bytes))
        stack.enter_context(mock.patch.object(peers, "load_torch", torch_on_the_cpu))
        for module, name, value in small():
            stack.enter_context(mock.patch.object(module, name, value))
        yield cupy


if __name__ == "__main__":  # a part of the report, on the stand-in, in a process of its own; of conformance, a little
    few = {name: conformance.OPS[name] for name in ("conv2d", "add")}
    with gpu_of_nothing(), mock.patch.object(conformance, "OPS", few):
        sys.exit(gpu_main.main(*sys.argv[1:]))
