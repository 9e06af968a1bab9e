"""How an operation is declared to be checked: its shapes, its arguments, its named cases; and one case of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import numpy as np
from hypothesis.strategies import SearchStrategy

from tinyres_kernels import contract
from tinyres_kernels.conformance.calling import Arrays, call, specification
from tinyres_kernels.conformance.layouts import LAYOUTS, OF_LINES, VIEWS

Structure = dict[str, Any]  # the small numbers that a case is drawn from: kernel=(3, 3), stride=(1, 2), ...
Shape = dict[str, int]  # a shape whose axes have names: {"n": 2, "h": 5, "w": 5, "c": 3}

# One expression makes the values here and in the snippet that a reader pastes: what is shown is what was run.
NORMAL = "rng.standard_normal({shape}).astype({dtype!r})"


# What cases are called that are made from failing ones, to see what these have in common.
MADE = PLAINER, RESIZED, TURNED = "made plainer", "of another size", "with another flag"


class Arg(NamedTuple):
    """One positional argument: what it is called, which of the family's shapes it has, and how it is filled.

    `values` is a Python expression, formatted with the shape, the dtype and the structure; it may use `rng`, `np` and
    the arguments before it. It is empty for an array that the kernel writes.
    """

    name: str
    shape: str
    values: str = NORMAL
    dtype: str = ""  # the case's own

    @property
    def written(self) -> bool:
        return not self.values


class Put(NamedTuple):
    """A value to plant into one of the arrays read: at its first element and its middle one, or in all of it."""

    argument: int
    value: float
    everywhere: bool = False


@dataclass(frozen=True)
class Named:
    """A corner case with a name. `changes` are made to the family's plain structure.

    A case that is `refused` must raise ValueError. `spoil` makes the axis of a shape one longer than it should be.
    `shift`: an input and a number added to all of it, beside which its spread is small
    `lies`: how every input lies in memory, one of `LAYOUTS`;   `over`: the input whose memory `out` shares
    `again`: whether the kernel was called before with other numbers in the same arrays
    """

    changes: Structure = field(default_factory=dict)
    put: Put | None = None
    spoil: tuple[str, str] | None = None
    refused: bool = False
    readonly: bool = False
    shift: tuple[str, float] | None = None
    lies: str = ""
    over: str = ""
    again: bool = False


@dataclass(frozen=True)
class Family:
    """Operations over the same shapes. `shapes` maps a structure to named shapes and the keywords of the call."""

    plain: Structure
    shapes: Callable[[Structure], tuple[dict[str, Shape], dict[str, Any]]]
    structures: SearchStrategy[Structure]
    named: Mapping[str, Named]
    traits: Mapping[str, Callable[[Structure], bool]]  # what failing cases may have in common
    grouped: tuple[str, ...] = ()  # axes that `groups` cuts into blocks
    sizes: tuple[str, ...] = ()  # the keys of a structure that are sizes, which a small example has as 1
    plurals: Mapping[str, str] = field(default_factory=dict)  # what sizes count, where `PLURALS` is not right
    nouns: Mapping[str, str] = field(default_factory=dict)  # what one element along an axis is called: {"c": "channel"}


# One more than the sizes at which kernels usually take another way: each size of each operation is tried with these.
# 1024 threads are the most that a block of a GPU has.
BEYOND = (65, 129, 257, 1025)
PLURALS = {"N": "images", "CG": "channels", "OG": "outputs", "M": "rows", "C": "columns", "K": "terms", "B": "samples",
           "H": "heads", "L": "queries", "S": "keys", "E": "features", "V": "features of the values",
           "axes": "numbers"}  # fmt: skip
IMAGE, FEW = (3, 3), 3  # the other sizes of such cases, so that they cost little


def beyond(family: Family) -> dict[str, Named]:
    """Cases beyond the usual sizes of blocks, one size at a time."""
    made, plurals = {}, PLURALS | dict(family.plurals)
    small: Structure = {key: min(value, FEW) for key, value in family.plain.items() if key in plurals.keys() - {"axes"}}
    small |= {"hw": IMAGE} if "hw" in family.plain else {}
    for size in BEYOND:
        for key in family.sizes:
            if key == "hw":
                made[f"{size} rows of pixels"] = Named({**small, "hw": (size, IMAGE[1])})
                made[f"{size} columns of pixels"] = Named({**small, "hw": (IMAGE[0], size)})
            elif key in plurals:
                made[f"{size} {plurals[key]}"] = Named({**small, key: (size,) if key == "axes" else size})
    return made


# How large the numbers are whose rounding a result may show: for a sum, the sum of its terms in absolute value.
Size = Callable[["Op", Arrays, dict[str, Any], Arrays], Arrays]


def terms(op: "Op", inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    """For sums of products: the sum of the terms' absolute values, which is the operation on absolute values."""
    magnitudes = {name: a if a.dtype.kind == "i" else abs(a) for name, a in inputs.items()}
    return specification(op.name, magnitudes, expected, keywords, op.order)


def exact(op: "Op", inputs: Arrays, keywords: dict[str, Any], expected: Arrays) -> Arrays:
    """For what selects and never computes: no rounding at all."""
    return {name: np.zeros(a.shape) for name, a in expected.items()}


