"""The one place that imports Numba's CUDA; arrays as kernels take them, and launching.

With `NUMBA_ENABLE_CUDASIM=1`, set before the import, the same kernels run on NumPy arrays, without a GPU: a thread of
Python for each of CUDA's. Blocks are then made small, since each thread costs a third of a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from tinyres_kernels.namespace import Array

try:
    import numba
    from numba import cuda as _cuda

    from tinyres_kernels.cuda import launching
except ImportError as missing:
    raise ModuleNotFoundError(
        "tinyres_kernels.cuda needs numba-cuda, which is missing: pip install 'tinyres[cuda12]' or 'tinyres[cuda13]'. "
        "The kernel sets cpu and im2col run without it",
        name="numba.cuda",
    ) from missing

cuda: Any = _cuda  # inside of a kernel, Numba knows its types
SIMULATED = bool(getattr(numba.config, "ENABLE_CUDASIM", False))
THREADS = 8 if SIMULATED else 256  # in a block, where no tile says otherwise: a power of two
MADE: dict[str, Made] = {}  # every kernel, by name


class Made(NamedTuple):
    """How a kernel is made for a type of numbers, and what its arguments are, a letter each.

    r, R, q: an array of that type with 1, 2 or 4 axes; s: one number of it; i: int32 with 4 axes; l, u: int64, uint32
    with one; n: an integer; a number: a tuple of as many of them.
    """

    make: Callable[..., Any]
    arguments: Sequence[str | int]


def kernel(arguments: Sequence[str | int]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For a function that, given float32 or float64, returns a kernel: remembered, and made once a type. Some can also
    be given a width, how many numbers a thread takes at once: 1 or 4.

    The type has to be there when a kernel is written, since constants have one: beside a plain 1 or 0.5 Numba would
    compute in float64.
    """

    def declare(make: Callable[..., Any]) -> Callable[..., Any]:
        MADE[make.__name__] = Made(make, arguments)
        return cache(make)

    return declare


def jit(function: Callable[..., Any]) -> Any:
    return cuda.jit(function) if SIMULATED else cuda.jit(lto=False)(function)


def jit_for(threads: int, resident: int) -> Callable[[Callable[..., Any]], Any]:
    """`jit` for blocks of so many threads, with so few registers that so many blocks fit on a multiprocessor."""
    if SIMULATED:
        return jit
    made: Callable[[Callable[..., Any]], Any] = cuda.jit(lto=False, launch_bounds=(threads, resident))
    return made


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that kernels call; Python can call it, too."""
    if SIMULATED:
        return function
    made: Callable[..., Any] = part_of_numba("extending").register_jitable(function)
    return made


def part_of_numba(name: str) -> Any:
    """A module of Numba's CUDA, whose types no checker knows."""
    return import_module(f"numba.cuda.{name}")


@helper
def pixel_of(i, shape):
    """Where number i of an array (N, H, W, C) stands: n, h, w, c."""
    _, H, W, C = shape
    return i // (C * W * H), i // (C * W) % H, i // C % W, i % C


def blocks(size: int, threads: int = 0) -> int:
    """How many blocks hold as many threads."""
    return -(-size // (threads or THREADS))


def launch(compiled: Any, grid: int | tuple[int, ...], block: int | tuple[int, ...], *arguments: Any) -> None:
    """Run a kernel on the stream that the arrays' library works on at present. Nothing waits for its end.

    Raises TypeError for a NumPy array, unless simulated; RuntimeError where compiler and driver do not fit together.
    """
    if SIMULATED:  # which copies arrays back after the launch, unless told that they are only read
        given = [cuda.In(a) if isinstance(a, np.ndarray) and not a.flags.writeable else a for a in arguments]
        compiled[grid, block](*given)
        return
    launching.launch(compiled, grid, block, arguments)


def real(array: Array) -> Any:
    """The type that a kernel for this array is made for.

    Raises ValueError, saying what is needed, where there are no kernels for it.
    """
    if array.dtype not in (np.float32, np.float64):
        raise ValueError(f"the CUDA kernels are made for float32 and float64, got {array.dtype}: convert it first")
    return array.dtype.type


def flat(array: Array) -> Array:
    """The array as one line, copied where it does not lie in one: kernels read four numbers next to each other."""
    line = array.reshape(-1)  # of some strided arrays, a line that is strided itself
    return line if line.flags.c_contiguous else line.copy()


def wide(*lines: Array) -> int:
    """How many numbers a thread takes at once: 4 where all lines begin at a multiple of 16 bytes, or else 1."""
    return 4 if all(map(aligned, lines)) else 1


def aligned(array: Array) -> bool:
    """Whether it begins at a multiple of 16 bytes, from which four numbers can be loaded at once."""
    if SIMULATED and isinstance(array, np.ndarray):
        return array.ctypes.data % 16 == 0
    return getattr(array.data, "ptr", 1) % 16 == 0  # without an address it is the host's, and `launch` refuses it


def lines(written: Iterable[Array | None], read: Iterable[Array | None]) -> Iterator[Array]:
    """All arrays as lines, in the order in which the first one lies in memory; what is read is copied where it lies
    otherwise. None becomes a line that the kernel does not touch: the last of those that it reads."""
    written, read = list(written), list(read)
    out: Array = written[0]
    order = sorted(range(out.ndim), key=lambda axis: -out.strides[axis])
    if out.flags.c_contiguous:
        order = list(range(out.ndim))
    stand_in = next(a for a in reversed(read) if a is not None)
    for a in (*written, *read):
        line = (stand_in if a is None else a).transpose(order)
        if any(a is w for w in written) and a is not None and not line.flags.c_contiguous:
            raise ValueError(f"what is written must be laid out as out is, without gaps: got strides {a.strides}")
        yield flat(line)


def lanes(columns: int) -> tuple[int, int]:
    """A block for a matrix: as many threads side by side as there are columns, at most a warp; and the rest below.

    Neighbouring threads then read neighbouring numbers, in one transaction. Both are powers of two.
    """
    across = min(1 << max(0, columns - 1).bit_length(), 4 if SIMULATED else 32)
    return across, THREADS // across
