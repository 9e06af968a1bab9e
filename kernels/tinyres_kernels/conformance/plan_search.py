"""The search for cases of every plan, and of both sides of every limit. It asks planners, and runs nothing.

It begins at sizes drawn from a list. Then, from the cheapest case of every plan, it goes along each axis of its
structure to where another plan begins. The cases just below, at and above that place are kept, and what is new is
searched in turn. A plan counts once for each end that its loops may meet: a tail of channels, a tile that overlaps, a
shorter last turn.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tinyres_kernels import cpu
from tinyres_kernels.conformance.agree import disagreements
from tinyres_kernels.conformance.calling import call
from tinyres_kernels.conformance.declare import Case, Structure
from tinyres_kernels.conformance.examine import Kernel
from tinyres_kernels.conformance.layers import LAYERS
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.conformance.report import call as case_text
from tinyres_kernels.contract import OPERATIONS
from tinyres_kernels.cpu.host import TARGET, Target
from tinyres_kernels.cpu.plan import Plan

DRAWS = 4000  # structures at which the search begins
MOST = 1e8  # multiplications of a case
LONGEST = {"stride": 4, "dilation": 3, "groups": 5, "kernel": 12, "padding": 12}  # of what no net has in other sizes

Axis = tuple[str, int | None]  # a number of a structure: its key, and its place where the value is a tuple
_SIZES = {
    "N": (0, 1, 1, 2, 2, 3, 3, 5, 16, 64),
    "hw": (1, 2, 3, 4, 7, 8, 14, 15, 16, 17, 28, 33, 56),
    "kernel": (1, 2, 3, 3, 4, 4, 5),
    "stride": (1, 1, 2, 2, 3),
    "padding": (0, 1, 1, 2),
    "dilation": (1, 1, 1, 2),
    "groups": (1, 1, 2),
    "CG": (1, 3, 8, 16, 17, 32, 64, 96, 130, 300),
    "OG": (1, 3, 8, 16, 17, 32, 33, 64, 65, 130),
    "C": (1, 2, 10, 32, 127, 128, 513),
    "M": (1, 2, 7, 64, 1000, 1024, 100_000),
    "K": (1, 64, 1000),
    "B": (1, 2, 3, 8),
    "H": (1, 2, 3),
    "L": (1, 2, 5, 64, 65, 130, 300),
    "S": (1, 5, 33, 128, 512, 513, 600),
    "E": (1, 3, 16, 64),
    "V": (1, 3, 33, 64),
}
_FREE = {  # what is chosen freely, since it is no size
    "training": (True, False),
    "relu": (True, False),
    "residual": (True, False),
    "y": (True, False),
    "running": (True, False),
    "slope": (0.0, 0.25),
    "causal": (True, False),
    "log": (True, False),
    "weight": (True, False),
    "bias": (True, False),
    "first": (True, False),
    "momentum": (0.0, 0.9),
    "centered": (True, False),
    "count_include_pad": (True, False),
}

Limits = tuple[tuple[str, float], ...]  # as `cpu.forced` takes them


class Found(NamedTuple):
    """A case, the plan that it is there for, and why: an end that the plan meets, or a limit beside which it lies."""

    case: Case
    plan: Plan
    why: str
    limits: Limits
    threads: int

    def faults(self, kernel: Kernel | None = None) -> list[str]:
        """What is wrong with what a kernel, by default the set's own, makes of the case. Results hold NaN before."""
        case = self.case
        inputs = case.inputs()
        outputs = {
            arg.name: np.full(case.shape(arg), -77 if arg.dtype else np.nan, arg.dtype or case.dtype)
            for arg in case.writes
        }
        everything = {**inputs, **outputs}
        with cpu.forced(threads=self.threads, **dict(self.limits)):
            arrays = [everything[arg.name] if arg else None for arg in case.arguments]
            call(case.op.name, kernel or getattr(cpu, case.op.name), arrays, case.keywords)
        return disagreements(case.op.name, inputs, outputs, case.keywords)

    def __str__(self) -> str:
        return f"{case_text(self.case)}, {self.threads} threads: {self.plan} ({self.why})"


Shapes = dict[str, tuple[int, ...]]  # of each array, by name


