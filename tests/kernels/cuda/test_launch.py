"""How kernels are launched, held against a library and a driver that only note what is asked of them."""

from types import ModuleType, SimpleNamespace
from unittest import mock

import numpy as np
import pytest

host = pytest.importorskip("tinyres_kernels.cuda.host", reason="NO NUMBA.CUDA", exc_type=ImportError)

from tinyres_kernels.cuda import elementwise, sgd  # noqa: E402


def library(address):
    made = ModuleType("somewhere")
    made.cuda = SimpleNamespace(get_current_stream=lambda: SimpleNamespace(ptr=address))
    return made


class Noted:
    def __init__(self):
        self.calls = []

    def __getitem__(self, configuration):
        return lambda *arguments: self.calls.append((configuration, arguments))


@pytest.mark.skipif(host.SIMULATED, reason="in the simulator nothing is launched")
@pytest.mark.parametrize(("address", "stream"), [(77, ("external", 77)), (0, "default")])
def test_a_kernel_runs_on_the_librarys_stream_and_waits_for_nobody(address, stream):
    a = SimpleNamespace(shape=(1000,), size=1000, dtype=np.dtype("f"), __cuda_array_interface__={})
    noted, synced = Noted(), []
    with (
        mock.patch.object(host, "namespace", return_value=library(address)),
        mock.patch.object(host.cuda, "external_stream", lambda p: ("external", p)),
        mock.patch.object(host.cuda, "default_stream", return_value="default"),
        mock.patch.object(host.cuda, "as_cuda_array", lambda array, sync: synced.append(sync) or "device"),
    ):
        host.launch(noted, host.blocks(a.size), host.THREADS, a, a, np.float32(0.5), 3)
    assert noted.calls == [((4, 256, stream), ("device", "device", np.float32(0.5), 3))]
    assert synced == [False, False]


@pytest.mark.skipif(host.SIMULATED, reason="the simulator takes NumPy's arrays")
def test_arrays_of_the_host_are_refused_with_what_to_do():
    a = np.ones(3)
    with pytest.raises(TypeError, match=r"need CuPy arrays, got NumPy's: move them with cupy\.asarray"):
        elementwise.add(a, a, np.empty(3))
    there = SimpleNamespace(shape=(3,), size=3, dtype=np.dtype("d"), __cuda_array_interface__={})
    with pytest.raises(TypeError, match=r"got NumPy's as arguments \[1\] of 3: move them"):
        host.launch(Noted(), 1, 8, there, a, np.float64(0.5))
    with pytest.raises(ValueError, match="float32 and float64, got int64"):
        elementwise.add(np.ones(3, int), np.ones(3, int), np.empty(3, int))


def test_lines_lie_in_the_order_of_the_first():
    out, p = np.zeros((2, 3)).T, np.arange(6.0).reshape(3, 2)
    line, stand_in, read = host.lines((out, None), (p,))
    assert np.shares_memory(line, out)
    np.testing.assert_array_equal(read, p.T.reshape(-1))
    np.testing.assert_array_equal(stand_in, read)
    with pytest.raises(ValueError, match="must be laid out as out is"):
        list(host.lines((out, np.zeros((3, 2))), (p,)))


def test_an_update_of_transposed_parameters_is_refused_where_it_could_not_be_written():
    p = np.zeros((4, 4))[::2]
    with pytest.raises(ValueError, match="without gaps"):
        sgd(p, p, None, p, None, lr=0.1, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False)
