"""Cases run in a process of their own, each within a time limit: a kernel that hangs or crashes ends that process."""

from __future__ import annotations

import faulthandler
import linecache
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import current_thread, main_thread
from traceback import format_exception
from typing import Any

from tinyres_kernels.conformance.adapt import Adapt, adapted
from tinyres_kernels.conformance.declare import MADE, Case
from tinyres_kernels.conformance.examine import Finding, examine, installed
from tinyres_kernels.conformance.kernel import compiler, load
from tinyres_kernels.conformance.prints import held, kept_in

STARTING = 60.0  # seconds until a process says that it has begun: it imports, which is no case's time
MEMORY = 8 << 30  # bytes that the process may take, whatever the machine has: the same on every machine
COMPILING = 30.0  # seconds more for the first case of a kernel that is compiled as it is first called
PATIENT = 10.0  # seconds without a word
APART = "did not begin in a process of its own: "
LETTERS = {"": "C", "Fortran": "F"}  # of layouts, as Numba has them; A are any others
MOST = {"slow": 3, "ended": 12}  # cases that do so before the others are left out, not counting those made from them


ANEW = (
    "Numba compiles it for each dtype and layout that it is called with: {} of {} so far. np.ascontiguousarray in a "
    "wrapper around it saves most of them"
)


def array_types(case: Case) -> tuple[str, str, bool]:
    """What Numba compiles a kernel anew for: the dtype, the layout, and whether inputs are read-only."""
    return case.dtype, LETTERS.get(case.lies, "A"), case.readonly


def all_types(case: Case) -> set[tuple[str, str, bool]]:
    """Those of all named cases."""
    return {
        (dtype, LETTERS.get(named.lies, "A"), named.readonly)
        for dtype in ("float32", "float64")
        for named in case.op.cases.values()
    }


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
        self._compiler, self._begun = "", False
        self._compiled: set[tuple[Any, ...]] = set()  # what arrays it was compiled for, as of `array_types`
        self._folder = TemporaryDirectory()
        self._printed, self._last = Path(self._folder.name, "printed"), Path(self._folder.name, "last")

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()
        self._folder.cleanup()

    def begin(self) -> str:
        """Import the kernel there, before anybody does so here. Returns how that came to nothing, or an empty text."""
        self._begun = True
        return self._start().removeprefix(APART)

    def __call__(self, case: Case, how: Adapt | None = None) -> Finding:
        """The finding of one case. `how` in place of the kernel's own, to try whether it takes other arrays."""
        counts = case.title not in MADE
        if counts and any(self.over[sign] >= most for sign, most in MOST.items()):
            return Finding(case, ["was not run, since too many cases before it did not come to an end"], signs={"left"})
        fresh = self._process is None or self._begun
        came = self._start() if self._process is None else ""
        self._begun = False
        if fresh:
            self._compiled = set()
        if fresh and self._known and not came:
            self._ask(self._known, self.how, COMPILING if self._compiler else 0.0)
            self._compiled.add(array_types(self._known))
            came = "" if self._process else self._start()
        anew = (fresh and not self._compiled) or (self._compiler == "Numba" and array_types(case) not in self._compiled)
        found = came or self._ask(case, how or self.how, COMPILING if self._compiler and anew else 0.0)
        self._compiled.add(array_types(case))
        if isinstance(found, Finding):
            self._known = self._known or case
            return found
        sign = "slow" if found.startswith("was stopped") else "ended"
        self.over[sign] += counts if self._known or sign == "ended" else MOST[sign]
        return Finding(case, [found], signs={sign}, seconds=self.limit, printed=held(self._printed))

    def _start(self) -> str:
        """A new process, which has imported the kernel. Returns how that came to nothing, or an empty text."""
        self._printed.unlink(missing_ok=True)
        spawn = get_context("spawn")
        self._line, there = spawn.Pipe()
        process = spawn.Process(target=_serve, args=(there, self.place, self._printed, self._last), daemon=True)
        with _deaf():  # who interrupts the parent is answered by the parent
            process.start()
        self._process = process
        there.close()
        try:
            if self._line.poll(STARTING):
                imported, came = self._line.recv()
                if imported:
                    self._compiler = came
                    return ""
                told = f"{APART}{came}"
            else:
                told = f"was stopped before its first call: its module was not imported within {STARTING:g} s"
        except (EOFError, OSError):
            told = self._ended()
        self._end()
        return told

    def _ended(self) -> str:
        self._process.join(5)
        return f"ended its process {_death(self._process.exitcode)}{_place(held(self._last))}"

    def _ask(self, case: Case, how: Adapt, more: float) -> Finding | str:
        """The finding, or how it came to nothing. `more`: seconds that compiling may take, besides the limit."""
        within = self.limit + more
        try:
            self._line.send((case, how, self.how))
            left = within
            if within > PATIENT and not self._line.poll(PATIENT):
                left = within - PATIENT
                note = f"the case `{case.title}` takes long: waiting for at most {left:g} s more"
                if more and self._compiler == "Numba":
                    note += f". {ANEW.format(len(self._compiled), len(all_types(case)))}"
                print(f"tinyres_kernels: {note}", file=sys.stderr, flush=True)
            if self._line.poll(left):
                found: Finding | CheckerError = self._line.recv()
                if isinstance(found, CheckerError):
                    raise found
                return found
            compiling = f", and {more:g} s more to be compiled in" if more else ""
            told = f"was stopped after {within:g} s (the limit of {self.limit:g} s{compiling})"
        except (EOFError, OSError):
            told = self._ended()
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


def _place(text: str) -> str:
    """The last line of the reader's Python, in what `faulthandler` wrote: the most recent call comes first."""
    for file, number, name in re.findall(r'^  File "(.+)", line (\d+) in (.+)$', text.partition("Extension")[0], re.M):
        if not installed(file):
            return f", in {name} (line {number} of {Path(file).name}: {linecache.getline(file, int(number)).strip()})"
    return ""


@contextmanager
def _deaf() -> Iterator[None]:
    """A process that is started within does not hear Ctrl-C. Only the main thread of Python can see to that."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _bounded() -> None:
    """Let an array that is too large end in a MemoryError in this process, and not the machine in a standstill."""
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limit, and macOS another one
        import resource

        most = resource.getrlimit(resource.RLIMIT_DATA)[1]
        bound = MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most)
        resource.setrlimit(resource.RLIMIT_DATA, (bound, most))


def _serve(line: Connection, place: str, printed: Path, last: Path) -> None:
    told = kept_in(printed)
    _bounded()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable(open(last, "w"))  # noqa: SIM115 (open until the process ends)
    try:
        kernel = load(place)
    except ValueError as error:
        line.send((False, str(error)))
        return
    line.send((True, compiler(kernel)))
    told()  # what the module prints on import was seen in the parent
    made: dict[tuple[str, Adapt], Callable[..., Any]] = {}
    with suppress(EOFError):
        while True:
            case, how, own = line.recv()
            key = case.op.name, how
            if key not in made:
                made[key] = adapted(kernel, case.op.name, how, own)
            try:
                line.send(examine(made[key], case, told))
            except Exception as error:  # what the kernel raises is in the finding: this is the checker's own
                line.send(CheckerError.of(error))
