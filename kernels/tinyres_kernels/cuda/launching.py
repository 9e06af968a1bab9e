"""A kernel on a card: compiled once for what it is given, loaded once a device, launched in microseconds.

    Numba        makes PTX of Python
    nvJitLink    makes machine code of PTX, which older drivers of the same CUDA generation take, too; kept on disk
    the driver   loads it on a device, and launches it there on the stream that the arrays' library works on

Numba could do all of it, but it takes its arguments apart in Python, array by array, at every launch, and a training
step has some hundreds. Here a launch writes its numbers into one piece of memory, eight bytes each, where the driver
finds them: an array is seven numbers or more, as Numba's `ArrayModel` lists them, and a tuple is its elements.
"""

import ctypes
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path
from struct import Struct
from threading import Lock, local
from types import FunctionType, ModuleType
from typing import Any

import numba
import numpy as np

from tinyres_kernels.cuda import toolkit
from tinyres_kernels.namespace import namespace

types: Any = numba.types  # of these, checkers know too little
config: Any = numba.config
SLOT = 8  # bytes of a parameter
FORMATS = {"int64": "q", "float32": "f4x", "float64": "d"}  # of the numbers that kernels take
REFUSED = ("PTX", "IMAGE", "BINARY", "SOURCE")  # what errors speak of where compiler, linker and driver do not fit
NUMBER = (int, np.generic)
Three = tuple[int, int, int]


class Loaded:
    """A kernel on a device, and the memory that its parameters are copied from."""

    def __init__(self, name: str, function: Any, layout: str, start: Any) -> None:
        form = Struct(layout)
        self._name, self._function, self._start, self._pack, self._lock = name, function, start, form.pack_into, Lock()
        self._room = ctypes.create_string_buffer(form.size)
        begin, count = ctypes.addressof(self._room), form.size // SLOT
        self._places = (ctypes.c_void_p * count)(*(begin + SLOT * i for i in range(count)))
        self._at = ctypes.addressof(self._places)

    def __call__(self, grid: Three, block: Three, stream: int, numbers: Sequence[Any]) -> None:
        with self._lock:  # or else another thread might write before the driver has copied
            self._pack(self._room, 0, *numbers)
            (error,) = self._start(self._function, *grid, *block, 0, stream, self._at, 0)
        if error:
            raise RuntimeError(f"{self._name} could not be launched on a grid {grid} of blocks {block}: {error.name}")


class _Threads(local):
    """The devices that a thread of the host has a context for."""

    def __init__(self) -> None:
        self.ready = set[int]()


_threads = _Threads()
_loaded: dict[tuple[Any, ...], Loaded] = {}


def launch(compiled: Any, grid: int | tuple[int, ...], block: int | tuple[int, ...], arguments: Sequence[Any]) -> None:
    """Run a kernel on the current device and stream of the arrays' library. Nothing waits for its end.

    Raises TypeError for NumPy's arrays; RuntimeError where compiler, linker and driver do not fit together.
    """
    key, numbers, array = [compiled], list[Any](), None
    for a in arguments:
        if isinstance(a, tuple):
            numbers += a
        elif isinstance(a, NUMBER):
            numbers.append(a)
        elif isinstance(a, np.ndarray):
            raise _on_host(arguments)
        else:
            array = a
            key += a.dtype.char, a.flags.c_contiguous
            numbers += 0, 0, a.size, a.itemsize, a.data.ptr, *a.shape, *a.strides
    if array is None:
        raise _on_host(arguments)
    library = namespace(array)
    device = library.cuda.runtime.getDevice()
    if device not in _threads.ready:
        library.cuda.runtime.free(0)  # frees nothing, and makes the device's context this thread's
        _threads.ready.add(device)
    found = (device, *key)
    loaded = _loaded.get(found)
    if loaded is None:
        loaded = _loaded[found] = _load(compiled, arguments, library)
    loaded(_three(grid), _three(block), library.cuda.get_current_stream().ptr, numbers)


def _three(numbers: int | tuple[int, ...]) -> Three:
    x, y, z = (numbers, 1, 1) if isinstance(numbers, int) else (*numbers, 1, 1)[:3]
    return x, y, z


def _on_host(arguments: Sequence[Any]) -> TypeError:
    places = [i for i, a in enumerate(arguments) if isinstance(a, np.ndarray)]
    mixed = any(not isinstance(a, (tuple, np.ndarray, *NUMBER)) for a in arguments)
    which = f" as arguments {places} of {len(arguments)}" if mixed else ""
    return TypeError(
        f"the CUDA kernels need CuPy arrays, got NumPy's{which}: move them with cupy.asarray, or set "
        "NUMBA_ENABLE_CUDASIM=1 before the start to simulate a GPU"
    )


def kind(argument: Any) -> Any:
    """Numba's type of an argument."""
    if isinstance(argument, (tuple, *NUMBER)):
        return numba.typeof(argument)
    layout = "C" if argument.flags.c_contiguous else "A"
    return types.Array(numba.from_dtype(argument.dtype), argument.ndim, layout)


