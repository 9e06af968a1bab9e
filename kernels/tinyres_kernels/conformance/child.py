"""Cases run in a process of their own, each within a time limit: a kernel that hangs or crashes ends that process."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import format_exception
from typing import Any

from tinyres_kernels.conformance.adapt import Adapt, adapted
from tinyres_kernels.conformance.declare import MADE, Case
from tinyres_kernels.conformance.examine import Finding, examine
from tinyres_kernels.conformance.kernel import load
from tinyres_kernels.conformance.prints import held, kept_in

STARTING = 30.0  # seconds more for the first case of a process, which imports and compiles
PATIENT = 10.0  # seconds without a word
MOST = {"slow": 3, "ended": 12}  # cases that do so before the others are left out, not counting those made from them


class CheckerError(Exception):
    """An error of the checker's own, with the traceback of the process in which it was raised."""

    @classmethod
    def of(cls, error: Exception) -> CheckerError:
        return cls("".join(format_exception(error)))


class Child:
    """`examine` for the kernel at `module:function`, elsewhere; `with Child(...) as examine: examine(case)`.

    A case that takes longer than `limit` seconds fails, and so does one that ends its process. After `MOST` of them, or
    where the very first one is too slow, nothing more is run, and every further case fails as one left out. What the
    kernel prints is in the findings.
    """

    def __init__(self, place: str, how: Adapt, limit: float) -> None:
        self.place, self.how, self.limit = place, how, limit
        self.over = dict.fromkeys(MOST, 0)
        self._known: Case | None = None  # a case that came to its end: it warms up a new process
        self._process: Any = None
        self._line: Any = None
        self._folder = TemporaryDirectory()
        self._printed = Path(self._folder.name, "printed")

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()
        self._folder.cleanup()

    def __call__(self, case: Case, how: Adapt | None = None) -> Finding:
        """The finding of one case. `how` in place of the kernel's own, to try whether it takes other arrays."""
        counts = case.title not in MADE
        if counts and any(self.over[sign] >= most for sign, most in MOST.items()):
            return Finding(case, ["was not run, since too many cases before it did not come to an end"], signs={"left"})
        fresh = self._process is None
        if fresh:
            self._start()
            if self._known:
                self._ask(self._known, self.how, STARTING)
        found = self._ask(case, how or self.how, STARTING if fresh and not self._known else 0.0)
        if isinstance(found, Finding):
            self._known = self._known or case
            return found
        sign = "slow" if found.startswith("was stopped") else "ended"
        self.over[sign] += counts if self._known or sign == "ended" else MOST[sign]
        return Finding(case, [found], signs={sign}, seconds=self.limit, printed=held(self._printed))

    def _start(self) -> None:
        self._printed.unlink(missing_ok=True)
        spawn = get_context("spawn")
        self._line, there = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(there, self.place, self._printed), daemon=True)
        self._process.start()
        there.close()

    def _ask(self, case: Case, how: Adapt, starting: float) -> Finding | str:
        """The finding, or how it came to nothing. `starting`: seconds more, which a start may take."""
        within = self.limit + starting
        try:
            self._line.send((case, how))
            left = within
            if within > PATIENT and not self._line.poll(PATIENT):
                left = within - PATIENT
                note = f"the case `{case.title}` takes long: waiting for at most {left:g} s more"
                print(f"tinyres_kernels: {note}", file=sys.stderr, flush=True)
            if self._line.poll(left):
                found: Finding | CheckerError = self._line.recv()
                if isinstance(found, CheckerError):
                    raise found
                return found
            start = f", and {starting:g} s more for the start of its process" if starting else ""
            told = f"was stopped after {within:g} s (the limit of {self.limit:g} s{start})"
        except (EOFError, OSError):
            self._process.join(5)
            told = f"ended its process {_death(self._process.exitcode)}"
        self._end()
        return told

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._line.close()
            self._process = None


def _death(status: int | None) -> str:
    if status is not None and status < 0:
        with suppress(ValueError):
            return f"by {signal.Signals(-status).name}"
    return f"with status {status}"


def _serve(line: Connection, place: str, printed: Path) -> None:
    told = kept_in(printed)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who interrupts the parent is answered by the parent
    kernel = load(place)
    told()  # what the module prints on import was seen in the parent
    made: dict[tuple[str, Adapt], Callable[..., Any]] = {}
    with suppress(EOFError):
        while True:
            case, how = line.recv()
            key = case.op.name, how
            if key not in made:
                made[key] = adapted(kernel, case.op.name, how)
            try:
                line.send(examine(made[key], case, told))
            except Exception as error:  # what the kernel raises is in the finding: this is the checker's own
                line.send(CheckerError.of(error))
