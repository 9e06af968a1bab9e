"""Between a caller and a kernel: the contract of the operation, and one way to call all kernel sets.

`contract` declares the operations; this file turns the declarations into callables.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import update_wrapper
from inspect import signature
from types import ModuleType
from typing import Any, NamedTuple

from tinyres_kernels.dtypes import COMPILED, refuse_others, same_dtypes
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Running, named

Kernel = Callable[..., Any]
ONE_BY_ONE = ("running_mean", "running_var", "batches", "new_mean", "new_var", "new_batches")  # those of a `Running`


class Operation(NamedTuple):
    """All that is known about an operation.

    arrays: the names of its arguments but the settings, in order;   optional: those that may be None
    writes: those that are written; batch norm's statistics are in training, and are read otherwise
    settings: the type of its last argument;   admit: its function in `contract`, behind the check of dtypes
    integers: those that hold integers, and of which dtype; all others have one dtype, that of `out`
    """

    name: str
    arrays: tuple[str, ...]
    optional: tuple[str, ...]
    writes: tuple[str, ...]
    settings: Any
    admit: Callable[..., bool]
    integers: Mapping[str, str] = {}

    @property
    def order(self) -> tuple[str, ...]:
        """The names of all arrays one by one, running statistics as well."""
        return tuple(name for array in self.arrays for name in (ONE_BY_ONE if array == "running" else (array,)))

    def written(self, s: Any) -> set[str]:
        """Which of `order` a call with these settings writes."""
        if self.name != "batch_norm":
            return set(self.writes)
        return {"out", "mean", "variance", *ONE_BY_ONE[3:]} if s.training else {"out"}

    def refuse_missing(self, given: Sequence[Any]) -> None:
        """Raises TypeError where an array is None that has to be there, or is no array."""
        missing = [name for name, a in zip(self.arrays, given, strict=False) if a is None and name not in self.optional]
        if missing:
            raise TypeError(f"{self.name}: {', '.join(missing)} must not be None")
        for name, a in self.one_by_one(given[: len(self.arrays)]).items():
            if not hasattr(a, "dtype"):
                raise TypeError(f"{self.name}: {name} must be an array, got {type(a).__name__}")

    def gathered(self, arrays: Iterable[Array | None]) -> tuple[Any, ...]:
        """Arrays given one by one, as a kernel takes them. Absent ones at the end may be left out."""
        given = tuple(arrays)
        given += (None,) * (len(self.order) - len(given))
        if "running" not in self.arrays:
            return given
        first = self.arrays.index("running")
        running = Running(*given[first:])
        return (*given[:first], None if all(a is None for a in running) else running)

    def one_by_one(self, given: Sequence[Any]) -> dict[str, Array]:
        """The arrays of a call by name, without the absent ones."""
        spread = [a for one in given for a in (one if isinstance(one, Running) else (one,))]
        return {name: a for name, a in zip(self.order, spread, strict=False) if a is not None}

    def split(self, given: Sequence[Any], keywords: dict[str, Any]) -> tuple[tuple[Any, ...], Any]:
        """The arrays and the settings of a call, which come as one object or by keyword."""
        if given and self.settings is not None and isinstance(given[-1], self.settings) and not keywords:
            return tuple(given[:-1]), given[-1]
        s = named(self.name, self.settings, keywords)
        return (*given, *(None,) * (len(self.arrays) - len(given))), s


OPERATIONS: dict[str, Operation] = {}
COMPILERS = ("cpu", "cuda", "tensor_core")  # the kernel sets that compute in no other dtypes than `COMPILED`


def kernel(op: str, body: Kernel, dtypes: tuple[Any, ...] | None = None) -> Kernel:
    """`body` behind the contract of `op`: what callers call. It returns `out`; what the body returns is dropped.

    dtypes: those that it computes in, if there are others that it cannot.

    Raises KeyError for an operation that is not known.
    """
    operation = OPERATIONS[op]
    if getattr(body, "contract", None) is operation:
        return body
    admit, place, kind = operation.admit, operation.arrays.index("out"), operation.settings or object

    def call(*given: Any, **keywords: Any) -> Any:
        if keywords:
            arrays, s = operation.split(given, keywords)
            given = (*arrays, s)
        if not given or not isinstance(given[-1], kind):
            last = type(given[-1]).__name__ if given else "nothing"
            raise TypeError(
                f"{op}: the last argument must be a {kind.__name__} (or its fields, by keyword), got {last}"
            )
        try:
            if dtypes is not None and given[place].dtype not in dtypes:
                refuse_others(op, given[place].dtype, dtypes)
            needed = admit(*given)
        except AttributeError:
            operation.refuse_missing(given)
            raise
        if needed:
            body(*given)
        return given[place]

    update_wrapper(call, body)
    call.__name__ = op
    call.contract = operation  # type: ignore[attr-defined]
    return call


def publish(package: str, *modules: ModuleType) -> None:
    """Put the kernels into a package: every operation that one of these modules has a body for."""
    dtypes = COMPILED if package.rpartition(".")[2] in COMPILERS else None
    for module in modules:
        for op in OPERATIONS.keys() & vars(module).keys():
            setattr(sys.modules[package], op, kernel(op, getattr(module, op), dtypes))


def operation(
    writes: str, settings: Any = None, **integers: str
) -> Callable[[Callable[..., bool]], Callable[..., bool]]:
    """Declare the function to be an operation's contract: which of its arrays are written, the type of `s`, and the
    dtype of those that hold integers.

    What is declared refuses mixed dtypes first: compiled code that is told one dtype would write beyond the array."""

    def declare(admit: Callable[..., bool]) -> Callable[..., bool]:
        parameters = signature(admit).parameters
        arrays = tuple(name for name in parameters if name != "s")
        optional = tuple(name for name in arrays if "None" in str(parameters[name].annotation))
        written = tuple(writes.split())
        declared = Operation(admit.__name__, arrays, optional, written, settings, admit, integers)
        admitted = same_dtypes(admit, arrays, declared.written, integers)
        OPERATIONS[admit.__name__] = declared._replace(admit=admitted)
        return admitted

    return declare


def each(arguments: Iterable[Any], change: Callable[[Array], Array]) -> list[Any]:
    """The arguments of a call, every array, running statistics too, put through `change`; None and settings as are."""

    def changed(a: Any) -> Any:
        if isinstance(a, Running):
            return Running(*map(changed, a))
        return change(a) if hasattr(a, "dtype") else a

    return [changed(a) for a in arguments]
