"""Guard mode: every array lies against a page of memory without access rights.

    with guarding("end"):                                       # each compiled kernel of `cpu`, whatever it is handed
        cpu.conv2d(x, w, out, **settings)
    guarded(my_conv2d, x, w, out, side="start", **settings)     # any kernel

An element read or written beyond an array goes unnoticed as long as something else lies there. Here it kills the
process, and scratch memory holds NaN. So this is for a child process: `conformance.guarded` runs one.
"""

import ctypes
import mmap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.lib.array_utils import byte_bounds

from tinyres_kernels.namespace import Array

Side = Literal["end", "start"]
SIDES: tuple[Side, ...] = get_args(Side)
NAN = 0xFF  # a float whose bytes are all of these is NaN
# Bytes of NaN, at least, on the other side of an array: what overruns it there lives on until the other pass.
SLACK = 64 * 1024


class Mode(NamedTuple):
    """Which side of an array touches the page; who is told the name of each compiled kernel before it runs."""

    side: Side
    tell: Callable[[str], None] = lambda name: None


_mode: ContextVar[Mode | None] = ContextVar("guard mode", default=None)


def possible() -> bool:
    """Whether this system can protect memory."""
    return hasattr(mmap, "MAP_PRIVATE")


def mode() -> Mode | None:
    """The mode in force; None: arrays stay where they are."""
    return _mode.get()


@contextmanager
def guarding(side: Side, tell: Callable[[str], None] | None = None) -> Iterator[None]:
    """Inside the block every compiled CPU kernel runs on guarded copies of its arrays.

    Raises OSError where the system cannot protect memory.
    """
    _protect()
    token = _mode.set(Mode(side, tell) if tell else Mode(side))
    try:
        yield
    finally:
        _mode.reset(token)


def guarded(call: Callable[..., Any], *args: Any, side: Side, **keywords: Any) -> Any:
    """Run `call` on copies that end ("end") or start ("start") at a page without access rights.

    The copies have the shapes, strides and overlaps of the arrays; between the elements of a strided one lies NaN.
    What the call has changed is copied back, even if it raises. A copy that it returns comes back as the original.
    """
    originals = {id(a): a for a in (*args, *keywords.values()) if isinstance(a, np.ndarray) and not a.dtype.hasobject}
    copies = {id(a): copy for group in _overlapping(originals.values()) for a, copy in _copies(group, side)}
    try:
        result = call(
            *(copies.get(id(a), a) for a in args), **{name: copies.get(id(a), a) for name, a in keywords.items()}
        )
    finally:
        for key, copy in copies.items():
            original = originals[key]
            if original.flags.writeable and original.tobytes() != copy.tobytes():
                original[...] = copy
    return next((originals[key] for key, copy in copies.items() if copy is result), result)


def poison(a: Array) -> Array:
    """The array, which is fresh memory to write into; in guard mode filled with NaN, so that it shows if it is read."""
    if mode():
        a.view(np.uint8).fill(NAN)
    return a


def _overlapping(arrays: Iterable[Array]) -> list[list[Array]]:
    """The arrays in groups that share memory: a result may lie over an argument, and has to in the copies, too."""
    groups: list[list[Array]] = []
    end = 0
    for a in sorted(arrays, key=lambda a: byte_bounds(a)[0]):
        if not a.size:
            groups.insert(0, [a])
            continue
        low, high = byte_bounds(a)
        if low < end:
            groups[-1].append(a)
        else:
            groups.append([a])
        end = max(end, high)
    return groups


def _copies(group: list[Array], side: Side) -> Iterator[tuple[Array, Array]]:
    low = min(byte_bounds(a)[0] for a in group)
    high = max(byte_bounds(a)[1] for a in group) if group[0].size else low
    memory, first = _fenced(high - low, side)
    for a in group:
        copy: Array = np.ndarray(a.shape, a.dtype, memory, first + (_address(a) - low if a.size else 0), a.strides)
        copy[...] = a
        copy.flags.writeable = a.flags.writeable
        yield a, copy


def _fenced(size: int, side: Side) -> tuple[Array, int]:
    """Memory given back with its last view: between two pages that must not be touched, NaN; and the place in it where
    so many bytes begin."""
    protect, page = _protect(), mmap.PAGESIZE
    room = -(-(size + SLACK) // page) * page
    whole = np.frombuffer(mmap.mmap(-1, room + 2 * page, flags=mmap.MAP_PRIVATE), np.uint8)
    for fence in (_address(whole), _address(whole) + page + room):
        if protect(fence, page, 0):
            raise OSError(ctypes.get_errno(), f"guard mode: mprotect refused a page of {page} bytes")
    whole[page : page + room] = NAN
    return whole, page if side == "start" else page + room - size


def _address(a: Array) -> int:
    address: int = a.__array_interface__["data"][0]
    return address


def _protect() -> Callable[[int, int, int], int]:
    """The system's `mprotect`."""
    if not possible():
        raise OSError("guard mode needs mmap and mprotect, which this system does not have: run it on Linux or macOS")
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    found: Callable[[int, int, int], int] = protect
    return found