def shapes_of(case: Case) -> Shapes:
    """The shape of every array of a case. Raises ValueError where its sizes do not belong together."""
    return {name: tuple(axes.values()) for name, axes in case.op.family.shapes(case.structure)[0].items()}


def empty(case: Case, named: Shapes | None = None) -> bool:
    """Whether an array has no elements. Such a case is the cheapest of its plan, and no example of it."""
    named = named or shapes_of(case)
    return any(0 in named[arg.shape] for arg in case.reads + case.writes)


def explained(case: Case, limits: Limits = (), threads: int = 2, target: Target = TARGET) -> Plan:
    """The plan of a case. Raises ValueError where its sizes do not belong together."""
    named, keywords = case.op.family.shapes(case.structure)
    shapes = [tuple(named[arg.shape].values()) if arg else None for arg in case.arguments]
    with cpu.forced(**dict(limits)):
        given = OPERATIONS[case.op.name].gathered(shapes)
        return cpu.explain(case.op.name, *given, dtype=case.dtype, threads=threads, target=target, **keywords)


def cost(case: Case, named: Shapes | None = None) -> float:
    """About how many multiplications the operation takes, and what is read and written."""
    named = named or shapes_of(case)
    elements = float(sum(prod(named[arg.shape]) for arg in case.arguments if arg))
    if case.op.name.startswith("conv2d"):
        return elements + prod(named["y"]) * prod(named["w"][:3])
    if case.op.name in ("matmul", "linear"):
        return elements + prod(float(case.structure[key]) for key in "MKN")
    if case.op.name.startswith("attention"):
        return elements + prod(float(case.structure[key]) for key in "BHLSE")
    return 8 * elements


@lru_cache
def search(
    op: str, dtype: str, limits: Limits = (), threads: int = 2, every: int = 1, target: Target = TARGET
) -> tuple[Found, ...]:
    """The cases of an operation: the cheapest for every plan with every end, and those beside every limit.

    every: along every how many-th axis limits are looked for, in turn, since many plans tell of the same; 0: none.
    """
    return tuple(_Search(op, dtype, limits, threads, every, target).run())


