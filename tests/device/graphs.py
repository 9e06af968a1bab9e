"""CUDA graphs for the stand-in: what a stream captures is not done, but written down; a launch does it.

As on a GPU, while a stream captures nothing may be read on the host, and CuPy calls no cuBLAS.
"""

from contextlib import contextmanager
from functools import partial
from itertools import count
from types import SimpleNamespace
from unittest import mock

from tests.device import double


class Graph:
    def __init__(self, todo, memory):
        self.todo, self.memory, self.launched = todo, memory, 0

    def launch(self, stream=None):
        self.launched += 1
        for do in self.todo:
            do()


class Stream:
    made = count()

    def __init__(self, null=False, non_blocking=False):
        self.null, self.ptr, self.recording = null, next(self.made), None

    def begin_capture(self, mode):
        assert current[-1] is self
        assert not self.null, "cudaErrorStreamCaptureUnsupported: the default stream cannot be captured"
        double.recorded = self.recording = []

    def end_capture(self):
        graphs.append(Graph(self.recording, double.held))
        double.recorded, self.recording, double.held = None, None, []
        return graphs[-1]

    def is_capturing(self):
        return self.recording is not None

    def synchronize(self):
        assert not self.is_capturing()

    def record(self):
        assert not self.is_capturing()

    def wait_event(self, event):
        assert not self.is_capturing()

    def __enter__(self):
        current.append(self)
        double.recorded = self.recording
        return self

    def __exit__(self, *error):
        current.pop()
        double.recorded = current[-1].recording


current, graphs = [Stream(null=True)], []


def no_cublas(*arrays, **how):
    if double.recorded is not None:
        raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
    return no_cublas.usual(*arrays, **how)


@contextmanager
def capturing(cupy, launches):
    """Inside, the stand-in's streams capture. launches: the class and the name of what launches a kernel of ours."""
    usual = getattr(*launches)

    def again(sizes, kernel, *arguments):
        kernel.grid_dim, kernel.block_dim = sizes  # which the simulator keeps with the kernel
        usual(kernel, *arguments)

    def launch(kernel, *arguments):
        if double.recorded is None:
            usual(kernel, *arguments)
        else:
            double.recorded.append(partial(again, (kernel.grid_dim, kernel.block_dim), kernel, *arguments))

    @contextmanager
    def using_allocator(allocator):
        yield

    cupy.cuda.Stream, cupy.cuda.get_current_stream = Stream, lambda: current[-1]
    cupy.cuda.MemoryPool = lambda: SimpleNamespace(malloc=None)
    cupy.cuda.using_allocator = using_allocator
    cupy.cuda.runtime = SimpleNamespace(streamCaptureModeRelaxed=2)
    cupy.cuda.set_pinned_memory_allocator = lambda allocator: setattr(double, "pinned", allocator)
    cupy.get_default_pinned_memory_pool = lambda: SimpleNamespace(malloc=lambda size: None)
    no_cublas.usual, cupy.matmul = cupy.matmul, no_cublas
    graphs.clear()
    with mock.patch.object(*launches, launch):
        try:
            yield graphs
        finally:
            double.recorded, double.held = None, []
            double.pinned = lambda size: None
