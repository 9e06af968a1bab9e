"""What the commands share: errors of one sentence, folders, the progress bar."""

from __future__ import annotations

import importlib.util
import signal
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tinyres.cli.terminal import say

UNGUARDED = "there are no locks on the file system of {}: see to it that no other run writes there meanwhile"
LAB = {"rich": "rich", "matplotlib": "matplotlib", "sklearn": "scikit-learn", "jinja2": "jinja2"}


class UsageError(Exception):
    """Something the user can mend; shown as one sentence without a traceback."""


def need(packages: dict[str, str], extra: str = "lab") -> None:
    """Refuse to begin without these packages ({module: name of its distribution})."""
    missing = [name for module, name in packages.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(f"needs {', '.join(missing)}: pip install 'tinyres[{extra}]'")


def known(what: str, name: str, names: Iterable[str], hint: str = "") -> str:
    """`name` as it is spelled among `names`, in whatever case it was typed; otherwise an error with the nearest."""
    spelled = {entry.lower(): entry for entry in names}
    found = spelled.get(name.lower())
    if found is None:
        near = [spelled[n] for n in get_close_matches(name.lower(), spelled, n=3, cutoff=0.4)]
        question = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(spelled.values())}"
        raise UsageError(f"no {what} called {name!r}; {question}{hint}")
    return found


def on_device(name: str) -> None:
    """Refuse a device that does not exist, or that this machine does not have."""
    from tinyres.arrays import check_device

    try:
        check_device(name)
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"--device: {error}") from error


def make_folder(folder: Path) -> None:
    """Make it, and see that something can be written there, before anything long begins."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder; name another one with --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # under no name, or one of its own: others may look at the same time
            pass
    except OSError as error:
        raise UsageError(f"cannot write into {folder}: {error.strerror}; name another folder with --out") from error


@contextmanager
def held(folder: Path, console: Any, *inside: str) -> Iterator[None]:
    """Make the folder, and keep other runs out while the block runs; see `FolderLock`."""
    from tinyres.lock import FolderLock, FolderTaken

    make_folder(folder)
    try:
        with writing(folder):
            lock = FolderLock(folder, *inside)
    except FolderTaken as error:
        raise UsageError(str(error)) from error
    with lock:
        if not lock.held:
            say(console, UNGUARDED.format(folder))
        yield


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Inside, a file that cannot be written is told in a sentence."""
    try:
        yield
    except BrokenPipeError:  # of the terminal's, not of a file
        raise
    except OSError as error:
        name = error.filename2 or error.filename or target
        raise UsageError(f"cannot write {name}: {error.strerror or error}") from error


@contextmanager
def going_on(checkpoint: Path) -> Iterator[None]:
    """Inside, a checkpoint that --resume cannot go on from is told in a sentence."""
    from tinyres.files import FileFormatError
    from tinyres.training import CheckpointError

    try:
        yield
    except FileNotFoundError as error:
        raise UsageError(f"--resume: there is no {checkpoint} to go on from") from error
    except (FileFormatError, CheckpointError) as error:
        raise UsageError(f"--resume: {error}") from error
    except OSError as error:
        raise UsageError(f"--resume: cannot read {checkpoint}: {error.strerror or error}") from error


def check_kernels(command: Any) -> None:
    """Declare --check-kernels."""
    command.add_argument("--check-kernels", type=int, default=0, metavar="N",
                         help="hold each kernel's results against im2col in float64, in the first N steps")  # fmt: skip


def checking(steps: Iterator[Any], count: int, console: Any) -> Iterator[Any]:
    """The items of `steps`, of which the first `count` are made by kernels that are checked."""
    from tinyres.arrays import CHECK, kernels

    if count < 0:
        raise UsageError(f"--check-kernels {count}: a number of steps is needed, 0 or more")
    if count:
        need({"hypothesis": "hypothesis"}, "conformance")
        say(console, f"the kernels of the first {count} steps are checked, each against im2col in float64: slowly")
    for _ in range(count):
        with kernels(CHECK):
            item = next(steps, None)
        if item is None:
            return
        yield item
    yield from steps


def tell_resumed(console: Any, made: Any, what: str, plain: Any, processes: int = 1) -> None:
    """One line: from where `made` goes on, and in what its recipe is another than `plain`; one more where it moved."""
    from tinyres.training.machine import differences, machine

    settings = [f"{name} {here}" for name, (here, _) in made.recipe.differs_from(plain).items()]
    told = ", ".join([what, *settings])
    say(console, f"going on from step {made.step} of {made.total}: {told}")
    moved = differences(made.came_from, machine(made.device, processes))
    if moved:
        say(console, f"sums may round differently here ({moved}): not bit for bit the run that was never stopped")


def tell_files(console: Any, folder: Path) -> None:
    """A line for each file and folder that lies there now."""
    for path in sorted(folder.iterdir()):
        if not path.name.startswith("."):  # as the lock's
            say(console, f"wrote {path}")


def progress(console: Any) -> Any:
    """A progress bar with counts and the time that is left."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


def check_depth(arch: str, depth: int, **options: Any) -> None:
    """Refuse a depth that the architecture does not come in, with its own words."""
    from tinyres import models

    try:
        getattr(models, arch)(depth, rng=0, **options)
    except ValueError as error:
        raise UsageError(f"--depth {depth}: {arch}: {error}") from error


@contextmanager
def polite_kill() -> Iterator[None]:
    """Inside, SIGTERM stops as Ctrl-C does."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # which alone is sent signals
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def stopping() -> Iterator[list[float]]:
    """Inside, Ctrl-C (or a polite kill) is noted, and acted on after the step; a second Ctrl-C is not waited for.

    One within a second of the first is the same: a terminal, or a batch system, and mpiexec may both hand it on.
    """
    asked: list[float] = []  # when

    def note(number: int, frame: Any) -> None:
        if asked and number == signal.SIGINT and time.monotonic() - asked[0] > 1:
            raise KeyboardInterrupt
        asked.append(time.monotonic())

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
