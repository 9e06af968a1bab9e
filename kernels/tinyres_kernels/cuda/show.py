"""What does one thread read, and what does it write? And does a block's order matter? The kernel, run by Python."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from threading import Barrier, Thread
from types import FunctionType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from tinyres_kernels.cuda.host import cuda
from tinyres_kernels.cuda.table import line_at
from tinyres_kernels.namespace import Array

PATIENCE = 60.0  # seconds at a barrier, after which a thread is held to have missed it


class Access(NamedTuple):
    """One element of an argument."""

    argument: str
    place: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.argument}[{', '.join(map(str, self.place))}]"


class Shown(NamedTuple):
    """What a thread reads from global memory and what it writes there, in order."""

    reads: list[Access]
    writes: list[Access]

    def __str__(self) -> str:
        reads, writes = (", ".join(map(str, found)) or "nothing" for found in self)
        return f"reads {reads}\nwrites {writes}"


FENCE = Access("threadfence", ())
Place = tuple[int, int, int]
Note = Callable[[Place, int, str, tuple[int, ...], bool], None]  # thread, barriers passed, array, element, written?


class _Recorder:
    """An array as one thread sees it: each access is noted."""

    def __init__(self, name: str, array: Array, note: Callable[[str, tuple[int, ...], bool], None]) -> None:
        self._name, self._array, self._note = name, array, note
        self.shape, self.size, self.ndim, self.dtype = array.shape, array.size, array.ndim, array.dtype

    def __len__(self) -> int:
        return len(self._array)

    def _at(self, place: Any, written: bool) -> tuple[int, ...]:
        at = tuple(int(i) for i in (place if isinstance(place, tuple) else (place,)))
        if any(not 0 <= i < n for i, n in zip(at, self.shape, strict=True)):
            raise IndexError(f"{self._name}{list(at)} lies outside of the array, which has the shape {self.shape}")
        self._note(self._name, at, written)
        return at

    def __getitem__(self, place: Any) -> Any:
        return self._array[self._at(place, False)]

    def __setitem__(self, place: Any, value: Any) -> None:
        self._array[self._at(place, True)] = value


def _run_block(kernel: Any, index: Place, size: Place, grid: Place, arguments: Sequence[Any], note: Note) -> None:
    """All threads of one block, each a thread of Python with its own view of the arrays, which are copies. What lies at
    an address is none."""
    function = getattr(kernel, "py_func", kernel)
    named = list(zip(function.__code__.co_varnames, arguments, strict=False))
    copies = {name: argument.copy() for name, argument in named if isinstance(argument, np.ndarray)}
    places = [(x, y, z) for z in range(size[2]) for y in range(size[1]) for x in range(size[0])]
    barrier, shared, faults = Barrier(len(places)), dict[str, Array](), list[BaseException]()

    def run(at: Place) -> None:
        passed = asked = 0

        def noted(name: str, place: tuple[int, ...], written: bool) -> None:
            note(at, passed, name, place, written)

        def wait() -> None:
            nonlocal passed
            barrier.wait(PATIENCE)
            passed += 1

        def in_shared(shape: Any, dtype: Any, alignment: int | None = None) -> _Recorder:
            nonlocal asked
            name = f"shared {asked}"  # every thread asks in the same order; the first one makes it
            asked += 1
            return _Recorder(name, shared.setdefault(name, np.zeros(shape, dtype)), noted)

        def at_address(like: Any, where: Any, size: Any) -> _Recorder:
            return _Recorder(f"address {where}", line_at(like, where, size), noted)

        here = SimpleNamespace(
            threadIdx=_axes(at), blockIdx=_axes(index), blockDim=_axes(size), gridDim=_axes(grid),
            grid=lambda axes: index[0] * size[0] + at[0], syncthreads=wait, shared=SimpleNamespace(array=in_shared),
            local=SimpleNamespace(array=lambda shape, dtype: np.zeros(shape, dtype)),
            threadfence=lambda: noted(*FENCE, True), atomic=SimpleNamespace(inc=_inc),
        )  # fmt: skip
        scope = {name: here if value is cuda else value for name, value in function.__globals__.items()}
        scope |= {name: at_address for name, value in scope.items() if value is line_at}
        seen = [_Recorder(name, copies[name], noted) if name in copies else argument for name, argument in named]
        try:
            with np.errstate(all="ignore"):
                FunctionType(function.__code__, scope, None, None, function.__closure__)(*seen)
        except BaseException as fault:
            faults.append(fault)
            barrier.abort()

    running = [Thread(target=run, args=(at,)) for at in places]
    for each in running:
        each.start()
    for each in running:
        each.join()
    if faults:
        raise faults[0]


def show_thread(
    kernel: Any,
    block: Sequence[int] | int,
    thread: Sequence[int] | int,
    arguments: Sequence[Any],
    *,
    threads: Sequence[int] | int,
    grid: Sequence[int] | int = (1 << 20, 1, 1),
) -> Shown:
    """Run one block of a kernel in Python and tell which elements one of its threads reads and writes.

    `kernel` is a compiled one, as `conv_naive.conv2d_naive(np.float32)`; `arguments` are those of a launch, with NumPy
    arrays, which are not written to; `threads` is the size of the block. All threads of the block run, since a thread
    may wait for another at a barrier. Shared memory is left out. Needs no GPU.

    Raises IndexError where any of the block's threads leaves an array, ValueError for a thread that is not in it.
    """
    size, watched = _three(threads, 1), _three(thread, 0)
    if any(not 0 <= i < n for i, n in zip(watched, size, strict=True)):
        raise ValueError(f"show_thread: thread {watched} is not in a block of {size} threads")
    shown = Shown([], [])

    def note(at: Place, passed: int, name: str, place: tuple[int, ...], written: bool) -> None:
        if at == watched and not name.startswith("shared") and name != FENCE.argument:
            (shown.writes if written else shown.reads).append(Access(name, place))

    _run_block(kernel, _three(block, 0), size, _three(grid, 1), arguments, note)
    return shown


def races(
    kernel: Any,
    block: Sequence[int] | int,
    arguments: Sequence[Any],
    *,
    threads: Sequence[int] | int,
    grid: Sequence[int] | int = (1 << 20, 1, 1),
) -> list[Access]:
    """The elements which two threads of a block touch between the same two barriers, one of them writing.

    Which of the two is first is then left to chance. All accesses of the block are held against each other, so it does
    not matter which thread came first this time. An empty list speaks for these shapes, and for this block.

    A fence counts as an access to all memory that the block has written: where a thread fences, for itself and for
    others, these must have passed a barrier since they wrote.
    """
    touched: dict[tuple[int, Access], set[Place]] = defaultdict(set)
    written_to: set[tuple[int, Access]] = set()

    def note(at: Place, passed: int, name: str, place: tuple[int, ...], written: bool) -> None:
        key = (passed, Access(name, place))
        touched[key].add(at)
        if written and not name.startswith("shared"):
            touched[passed, FENCE].add(at)
        if written:
            written_to.add(key)

    _run_block(kernel, _three(block, 0), _three(threads, 1), _three(grid, 1), arguments, note)
    return sorted({key[1] for key in written_to if len(touched[key]) > 1})


def _inc(array: Any, place: Any, most: Any) -> Any:
    """`cuda.atomic.inc`."""
    before = array[place]
    array[place] = 0 if before >= most else before + 1
    return before


def _three(numbers: Sequence[int] | int, rest: int) -> tuple[int, int, int]:
    x, y, z = (*((numbers,) if isinstance(numbers, int) else numbers), rest, rest)[:3]
    return x, y, z


def _axes(numbers: tuple[int, int, int]) -> SimpleNamespace:
    return SimpleNamespace(x=numbers[0], y=numbers[1], z=numbers[2])
