"""Kernels that were written for other arrays: their layout, their library, or results that they return."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from tinyres_kernels.conformance.declare import Op
from tinyres_kernels.conformance.fences import Overrun, between_guards, overruns
from tinyres_kernels.conformance.gate import gated
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.contract import OPERATIONS
from tinyres_kernels.dispatch import each
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Running

Kernel = Callable[..., Any]
FIRST = {"nhwc": (0, 3, 1, 2), "hwio": (3, 2, 0, 1)}  # to NCHW, to OIHW
LAYOUTS = ("nhwc", "nchw")


class Adapt(NamedTuple):
    """What a kernel takes in place of C-contiguous NumPy arrays with the channels last, written into `out`.

    layout: "nchw" hands over images as (N, C, H, W) and weights as (O, C/groups, KH, KW)
    arrays: a library with `from_dlpack`, and a device after a colon: "torch", "torch:cuda", "jax"
    returned: results are what the kernel returns. With `arrays` they are wherever it returns something.
    """

    layout: str = "nhwc"
    arrays: str = ""
    returned: bool = False


AS_SPECIFIED = Adapt()


def adapted(kernel: Kernel, op: str, how: Adapt, own: Adapt | None = None) -> Kernel:
    """The kernel as one that takes what `check` hands over, behind the gate through which every call goes.

    own: what its author says that it takes, where `how` is merely tried: what it is handed must fit in both readings

    Raises ValueError, saying what to do, for a layout that the operation does not have, and for a library that is not
    installed or has no `from_dlpack`.
    """
    made = kernel
    if how.arrays:
        made = _of_library(made, op, how.arrays)
    elif how.returned:
        made = _returning(made, op)
    layouts = dict.fromkeys((how.layout, (own or how).layout))
    made = gated(made, op, [_turned_back(op) if layout == "nchw" else {} for layout in layouts])
    if how.layout == "nchw":
        made = _channels_first(made, op)
    return made


def turns(op: Op) -> dict[str, tuple[int, ...]]:
    """For each array that has another order of axes in NCHW: which of the axes here comes first there, and so on."""
    shapes = op.family.shapes(op.family.plain)[0]
    made: dict[str, tuple[int, ...]] = {}
    for arg in op.arguments(op.family.plain):
        axes = tuple(shapes[arg.shape]) if arg else ()
        if arg and {"kh", "w", "ow"} & set(axes):  # attention has four axes, too, and no images
            made[arg.name] = FIRST["hwio" if axes[0] == "kh" else "nhwc"]
    return made


def _turned_back(op: str) -> dict[str, tuple[int, ...]]:
    return {name: tuple(int(i) for i in np.argsort(order)) for name, order in turns(OPS[op]).items()}


def _channels_first(kernel: Kernel, op: str) -> Kernel:
    turned = turns(OPS[op])
    if not turned:
        raise ValueError(f"--layout nchw is for convolutions and pools: {op} has no images among its arguments")

    @wraps(kernel)
    def call(*given: Any) -> None:
        arrays = dict(zip(OPERATIONS[op].arrays, given, strict=False))
        with _copies() as copy:
            kernel(
                *(copy(name, a, turned[name]) if name in turned else a for name, a in arrays.items()),
                *_settings(op, given),
            )

    return call


def _settings(op: str, given: tuple[Any, ...]) -> tuple[Any, ...]:
    return given[len(OPERATIONS[op].arrays) :]


@contextmanager
def _copies() -> Iterator[Callable[[str, Array, tuple[int, ...]], Array]]:
    """Copies with other axes, between guards as the arrays themselves are. What they hold in the end is brought back,
    however the block ends; Overrun says that a guard was written to."""
    made: list[tuple[Array, Array, tuple[int, ...]]] = []
    buffers: dict[str, Array] = {}

    def copy(name: str, a: Array, order: tuple[int, ...]) -> Array:
        shape = tuple(a.shape[i] for i in order)
        buffers[name], turned = between_guards(shape, a.dtype)
        turned[...] = a.transpose(order)
        turned.flags.writeable = a.flags.writeable
        made.append((a, turned, order))
        return turned

    try:
        yield copy
    finally:
        for a, turned, order in made:
            if a.flags.writeable:
                a[...] = turned.transpose(np.argsort(order))
    if beyond := overruns(buffers):
        raise Overrun(beyond)


def _returning(kernel: Kernel, op: str) -> Kernel:
    @wraps(kernel)
    def call(*given: Any) -> None:
        _take(op, given, kernel(*given), np.asarray)

    return call


def _take(op: str, given: tuple[Any, ...], came: Any, back: Callable[[Any], Array]) -> None:
    """Copy what a kernel returned to where the results belong: one array, or a tuple of them in the order of `writes`.

    Raises ValueError for another shape or number of arrays, and for a dtype of fewer digits.
    """
    written: dict[str, Array] = {}
    for name, a in zip(OPERATIONS[op].arrays, given, strict=False):
        if name in OPERATIONS[op].writes:
            parts = zip(a._fields[3:], a[3:], strict=True) if isinstance(a, Running) else [(name, a)]
            written |= {part: one for part, one in parts if one is not None}
    results = list(came) if isinstance(came, tuple | list) else [came]
    if len(results) != len(written):  # in evaluation batch norm's statistics are read, and need not be returned
        now = OPERATIONS[op].written(given[-1])
        written = {name: a for name, a in written.items() if name in now}
    names, places = list(written), list(written.values())
    if len(results) != len(places):
        raise ValueError(
            f"the kernel returned {len(results)} array{'s' * (len(results) != 1)}, needed {len(places)}, in this "
            f"order: {', '.join(names)}. Return them as a tuple, or fill what is given and return None"
        )
    for name, place, came_back in zip(names, places, results, strict=True):
        result = _brought_back(name, place, came_back, back)
        if place.shape != result.shape:
            raise ValueError(f"the kernel returned an array of shape {result.shape}, needed is {place.shape}")
        if not np.can_cast(place.dtype, result.dtype):  # digits are lost that no conversion brings back
            raise ValueError(
                f"the kernel returned {result.dtype} for {name}, needed is {place.dtype}: compute in the dtype of what "
                "is given"
            )
        place[...] = result


def _brought_back(name: str, place: Array, came: Any, back: Callable[[Any], Array]) -> Array:
    """The result as a NumPy array. Raises ValueError, naming its dtype, where NumPy has none such."""
    try:
        return back(came)
    except (RuntimeError, BufferError, TypeError) as error:
        dtype = str(getattr(came, "dtype", type(came).__name__)).rpartition(".")[2]
        raise ValueError(f"the result for {name} is {dtype}, needed {place.dtype}: convert it at the end") from error


def _of_library(kernel: Kernel, op: str, library: str) -> Kernel:
    there, back = exchange(library)

    @wraps(kernel)
    def call(*given: Any) -> None:
        copies: list[tuple[Array, Any]] = []

        def put(a: Array) -> Any:
            copies.append((a, there(a)))
            return copies[-1][1]

        came = kernel(*each(given, put))
        for a, copy in copies:
            now = back(copy)
            if a.flags.writeable:
                a[...] = now
            elif a.tobytes() != np.ascontiguousarray(now).tobytes():
                raise ValueError("wrote to an input that is read-only")
        if came is not None:
            _take(op, given, came, back)

    return call


def exchange(library: str) -> tuple[Callable[[Array], Any], Callable[[Any], Array]]:
    """How a NumPy array becomes one of `library` ("torch", "torch:cuda", "jax", ...), and how that one comes back."""
    name, _, device = library.partition(":")
    if name == "jax":
        os.environ.setdefault("JAX_ENABLE_X64", "1")  # without it JAX makes float32 of float64
    try:
        module = import_module(name)
        homes = [module, *(import_module(f"{name}.{part}") for part in ("numpy",) if name == "jax")]
    except Exception as error:  # a library that is installed and broken raises what it likes
        raise ValueError(
            f"--arrays {library} needs the library {name}, which could not be imported ({type(error).__name__}: "
            f"{error}): pip install {name}"
        ) from error
    from_dlpack = next((home.from_dlpack for home in homes if hasattr(home, "from_dlpack")), None)
    if from_dlpack is None:
        raise ValueError(f"--arrays {library}: the module {name} has no function from_dlpack, through which arrays go")

    def there(a: Array) -> Any:
        one = from_dlpack(np.array(a))  # its own memory, and writeable: DLPack hands over nothing that is read-only
        return one.to(device) if device else one

    def back(one: Any) -> Array:
        one = one.detach() if hasattr(one, "detach") else one
        one = one.cpu() if hasattr(one, "cpu") else one
        if not hasattr(one, "__dlpack__"):
            raise ValueError(f"the kernel returned {type(one).__name__}, needed is an array of {name}")
        return np.from_dlpack(one)

    try:
        there(np.zeros(1))
    except Exception as error:
        raise ValueError(f"--arrays {library}: {name} does not take an array there: {error}") from error
    return there, back
