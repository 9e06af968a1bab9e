"""Launching the steps of optimisers: of one parameter, as every kernel set can, or of many in one launch."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from tinyres_kernels.contract import OPERATIONS
from tinyres_kernels.cuda import update
from tinyres_kernels.cuda.host import THREADS, blocks, launch, lines, real, wide
from tinyres_kernels.cuda.table import NOBODYS, addresses
from tinyres_kernels.namespace import Array, namespace
from tinyres_kernels.settings import Adam, Rmsprop, Sgd

Arrays = tuple[Array | None, ...]
Numbers = tuple[float, ...]
Kept = list[Array]


class Many(NamedTuple):
    """launch: many steps at once;   numbers: what its kernel makes of an optimiser's settings.

    most: numbers that parameters may have before a launch is due; as long as they wait, old and new arrays are there.
    """

    launch: Callable[..., None]
    numbers: Callable[..., Numbers]
    most: float = float("inf")


class Step(NamedTuple):
    """What one parameter's step writes and reads, the first of each being the parameter; and the kernel's flags."""

    written: tuple[Any, ...]
    read: tuple[Any, ...]
    flags: tuple[int, ...]

    def lines(self) -> tuple[Array, ...]:
        """All arrays, of one type, and alike in memory without gaps: a kernel is told no more than where they lie."""
        out, given = self.written[0], [a for a in (*self.written, *self.read) if a is not None]
        if all(a.strides == out.strides and a.dtype == out.dtype for a in given) and _dense(out):
            return tuple(given[-1] if a is None else a for a in (*self.written, *self.read))
        other = next((a for a in self.written if a is not None and a.dtype != out.dtype), None)
        if other is not None:
            raise ValueError(f"new state must be of the new parameter's type, {out.dtype}, got {other.dtype}")
        read = (a if a is None or a.dtype == out.dtype else a.astype(out.dtype) for a in self.read)
        return tuple(lines(self.written, read))


def _dense(array: Array) -> bool:
    """Whether its numbers lie one behind the other, whatever the order of its axes."""
    if array.flags.c_contiguous:
        return True
    step = array.itemsize
    for stride, size in sorted(zip(array.strides, array.shape, strict=True)):
        if stride != step:
            return False
        step *= size
    return True


def sgd_many(steps: Iterable[Arrays], s: Sgd, kept: Kept | None = None) -> None:
    """`sgd` of each (p, g, buffer, out, new_buffer). 20 bytes a number in float32."""
    made = [
        Step((out, new), (p, g, old), (int(new is not None), int(old is None), int(s.nesterov)))
        for p, g, old, out, new in steps
    ]
    _run(update.sgd_kernel, update.SGD_ROWS, made, sgd_numbers(s), kept)


def adam_many(steps: Iterable[Arrays], s: Adam, kept: Kept | None = None) -> None:
    """`adam` of each (p, g, m, v, out, new_m, new_v). 28 bytes a number in float32."""
    made = [Step((out, *new), (p, g, m, v), (int(m is None),)) for p, g, m, v, out, *new in steps]
    _run(update.adam_kernel, update.ADAM_ROWS, made, adam_numbers(s), kept)


def rmsprop_many(steps: Iterable[Arrays], s: Rmsprop, kept: Kept | None = None) -> None:
    """`rmsprop` of each (p, g, v, a, b, out, new_v, new_a, new_b). 20 to 36 bytes a number in float32."""
    made = [
        Step((out, *new), (p, g, v, a, b), (int(v is None), int(new[1] is not None), int(new[2] is not None)))
        for p, g, v, a, b, out, *new in steps
    ]
    _run(update.rmsprop_kernel, update.RMSPROP_ROWS, made, rmsprop_numbers(s), kept)


def sgd_numbers(s: Sgd) -> Numbers:
    """What the kernel is given for these settings."""
    return s.lr, s.momentum, 1 - s.dampening, s.weight_decay


def adam_numbers(s: Adam) -> Numbers:
    decay, shrink = (0.0, 1 - s.lr * s.weight_decay) if s.decoupled else (s.weight_decay, 1.0)
    rate, scale = s.lr / (1 - s.beta1**s.step), (1 - s.beta2**s.step) ** 0.5
    return rate, s.beta1, 1 - s.beta1, s.beta2, 1 - s.beta2, s.eps, decay, shrink, scale


def rmsprop_numbers(s: Rmsprop) -> Numbers:
    return s.lr, s.alpha, 1 - s.alpha, s.eps, s.weight_decay, s.momentum


def _many(op: str, launch_all: Callable[..., None], numbers: Callable[..., Numbers]) -> Many:
    """Behind the contract, step by step."""
    admit = OPERATIONS[op].admit

    def launch_admitted(steps: Iterable[Arrays], s: Any, kept: Kept | None = None) -> None:
        launch_all([step for step in steps if admit(*step, s)], s, kept)

    return Many(launch_admitted, numbers)


MANY = {
    "sgd": _many("sgd", sgd_many, sgd_numbers),
    "adam": _many("adam", adam_many, adam_numbers),
    "rmsprop": _many("rmsprop", rmsprop_many, rmsprop_numbers),
}


def sgd(p: Array, g: Array, buffer: Array | None, out: Array, new_buffer: Array | None, s: Sgd) -> None:
    """`reference.sgd`."""
    sgd_many([(p, g, buffer, out, new_buffer)], s)


def adam(p: Array, g: Array, m: Array | None, v: Array | None, out: Array, new_m: Array, new_v: Array, s: Adam) -> None:
    """`reference.adam`."""
    adam_many([(p, g, m, v, out, new_m, new_v)], s)


def rmsprop(
    p: Array,
    g: Array,
    v: Array | None,
    a: Array | None,
    b: Array | None,
    out: Array,
    new_v: Array,
    new_a: Array | None,
    new_b: Array | None,
    s: Rmsprop,
) -> None:
    """`reference.rmsprop`."""
    rmsprop_many([(p, g, v, a, b, out, new_v, new_a, new_b)], s)


def _run(make: Callable[..., Any], most: int, steps: list[Step], settings: Numbers, kept: Kept | None) -> None:
    """As few launches as there are kernels and flags among the steps, and `most` rows in a table. Each adds to `kept`,
    where one is given, the line that it reads its settings from."""
    for (kernel, number, width, flags), alike in _groups(make, steps).items():
        numbers = [number(value) for value in settings]
        for i in range(0, len(alike), most):
            some = alike[i : i + most]
            table, count = _table(some, THREADS * width, most)
            line = namespace(*some[0]).empty(0 if kept is None else len(numbers), number)
            launch(kernel, count, THREADS, line, table, *numbers, *flags)
            if kept is not None:
                kept.append(line)


def _groups(make: Callable[..., Any], steps: list[Step]) -> dict[tuple[Any, ...], list[tuple[Array, ...]]]:
    """The lines of the steps, by kernel, type, how many numbers a thread takes, and flags."""
    found: dict[tuple[Any, ...], list[tuple[Array, ...]]] = {}
    for step in steps:
        held = step.lines()
        number = real(held[0])
        width = 1 if make is update.rmsprop_kernel else wide(*held)
        kernel = make(number) if make is update.rmsprop_kernel else make(number, width)
        found.setdefault((kernel, number, width, step.flags), []).append(held)
    return found


def _table(held: list[tuple[Array, ...]], each: int, most: int) -> tuple[tuple[int, ...], int]:
    """The table of these lines, filled up to `most` rows; and how many blocks of `each` numbers they take."""
    numbers, count = list[int](), 0
    for arrays in held:
        numbers += count, arrays[0].size, *addresses(arrays)
        count += blocks(arrays[0].size, each)
    spare = (NOBODYS, *[0] * (len(held[0]) + 1))
    return (*numbers, *spare * (most - len(held))), count