def layout(signature: Any) -> str:
    """How `struct` writes what a kernel takes, `SLOT` bytes for each parameter."""
    return "".join(
        "q" * (5 + 2 * each.ndim)
        if isinstance(each, types.Array)
        else "".join(FORMATS[str(number)] for number in getattr(each, "types", [each]))
        for each in signature.args
    )


def _load(compiled: Any, arguments: Sequence[Any], library: ModuleType) -> Loaded:
    driver = import_module("cuda.bindings.driver")
    signature = types.void(*map(kind, arguments))
    target = divmod(int(library.cuda.Device().compute_capability), 10)
    name = compiled.py_func.__name__
    with _explained(name, driver):
        code = machine_code(compiled, signature, target)
        module = _got(driver.cuModuleLoadData(code))
        function = _got(driver.cuModuleGetFunction(module, name.encode()))
    return Loaded(name, function, layout(signature), driver.cuLaunchKernel)


def _got(answer: tuple[Any, Any]) -> Any:
    """The second part of what the driver says, the first of which is an error or none."""
    if answer[0]:
        raise RuntimeError(answer[0].name)
    return answer[1]


@contextmanager
def _explained(name: str, driver: ModuleType) -> Iterator[None]:
    try:
        yield
    except Exception as failed:
        if not any(word in str(failed) for word in REFUSED):
            raise
        release = _got(driver.cuDriverGetVersion())
        major, minor, links = release // 1000, release % 1000 // 10, toolkit.linked_by()
        linker = "none" if links == toolkit.MISSING else "{}.{}".format(*links)
        raise RuntimeError(
            f"{name} cannot be loaded ({str(failed).splitlines()[0]}): Numba's compiler, nvJitLink ({linker}) and the "
            f"driver, which is of CUDA {major}.{minor}, do not fit together; take all of one release: "
            f"pip install 'numba-cuda[cu{major}]' 'cuda-toolkit[nvjitlink]=={major}.{minor}.*'"
        ) from failed


def ptx(compiled: Any, signature: Any, target: tuple[int, int]) -> str:
    """The kernel for a compute capability, in one piece; its entry has the function's plain name."""
    cuda = import_module("numba.cuda")
    bounds = compiled.targetoptions.get("launch_bounds")
    toolkit.find_nvvm()
    with toolkit.compiling_for(target):
        text, _ = cuda.compile_ptx(compiled.py_func, signature, cc=target, launch_bounds=bounds)
    entry = re.findall(r"\.entry\s+([\w$]+)", text)[0]
    return str(text.replace(entry, compiled.py_func.__name__))


def machine_code(compiled: Any, signature: Any, target: tuple[int, int]) -> bytes:
    """The kernel for a compute capability as a cubin: from disk where it was made before, of the same sources.

    It is kept in Numba's `NUMBA_CACHE_DIR`, or beside the sources, or nowhere where neither can be written to.
    """
    file, stamp = place(compiled, signature, target), _stamp()
    with suppress(OSError):
        kept = file.read_bytes()
        code = kept[len(stamp) + hashlib.sha256().digest_size :]
        if kept == stamp + hashlib.sha256(code).digest() + code:  # else it is of other sources, or damaged
            return code
    made = _linked(ptx(compiled, signature, target), target)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as new:
            new.write(stamp + hashlib.sha256(made).digest() + made)
        os.replace(new.name, file)  # in one step: other processes see all of it, or nothing
    return made


def place(compiled: Any, signature: Any, target: tuple[int, int]) -> Path:
    """Where a kernel's machine code is kept."""
    what = described(compiled.py_func), str(signature), target, compiled.targetoptions.get("launch_bounds")
    name = f"{compiled.py_func.__name__}.{hashlib.sha256(repr(what).encode()).hexdigest()[:16]}.cubin"
    return Path(config.CACHE_DIR or Path(__file__).parent / "__pycache__") / name


def _linked(text: str, target: tuple[int, int]) -> bytes:
    wrote, links = toolkit.compiled_by(text), toolkit.linked_by()
    if links != toolkit.MISSING and wrote > links:  # or else the linker says only that it cannot
        raise RuntimeError("the PTX is of NVVM's release {}.{}, newer than nvJitLink's {}.{}".format(*wrote, *links))
    core = import_module("cuda.core")
    options = core.LinkerOptions(arch="sm_{}{}".format(*target))
    return bytes(core.Linker(core.ObjectCode.from_ptx(text.encode()), options=options).link("cubin").code)


def described(value: Any) -> Any:
    """A function by its name and by what it holds from the functions around it, so that no two kernels are alike."""
    if not isinstance(value, FunctionType):
        return repr(value)
    return value.__module__, value.__qualname__, [described(cell.cell_contents) for cell in value.__closure__ or ()]


@cache
def _stamp() -> bytes:
    """What all kernels depend on: the sources of this folder, and the packages that compile them."""
    own = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        own.update(file.read_bytes())
    for name, version in sorted((found.metadata["Name"] or "", found.version) for found in distributions()):
        if name.startswith(("numba", "llvmlite", "cuda-", "nvidia-")):
            own.update(f"{name} {version}\n".encode())
    return own.digest()
