"""How kernels are launched, held against a library and a driver that only note what is asked of them."""

import ctypes
import struct
from enum import IntEnum
from threading import Thread
from types import ModuleType, SimpleNamespace
from unittest import mock

import numpy as np
import pytest

host = pytest.importorskip("tinyres_kernels.cuda.host", reason="NO NUMBA.CUDA", exc_type=ImportError)

from tinyres_kernels.cuda import elementwise, launching, normalise, toolkit  # noqa: E402

launched = pytest.mark.skipif(host.SIMULATED, reason="in the simulator nothing is launched")


class Result(IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_UNSUPPORTED_PTX_VERSION = 222


class There:
    """An array on a card, as CuPy's look from outside; its address is one that nobody reads."""

    def __init__(self, array, address):
        self.shape, self.strides, self.size, self.itemsize = array.shape, array.strides, array.size, array.itemsize
        self.dtype, self.ndim, self.flags = array.dtype, array.ndim, array.flags
        self.data = SimpleNamespace(ptr=address)


class Card:
    """CuPy and the driver in one: notes what is loaded and launched, with the parameters' eight bytes each."""

    def __init__(self, device=0):
        self.device, self.loaded, self.launches, self.readied = device, [], [], []
        self.refuses = self.fails = Result.CUDA_SUCCESS
        self.library = ModuleType("somewhere")
        self.library.cuda = SimpleNamespace(
            runtime=SimpleNamespace(getDevice=lambda: self.device, free=lambda at: self.readied.append(self.device)),
            Device=lambda: SimpleNamespace(compute_capability="90"),
            get_current_stream=lambda: SimpleNamespace(ptr=77),
        )

    def cuModuleLoadData(self, image):
        self.loaded.append((self.device, image))
        return self.refuses, "module"

    def cuModuleGetFunction(self, module, name):
        return Result.CUDA_SUCCESS, (self.device, name)

    def cuDriverGetVersion(self):
        return Result.CUDA_SUCCESS, 12040

    def cuLaunchKernel(self, function, *given):
        *sizes, stream, places, extra = given
        count = struct.calcsize(self.layout) // 8
        at = (ctypes.c_uint64 * count).from_address(places)
        written = b"".join(ctypes.string_at(address, 8) for address in at)
        self.launches.append((function, tuple(sizes), stream, written, extra))
        return (self.fails,)


@pytest.fixture
def card(tmp_path):
    made = Card()
    known, foreign = launching.layout, RuntimeError("Numba cannot operate on non-primary CUDA context")

    def layout(signature):
        made.layout = known(signature)
        return made.layout

    modules = {"cuda.bindings.driver": made}
    find = launching.import_module
    with (
        mock.patch.object(launching, "namespace", return_value=made.library),
        mock.patch.object(launching, "import_module", lambda name: modules.get(name) or find(name)),
        mock.patch.object(launching, "layout", layout),
        mock.patch.object(launching, "_loaded", {}),
        mock.patch.object(launching, "_threads", launching._Threads()),
        mock.patch.object(launching.config, "CACHE_DIR", str(tmp_path)),
        mock.patch("numba.cuda.dispatcher.get_current_device", side_effect=foreign),  # as beside torch
    ):
        yield made


def line(array, address):
    """What a kernel is told of an array."""
    return (0, 0, array.size, array.itemsize, address, *array.shape, *array.strides)


@launched
@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_a_launch_writes_arrays_tuples_and_numbers_in_their_order(card, real):
    @host.jit
    def mixed(a, b, sizes, factor, count):
        b[0, 0] = a[0] * factor + real(sizes[0] + count)

    a, b = np.empty(3, real), np.empty((4, 5), real)
    host.launch(mixed, (7, 8), (32, 4), There(a, 111), There(b, 222), (6, -1, 2), real(0.5), 9)
    integers = (*line(a, 111), *line(b, 222), 6, -1, 2)
    written = struct.pack(f"{len(integers)}q", *integers) + real(0.5).tobytes().ljust(8, b"\0") + struct.pack("q", 9)
    assert card.launches == [((0, b"mixed"), (7, 8, 1, 32, 4, 1, 0), 77, written, 0)]
    assert card.loaded[0][1].startswith(b"\x7fELF")  # machine code, whatever the PTX's age


@launched
def test_a_kernel_that_calls_a_function_is_compiled_beside_a_context_of_another_library(card):
    dispatcher = launching.import_module("numba.cuda.dispatcher")
    asks = dispatcher.get_current_device
    a = There(np.empty(4, "f"), 1)
    host.launch(elementwise.relu_kernel.__wrapped__(np.float32), 1, 8, a, a, np.float32(0.5))  # compiled anew
    assert card.loaded[0][1].startswith(b"\x7fELF")
    assert dispatcher.get_current_device is asks


@launched
def test_a_kernel_is_loaded_once_for_each_device_and_layout(card):
    a = np.empty((4, 6), "f")
    kernel = elementwise.add_kernel(np.float32)

    def launch(x):
        host.launch(kernel, 1, 8, *[There(x.reshape(-1) if x.flags.c_contiguous else x[:, 0], 1)] * 3)

    for device in (0, 1, 1, 0):
        card.device = device
        launch(a)
    assert [device for device, _ in card.loaded] == card.readied == [0, 1]
    assert [function[0] for function, *_ in card.launches] == [0, 1, 1, 0]
    card.device = 0
    launch(a[:, ::2])
    assert len(card.loaded) == 3  # for numbers that lie apart
    assert card.loaded[0][1] != card.loaded[2][1]
    assert struct.unpack("21q", card.launches[-1][3]) == line(a[:, 0], 1) * 3
    assert card.loaded[0][1] == card.loaded[1][1]


@launched
def test_a_thread_of_the_host_gets_a_context_of_its_own(card):
    a = There(np.empty(4, "f"), 1)
    work = [Thread(target=host.launch, args=(elementwise.add_kernel(np.float32), 1, 8, a, a, a)) for _ in range(2)]
    for each in work:
        each.start()
        each.join()
    assert card.readied == [0, 0]
    assert len(card.launches) == 2
    assert len(card.loaded) == 1


@launched
def test_machine_code_is_kept_on_disk_until_the_sources_change(card, tmp_path):
    a = There(np.empty(4, "f"), 1)

    def launch():
        launching._loaded.clear()
        with mock.patch.object(launching, "ptx", wraps=launching.ptx) as ptx:
            host.launch(elementwise.add_kernel(np.float32), 1, 8, a, a, a)
        return ptx.call_count

    assert [launch(), launch()] == [1, 0]
    assert [file.suffix for file in tmp_path.iterdir()] == [".cubin"]
    with mock.patch.object(launching, "_stamp", return_value=b"other sources"):
        assert [launch(), launch()] == [1, 0]
    (file,) = tmp_path.iterdir()  # the old one has been written over
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[:-1] + b"?", whole[:20], b""):
        file.write_bytes(damaged)
        with mock.patch.object(launching, "_stamp", return_value=b"other sources"):
            assert [launch(), launch()] == [1, 0]
    images = [image for _, image in card.loaded]
    assert images[0] == images[1]
    assert images[2] == images[3]
    with mock.patch.object(launching.config, "CACHE_DIR", "/proc/nowhere"):
        assert [launch(), launch()] == [1, 1]