@lru_cache
def _drawn(op: str) -> tuple[Structure, ...]:
    """Where the searches of an operation begin."""
    rng, drawn = np.random.default_rng(0), []
    plain = OPS[op].family.plain
    for _ in range(DRAWS if op.startswith("conv2d") else DRAWS // 10):
        alike = rng.random() < 0.7  # rows like columns, as nets have it
        made = dict(plain)
        for key, value in plain.items():
            choices = _SIZES.get(key) or _FREE.get(key)
            if choices and isinstance(value, tuple):
                pair = [choices[i] for i in rng.integers(len(choices), size=2)]
                made[key] = (pair[0],) * 2 if alike else tuple(pair)
            elif choices:
                made[key] = choices[rng.integers(len(choices))]
            elif key == "axes":
                made[key] = (int(10 ** rng.uniform(0, 6)),)
        drawn.append(made)
    return tuple(drawn)


class _Search:
    def __init__(self, op: str, dtype: str, limits: Limits, threads: int, every: int, target: Target) -> None:
        self.op, self.dtype, self.limits, self.threads, self.target = op, dtype, limits, threads, target
        self.every = every
        self.best: dict[tuple[str, str], tuple[float, Case, Plan]] = {}
        self.beside: dict[tuple[str, str, int], tuple[float, Case, Plan]] = {}
        self.looked: dict[frozenset[tuple[str, Any]], Plan | None] = {}
        self.new: list[tuple[str, str]] = []
        self.walked = 0

    def run(self) -> Iterator[Found]:
        for structure in (*_drawn(self.op), *self._known()):
            self.look(structure)
        while self.new and self.every:
            name = self.new.pop()
            if not name[1]:  # the ends need no neighbours of their own
                self.walked += 1
                for axis in list(self.axes(self.best[name][1].structure))[self.walked % self.every :: self.every]:
                    self.walk(name, axis)
        for (_, end), (_, case, plan) in self.best.items():
            yield Found(case, plan, end or "the cheapest", self.limits, self.threads)
        for (along, change, place), (_, case, plan) in self.beside.items():
            where = ("below", "at", "above")[place]
            yield Found(case, plan, f"{where} the {along} at which {change}", self.limits, self.threads)

    def _known(self) -> Iterator[Structure]:
        """The layers of real nets as far as they are cheap, and without their padding."""
        if not self.op.startswith("conv2d"):
            return
        for layer in dict.fromkeys(layer for known in LAYERS.values() for layer in known):
            for N in (1, 8):
                yield layer.structure(N)
                yield layer.structure(N) | {"padding": (0, 0), "hw": (min(layer.H, 20), min(layer.W, 20))}

    def case(self, structure: Structure) -> Case:
        return Case(OPS[self.op], "of a plan", structure, self.dtype)

    def look(self, structure: Structure) -> Plan | None:
        """The plan of a structure, which is kept if it is new or cheaper than what is known; None if there is none."""
        key = frozenset(structure.items())
        if key not in self.looked:
            self.looked[key] = self._look(structure)
        return self.looked[key]

    def _look(self, structure: Structure) -> Plan | None:
        case = self.case(structure)
        try:
            named = shapes_of(case)
            price = cost(case, named)
            plan = explained(case, self.limits, self.threads, self.target) if price <= MOST else None
        except (ValueError, ZeroDivisionError):  # a kernel larger than its image, say
            return None
        if plan is None:
            return None
        met = {(name, "nothing to do") for name in plan.names} if empty(case, named) else plan.met
        for key in sorted(met):  # a set's own order is another in each process, and the search goes on from the newest
            known = self.best.get(key)
            if known is None:
                self.new.append(key)
            if known is None or price < known[0]:
                self.best[key] = price, case, plan
        return plan

    def axes(self, structure: Structure) -> Iterator[Axis]:
        for key, value in structure.items():
            if key in _SIZES or key == "axes":
                yield from ((key, i) for i in range(len(value))) if isinstance(value, tuple) else [(key, None)]

    def walk(self, name: tuple[str, str], axis: Axis) -> None:
        """Along an axis, upwards in ever longer steps, until other plans begin; then to the place where they do."""
        start = self.best[name][1].structure
        value, plan = _get(start, axis), self.best[name][2]
        names = plan.names
        low, step = value, 1
        while low + step <= LONGEST.get(axis[0], 1 << 20):
            found = self.look(_set(start, axis, low + step))
            if found is None:
                return
            if found.names != names:
                break
            low, step = low + step, step * 2
        else:
            return
        high = low + step
        while high - low > 1:
            middle = (low + high) // 2
            found = self.look(_set(start, axis, middle))
            if found is None:
                return
            low, high = (middle, high) if found.names == names else (low, middle)
        for place, at in enumerate((low, high, high + 1)):
            self._keep(start, axis, at, place, plan)

    def _keep(self, start: Structure, axis: Axis, at: int, place: int, before: Plan) -> None:
        found = self.look(_set(start, axis, at))
        if found is None:
            return
        case = self.case(_set(start, axis, at))
        after = self.look(_set(start, axis, at if place else at + 1))
        if after is None:
            return
        key = _title(axis), _change(before, after), place
        price = cost(case)
        if key not in self.beside or price < self.beside[key][0]:
            self.beside[key] = price, case, found


def _change(before: Plan, after: Plan) -> str:
    """What is another: the words of the two names that they do not share."""
    old, new = (set(", ".join(sorted(plan.names)).replace(": ", ", ").split(", ")) for plan in (before, after))
    gone, come = (" and ".join(sorted(words)) or "nothing" for words in (old - new, new - old))
    return f"{gone} becomes {come}"


def _get(structure: Structure, axis: Axis) -> int:
    key, place = axis
    value: int = structure[key] if place is None else structure[key][place]
    return value


def _set(structure: Structure, axis: Axis, value: int) -> Structure:
    key, place = axis
    if place is None:
        return {**structure, key: value}
    return {**structure, key: tuple(value if i == place else old for i, old in enumerate(structure[key]))}


def _title(axis: Axis) -> str:
    key, place = axis
    return key if place is None else f"{key}[{place}]"
