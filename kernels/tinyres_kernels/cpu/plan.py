"""Which algorithm an operation uses: decided here from sizes alone, so that one can ask without running it.

    explain("conv2d", x, w, out, stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1)

A planner is a pure function from (shapes, size of a number, machine, choices, settings) to a `Plan`; kernels run what
it says. `choices.py` holds the limits that planners go by, and how to force another way. What a trial has measured on
this machine (`trial.py`) counts as forced, too.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinyres_kernels.contract import OPERATIONS
from tinyres_kernels.cpu import ahead, host, measured
from tinyres_kernels.cpu.choices import Choices, Wanted, wanted
from tinyres_kernels.cpu.host import TARGET, Target
from tinyres_kernels.settings import Conv, Running

Shape = tuple[int, ...]
NOTHING = "nothing to do"  # the contract's own answer to empty arrays: no kernel runs


class Machine(NamedTuple):
    """What a plan is made for."""

    threads: int
    target: Target = TARGET

    def threads_for(self, multiplications: float, choices: Choices) -> int:
        """As `host.threads`."""
        return 1 if multiplications < choices.limit("worth_a_thread") else self.threads

    def lanes(self, itemsize: int) -> int:
        """Numbers in a vector."""
        return self.target.lanes * 4 // itemsize


class Plan(NamedTuple):
    """A way with a name. Two calls whose plans have the same name run the same code, on other sizes.

    traits: what else is chosen;   threads: how many take part
    how: the numbers that the way's own code is handed;   parts: plans that it consists of
    ends: what its loops meet at these sizes: tails, leftovers, a second turn. It chooses no code, and tests look for it
    """

    way: str
    traits: tuple[str, ...] = ()
    threads: int = 1
    how: Any = None
    parts: tuple["Plan", ...] = ()
    ends: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its own name, without its parts."""
        many = "" if self.parts else "one thread" if self.threads == 1 else "threads"
        return ": ".join(filter(None, (self.way, ", ".join(filter(None, (*self.traits, many))))))

    def __str__(self) -> str:
        parts = dict.fromkeys(map(str, self.parts))
        return self.name + (" of " if parts else "") + " and ".join(f"[{part}]" for part in parts)

    @property
    def names(self) -> set[str]:
        """Its own name, and those of its parts."""
        return {self.name}.union(*(part.names for part in self.parts))

    @property
    def met(self) -> set[tuple[str, str]]:
        """Each of its names with each of the ends that it meets, and with none."""
        name = self.name
        return {(name, end) for end in ("", *filter(None, self.ends))}.union(*(part.met for part in self.parts))


Planner = Callable[..., Plan]
PLANNERS: dict[str, Planner] = {}


def planner(op: str) -> Callable[[Planner], Planner]:
    """Declare a function to be the planner of `op`: (shapes, itemsize, machine, choices, s) -> Plan."""

    def declare(function: Planner) -> Planner:
        PLANNERS[op] = function
        return function

    return declare


def by_loop(work: Callable[..., float], *traits: str) -> Planner:
    """The planner of an operation that knows one compiled loop, on one thread or several; work: of these shapes."""

    def plan(shapes: tuple[Shape | None, ...], itemsize: int, machine: Machine, choices: Choices, s: Any) -> Plan:
        return Plan("loop", traits, machine.threads_for(work(*shapes), choices))

    return plan


@lru_cache(maxsize=1024)
def _planned(
    op: str, shapes: tuple[Shape | None, ...], itemsize: int, machine: Machine, forced: Wanted, s: Any
) -> Plan:
    ahead.tell(op, shapes, itemsize, forced, s)
    return PLANNERS[op](shapes, itemsize, machine, Choices(_measured(op, shapes, itemsize, machine, s) + forced), s)


def _measured(op: str, shapes: tuple[Shape | None, ...], itemsize: int, machine: Machine, s: Any) -> Wanted:
    """What a trial has chosen for this machine, if there was one."""
    if not isinstance(s, Conv) or machine.target != TARGET:
        return ()
    return measured.found().get(measured.key(op, shapes, itemsize, machine.threads, s), ())


def forget() -> None:
    """Plan anew: a trial has chosen."""
    _planned.cache_clear()


def decide(op: str, shapes: tuple[Shape | None, ...], itemsize: int, s: Any = None, *without: str) -> Plan:
    """The plan for this machine, kept for the next call of the same sizes; `without` some ways that were tried."""
    forced = wanted()
    if without:
        forced = tuple(sorted((dict(forced) | dict.fromkeys(without, False)).items()))
    return _planned(op, shapes, itemsize, Machine(host.threads()), forced, s)


def explain(
    op: str, *arrays: Any, dtype: Any = None, threads: int | None = None, target: Target = TARGET, **settings: Any
) -> Plan:
    """Which way `op` goes for these arrays, or shapes, given in the order of the kernel's arguments; None as there.
    Settings, too, come as the kernel takes them: as one object at the end, or by keyword.

    dtype: by default that of the first array, or float32;   threads, target: by default this machine's

    Raises ValueError for an operation that is not known, TypeError for a setting that is missing, and what the kernel
    raises for shapes that do not fit.
    """
    if op not in PLANNERS:
        raise ValueError(f"explain: there is no operation {op!r}; there are {', '.join(sorted(PLANNERS))}")
    given, s = OPERATIONS[op].split(arrays, settings)
    dtypes = [a.dtype for a in given if hasattr(a, "dtype")]
    itemsize = np.dtype(dtype or (dtypes[0] if dtypes else "float32")).itemsize
    left_out = (type(None), Running)  # no plan asks for the running statistics
    shapes = tuple(None if isinstance(a, left_out) else tuple(getattr(a, "shape", a)) for a in given)
    if any(0 in shape for shape in shapes if shape is not None):
        return Plan(NOTHING)
    count = host.threads() if threads is None else threads
    machine = Machine(count, target)
    return PLANNERS[op](shapes, itemsize, machine, Choices(_measured(op, shapes, itemsize, machine, s) + wanted()), s)