@launched
def test_a_driver_that_is_too_old_is_told_with_what_to_install(card):
    a = There(np.empty(4, "f"), 1)
    card.refuses = Result.CUDA_ERROR_UNSUPPORTED_PTX_VERSION
    needed = r"add_kernel cannot be loaded \(CUDA_ERROR_UNSUPPORTED_PTX_VERSION\).* pip install 'numba-cuda\[cu12\]'"
    with (
        mock.patch.object(toolkit, "linked_by", return_value=(12, 9)),
        pytest.raises(RuntimeError, match=r"nvJitLink \(12\.9\) and the driver, which is of CUDA 12\.4"),
    ):
        host.launch(elementwise.add_kernel(np.float32), 1, 8, a, a, a)
    with pytest.raises(RuntimeError, match=needed + r" 'cuda-toolkit\[nvjitlink\]==12\.4\.\*'"):
        host.launch(elementwise.add_kernel(np.float32), 1, 8, a, a, a)
    card.refuses = Result.CUDA_ERROR_OUT_OF_MEMORY
    with pytest.raises(RuntimeError, match=r"^CUDA_ERROR_OUT_OF_MEMORY$"):
        host.launch(elementwise.add_kernel(np.float32), 1, 8, a, a, a)


@launched
def test_a_linker_that_is_older_than_the_compiler_is_told_too(card):
    a, newer = There(np.empty(4, "f"), 1), launching.ptx
    with (
        mock.patch.object(launching, "ptx", lambda *given: newer(*given).replace(".version ", ".version 9")),
        pytest.raises(RuntimeError, match=r"add_kernel cannot be loaded .*PTX.* do not fit together"),
    ):
        host.launch(elementwise.add_kernel(np.float32), 1, 8, a, a, a)