@dataclass(frozen=True)
class Op:
    """One operation. `arguments` maps a structure to the positional arguments, None for one that is left out.

    `form` names the multilinear form that the operation is one side of: for each variable, the operation whose result
    is paired with it. Empty where there is none.
    """

    name: str
    family: Family
    arguments: Callable[[Structure], list[Arg | None]]
    form: Mapping[str, str] = field(default_factory=dict)
    size: Size = terms
    special: tuple[float, ...] = (np.nan, np.inf)
    named: Mapping[str, Named] = field(default_factory=dict)  # beyond the family's
    over: tuple[str, ...] = ()  # inputs that `out` may share its memory with

    def __repr__(self) -> str:  # a declaration is long, and Hypothesis writes out each case
        return f"OPS[{self.name!r}]"

    @property
    def order(self) -> list[str]:
        """The names of all positional arguments: the plain structure leaves none out."""
        return [arg.name for arg in self.arguments(self.family.plain) if arg]

    @property
    def cases(self) -> dict[str, Named]:
        """The named ones, those of views and of shared memory, and those beyond the usual sizes."""
        return {**self.family.named, **self.named, **self._in_memory, **beyond(self.family)}

    @property
    def _in_memory(self) -> dict[str, Named]:
        """Every contract lets inputs be views of any strides. Of a line there are none that are transposed."""
        shapes = self.family.shapes(self.family.plain)[0]
        lines = all(len(shapes[arg.shape]) < 2 for arg in self.arguments(self.family.plain) if arg)
        made = {f"views ({VIEWS[lies]})": Named(lies=lies) for lies in VIEWS if not lines or lies in OF_LINES}
        made["called before, with other numbers in the same arrays"] = Named(again=True)
        return made | {f"out is {name}": Named(over=name) for name in self.over}


def absent_line(case: "Case") -> list[str]:
    """The Python line that makes arrays None which this case does not have, where there are any."""
    return [f"{' = '.join(case.absent)} = None"] if case.absent else []


@dataclass(frozen=True)
class Case:
    """An operation, a structure and where the values come from: everything that one call needs."""

    op: Op
    title: str
    structure: Structure
    dtype: str = "float64"
    seed: int = 0
    put: Put | None = None
    spoil: tuple[str, str] | None = None
    refused: bool = False
    readonly: bool = False
    shift: tuple[str, float] | None = None
    lies: str = ""
    over: str = ""
    again: bool = False

    def __hash__(self) -> int:
        return hash((self.op.name, self.title, tuple(self.structure.items()), self.dtype, self.seed))

    @property
    def keywords(self) -> dict[str, Any]:
        return self.op.family.shapes(self.structure)[1]

    @property
    def arguments(self) -> list[Arg | None]:
        return self.op.arguments(self.structure)

    @property
    def absent(self) -> list[str]:
        """The arguments of a kernel that are None here, by the names that its signature has."""
        operation = contract.OPERATIONS[self.op.name]
        given = operation.gathered([arg and arg.name for arg in self.arguments])
        return [name for name, one in zip(operation.arrays, given, strict=True) if one is None]

    def axes(self, arg: Arg) -> Shape:
        """The argument's shape, its axes by name."""
        axes = dict(self.op.family.shapes(self.structure)[0][arg.shape])
        if self.spoil and self.spoil[0] == arg.shape:
            axes[self.spoil[1]] += 1
        return axes

    def shape(self, arg: Arg) -> tuple[int, ...]:
        return tuple(self.axes(arg).values())

    @property
    def reads(self) -> list[Arg]:
        return [arg for arg in self.arguments if arg and not arg.written]

    @property
    def writes(self) -> list[Arg]:
        return [arg for arg in self.arguments if arg and arg.written]

    @property
    def elements(self) -> int:
        """How large the case is: of two that fail, the smaller one is shown."""
        return sum(prod(self.shape(arg)) for arg in self.reads + self.writes)

    @cached_property
    def possible(self) -> bool:
        """Whether its shapes belong together, and no array is empty: what is asked of a kernel, not of the contract."""
        try:
            if not all(prod(self.shape(arg)) for arg in [*self.reads, *self.writes]):
                return False
            arrays = {
                arg.name: np.empty(self.shape(arg), arg.dtype or self.dtype) for arg in [*self.reads, *self.writes]
            }
            positional = [arrays[arg.name] if arg else None for arg in self.arguments]
            call(self.op.name, lambda *given: None, positional, self.keywords)
        except ValueError:
            return False
        return True

    def lines(self) -> list[str]:
        """The Python lines that make the arrays which are read."""
        made = [f"rng = np.random.default_rng({self.seed})"]
        for arg in self.reads:
            values = arg.values.format(**self.structure, shape=self.shape(arg), dtype=arg.dtype or self.dtype)
            made.append(f"{arg.name} = {values}")
            if self.shift and arg.name == self.shift[0]:
                made.append(f"{arg.name} += {self.shift[1]:g}")
        if self.put:
            arg = self.reads[self.put.argument]
            shape, value = self.shape(arg), f"{'-' if self.put.value < 0 else ''}np.{abs(self.put.value)}"
            places = [(0,) * len(shape), tuple(n // 2 for n in shape)] if all(shape) else []
            chosen = ["..."] if self.put.everywhere else [", ".join(map(str, place)) for place in places]
            made += [f"{arg.name}[{place}] = {value}" for place in dict.fromkeys(chosen)]
        return made + self._laying

    @property
    def _laying(self) -> list[str]:
        return [LAYOUTS[self.lies].format(a=arg.name) for arg in self.reads] if self.lies else []

    def inputs(self) -> Arrays:
        """The arrays which are read, by name."""
        scope: dict[str, Any] = {"np": np}
        exec("\n".join(self.lines()), scope)
        return {arg.name: scope[arg.name] for arg in self.reads}

    def copies(self, inputs: Arrays) -> Arrays:
        """Copies of them that lie in memory as the case has it."""
        scope: dict[str, Any] = {"np": np} | {name: a.copy() for name, a in inputs.items()}
        exec("\n".join(self._laying), scope)
        return {name: scope[name] for name in inputs}
