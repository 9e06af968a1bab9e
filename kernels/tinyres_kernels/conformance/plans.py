"""For every plan of the compiled rung a case, and for every limit the cases beside it.

A plan is the way that a kernel goes at some sizes (`cpu.explain`). The search asks planners, and runs nothing: first at
sizes drawn from a list; then, from the cheapest case of every plan, along each axis of its structure to where another
plan begins. The cases just below, at and above that place are kept, and what is new is searched in turn. A plan counts
once for each end that its loops may meet: a tail of channels, a tile that overlaps, a shorter last turn.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from tinyres_kernels import cpu
from tinyres_kernels.conformance.agree import disagreements
from tinyres_kernels.conformance.declare import Case, Structure
from tinyres_kernels.conformance.examine import Kernel
from tinyres_kernels.conformance.layers import LAYERS
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.cpu.host import TARGET, Target
from tinyres_kernels.cpu.plan import Plan

DRAWS = 6000  # structures at which the search begins
MOST = 6e7  # multiplications of a case
LONGEST = 1 << 20  # of any axis: a stride may grow without end

Axis = tuple[str, int | None]  # a number of a structure: its key, and its place where the value is a tuple
_SIZES = {
    "N": (1, 2, 3, 5, 16, 64),
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
}
_FREE = {  # what is chosen freely, since it is no size
    "training": (True, False),
    "relu": (True, False),
    "residual": (True, False),
    "y": (True, False),
    "slope": (0.0, 0.25),
    "first": (True, False),
    "momentum": (0.0, 0.9),
    "centered": (True, False),
    "count_include_pad": (True, False),
}


class Found(NamedTuple):
    """A case, and what it is there for: the plans with their ends, or a limit that lies between it and its neighbour."""

    case: Case
    plan: Plan
    why: str


def explained(case: Case, threads: int, target: Target = TARGET) -> Plan:
    """The plan of a case. Raises ValueError where its sizes do not belong together."""
    shapes = [case.shape(arg) if arg else None for arg in case.arguments]
    return cpu.explain(case.op.name, *shapes, dtype=case.dtype, threads=threads, target=target, **case.keywords)


def cost(case: Case) -> float:
    """About how many multiplications the operation takes, and what is read and written."""
    elements = float(case.elements)
    if case.op.name.startswith("conv2d"):
        pixels = next(arg for arg in case.reads + case.writes if arg.shape == "y")
        weights = next(arg for arg in case.reads + case.writes if arg.shape == "w")
        return elements + prod(case.shape(pixels)) * prod(case.shape(weights)[:3])
    if case.op.name == "matmul":
        s = case.structure
        return elements + s["M"] * s["K"] * s["N"]
    return 8 * elements


def verify(kernel: Kernel, case: Case) -> list[str]:
    """What is wrong with what a kernel makes of a case; results hold NaN before."""
    inputs = case.inputs()
    outputs = {arg.name: np.full(case.shape(arg), -77 if arg.dtype else np.nan, arg.dtype or case.dtype) for arg in case.writes}
    everything = {**inputs, **outputs}
    kernel(*(everything[arg.name] if arg else None for arg in case.arguments), **case.keywords)
    return disagreements(case.op.name, inputs, outputs, case.keywords)


@lru_cache
def search(op: str, dtype: str, threads: int = 2, target: Target = TARGET) -> tuple[Found, ...]:
    """The cases of an operation: the cheapest for every plan with every end, and those beside every limit."""
    return tuple(_Search(op, dtype, threads, target).run())


class _Search:
    def __init__(self, op: str, dtype: str, threads: int, target: Target) -> None:
        self.op, self.dtype, self.threads, self.target = op, dtype, threads, target
        self.best: dict[tuple[str, str], tuple[float, Case, Plan]] = {}
        self.beside: dict[tuple[str, str, str, int], tuple[float, Case, Plan]] = {}
        self.new: list[tuple[str, str]] = []

    def run(self) -> Iterator[Found]:
        rng = np.random.default_rng(0)
        for structure in (*self._drawn(rng), *self._known()):
            self.look(structure)
        while self.new:
            name = self.new.pop()
            if not name[1]:  # the ends need no neighbours of their own
                for axis in self.axes(self.best[name][1].structure):
                    self.walk(name, axis)
        for (name, end), (_, case, plan) in self.best.items():
            yield Found(case, plan, f"{name} | {end}" if end else name)
        for (axis, before, after, place), (_, case, plan) in self.beside.items():
            where = ("below", "at", "above")[place]
            yield Found(case, plan, f"{where} the {axis} at which [{before}] becomes [{after}]")

    def _drawn(self, rng: np.random.Generator) -> Iterator[Structure]:
        plain = OPS[self.op].family.plain
        for _ in range(DRAWS if "hw" in plain else DRAWS // 10):
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
            yield made

    def _known(self) -> Iterator[Structure]:
        """The layers of real nets, as far as they are cheap."""
        if not self.op.startswith("conv2d"):
            return
        for layer in {layer for layers in LAYERS.values() for layer in layers}:
            pairs = {key: (getattr(layer, key),) * 2 for key in ("kernel", "stride", "padding", "dilation")}
            sizes = {"N": 1, "hw": (layer.H, layer.W), "groups": layer.groups}
            yield sizes | pairs | {"CG": layer.C // layer.groups, "OG": layer.O // layer.groups}

    def case(self, structure: Structure) -> Case:
        return Case(OPS[self.op], "of a plan", structure, self.dtype)

    def look(self, structure: Structure) -> Plan | None:
        """The plan of a structure, which is kept if it is new or cheaper than what is known; None if there is none."""
        case = self.case(structure)
        try:
            price = cost(case)
            plan = explained(case, self.threads, self.target) if price <= MOST else None
        except (ValueError, ZeroDivisionError):  # a kernel larger than its image, say
            return None
        if plan is None:
            return None
        for key in plan.met:
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
        low, step = value, 1
        while low + step <= LONGEST:
            found = self.look(_set(start, axis, low + step))
            if found is None:
                return
            if found.names != plan.names:
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
            low, high = (middle, high) if found.names == plan.names else (low, middle)
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
        key = _title(axis), str(before), str(after), place
        price = cost(case)
        if key not in self.beside or price < self.beside[key][0]:
            self.beside[key] = price, case, found


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