@launched
def test_a_compiler_that_is_newer_than_the_linker_is_told_with_both_releases(card):
    a = There(np.empty(4, "f"), 1)
    told = r"PTX is of NVVM's release \d+\.\d+, newer than nvJitLink's 12\.0\).* pip install 'numba-cuda\[cu12\]'"
    with mock.patch.object(toolkit, "linked_by", return_value=(12, 0)), pytest.raises(RuntimeError, match=told):
        host.launch(elementwise.add_kernel(np.float32), 1, 8, a, a, a)


@launched
def test_a_launch_that_fails_says_which(card):
    a = There(np.empty(4, "f"), 1)
    card.fails = Result.CUDA_ERROR_INVALID_VALUE
    with pytest.raises(RuntimeError, match=r"add_kernel could not be launched on a grid \(1, 1, 1\) .*INVALID_VALUE"):
        host.launch(elementwise.add_kernel(np.float32), 1, 8, a, a, a)


@launched
@pytest.mark.parametrize(("address", "width", "blocks"), [(4096, 4, 3), (4100, 1, 9)])
def test_four_numbers_at_once_where_all_lines_begin_at_sixteen_bytes(card, address, width, blocks):
    a, b = There(np.empty(2200, "f"), 4096), There(np.empty(2200, "f"), address)
    with mock.patch.object(elementwise, "flat", lambda array: array):
        elementwise.add(a, b, a)
    assert host.wide(a, b) == width
    assert card.launches[0][1] == (blocks, 1, 1, 256, 1, 1, 0)


@launched
@pytest.mark.parametrize("address", [4096, 4100])
@pytest.mark.parametrize("channels", [1, 3, 16, 20, 130, 260])
@pytest.mark.parametrize("pixels", [1, 7, 100_000, 40_000_000])
def test_threads_that_normalise_reach_every_channel_and_no_block_is_idle(channels, pixels, address):
    line = SimpleNamespace(size=pixels * channels, dtype=np.dtype("f"), data=SimpleNamespace(ptr=address))
    width = 4 if address % 16 == channels % 4 == 0 else 1
    made, (across, down), (threads, lines) = normalise.spread(normalise.normalise_kernel, [line], channels)
    assert made is normalise.normalise_kernel(np.float32, width)
    assert (across - 1) * threads * width < channels <= across * threads * width
    assert (down - 1) * lines < pixels  # the first pixel of the last block; what is beyond comes in later turns
    assert down <= 65535


@launched
def test_arrays_of_the_host_are_refused_with_what_to_do():
    a = np.ones(3)
    with pytest.raises(TypeError, match=r"need CuPy arrays, got NumPy's: move them with cupy\.asarray"):
        elementwise.add(a, a, np.empty(3))
    with pytest.raises(TypeError, match=r"got NumPy's as arguments \[1\] of 3: move them"):
        host.launch(elementwise.add_kernel(np.float64), 1, 8, There(a, 1), a, np.float64(0.5))
    with pytest.raises(ValueError, match="float32 and float64, got int64"):
        elementwise.add(np.ones(3, int), np.ones(3, int), np.empty(3, int))
