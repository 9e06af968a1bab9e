"""Guard mode for conformance: cases run in a child process, which dies of an array that is overrun.

for violation in guarded.run([Task("mymodule:my_conv2d", case) for case in cases]):
    print(violation)
"""

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.conformance.report import call
from tinyres_kernels.conformance.search import cases
from tinyres_kernels.guard import SIDES, SLACK, Side

if TYPE_CHECKING:
    from tinyres_kernels.conformance.plan_search import Found

Forced = tuple[tuple[str, Any], ...]
Packed = tuple[str, dict[str, Any], Forced, Side]  # a kernel's place, a case, what is forced, a side

# Ended by an overrun in the passes "end" and "start": on the side that is not guarded, a short one goes unpunished.
BEYOND = {
    (True, False): "past the end of an array",
    (False, True): "before the beginning of an array",
    (True, True): f"beyond an array, by more than {SLACK // 1024} KiB or on both sides",
}


class Task(NamedTuple):
    """A case for the kernel at `module:function`; `forced` is what `cpu.forced` is given around it."""

    kernel: str
    case: Case
    forced: Forced = ()

    def packed(self, side: Side) -> Packed:
        """As it can be pickled: operations hold functions."""
        told = {field.name: getattr(self.case, field.name) for field in fields(self.case)}
        return self.kernel, told | {"op": self.case.op.name}, self.forced, side


class Violation(NamedTuple):
    """What is wrong with one case."""

    task: Task
    what: str

    def __str__(self) -> str:
        kernel, case, forced = self.task
        under = f", under cpu.forced({', '.join(f'{name}={value}' for name, value in forced)})" if forced else ""
        return f"{kernel}, {case.title}: {call(case)}, seed {case.seed}{under}: {self.what}"


class Outcome(NamedTuple):
    """What came of one pass. `overrun`: it ended the process, in the compiled kernel `inside`, if that has a name."""

    faults: list[str]
    overrun: bool = False
    inside: str = ""


def own() -> Iterator[Task]:
    """For the CPU kernels: the named cases of every operation, all of every plan, and the layers of well-known nets."""
    from tinyres_kernels.conformance import plans  # for which Numba has to be there

    for op in OPS:
        yield from (Task(f"tinyres_kernels.cpu:{op}", case) for case in cases(op, examples=0))
        yield from map(planned, plans.suite(full=True, ops=[op]))
    yield from map(planned, plans.layers())


def planned(found: "Found") -> Task:
    """The case of a plan, for the CPU kernel itself."""
    forced = (*found.limits, ("threads", found.threads))
    return Task(f"tinyres_kernels.cpu:{found.case.op.name}", found.case, forced)


def run(
    tasks: Iterable[Task],
    *,
    most: int | None = None,
    only: tuple[str, ...] = ("",),
    progress: Callable[[int, Task], None] = lambda done, task: None,
) -> list[Violation]:
    """Run every task twice: its arrays end at pages without access rights, then they start there.

    A kernel that touches such a page ends its process; the next task is run in a fresh one. Results are held against
    the specification, too. `progress` is called after each task; with `most`, so many violations are enough. `only`
    those are any whose sentences begin so.

    Raises RuntimeError, with what the process said, if it could not run the kernels.
    """
    tasks = list(tasks)
    steps = [(task, side) for task in tasks for side in SIDES]
    found: list[Violation] = []
    outcomes: list[Outcome] = []
    while len(outcomes) < len(steps) and (most is None or len(found) < most):
        with closing(_outcomes(steps[len(outcomes) :])) as made:
            for outcome in made:
                outcomes.append(outcome)
                done, rest = divmod(len(outcomes), len(SIDES))
                if rest:
                    continue
                task = tasks[done - 1]
                found += [Violation(task, what) for what in _verdict(*outcomes[-len(SIDES) :]) if what.startswith(only)]
                progress(done, task)
                if most is not None and len(found) >= most:
                    break
    return found


def _verdict(end: Outcome, start: Outcome) -> list[str]:
    if end.overrun or start.overrun:  # of a pass that lives through it the results are wrong, as is to be expected
        inside = end.inside or start.inside
        where = f", in the compiled kernel {inside}" if inside else ""
        return [f"read or wrote {BEYOND[end.overrun, start.overrun]}{where}"]
    return list(dict.fromkeys(end.faults + start.faults))


def _outcomes(steps: Sequence[tuple[Task, Side]]) -> Generator[Outcome, None, None]:
    """What is wrong in each step, run in one process; after the step that ends the process there is nothing more."""
    command = [sys.executable, "-m", "tinyres_kernels.conformance.guarded_child"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    report, write = os.pipe()
    with open(report) as lines, tempfile.TemporaryFile() as tasks, tempfile.TemporaryFile("w+") as said:
        try:
            pickle.dump([task.packed(side) for task, side in steps], tasks)
            tasks.seek(0)
            child = subprocess.Popen(
                [*command, str(write)],
                stdin=tasks,
                stdout=subprocess.DEVNULL,
                stderr=said,
                pass_fds=[write],
                env=environment,
            )
        finally:
            os.close(write)
        try:
            running, inside = False, ""
            for line in lines:
                step, what = json.loads(line)
                if step == "inside":
                    inside = what
                    continue
                running, inside = step == "begins", ""
                if step == "ends":
                    yield Outcome(what)
            status = child.wait()
            if running:
                yield _death(status, inside)
            elif status:
                said.seek(0)
                raise RuntimeError(f"guard mode: the process that runs the kernels failed:\n{said.read()}")
        finally:
            child.kill()
            child.wait()


def _death(status: int, inside: str) -> Outcome:
    if -status in (signal.SIGSEGV, signal.SIGBUS):
        return Outcome([], True, inside)
    how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
    return Outcome([f"ended its process {how}"])
