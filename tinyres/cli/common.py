"""What the commands share: errors told in one sentence, folders, progress bars."""

from __future__ import annotations

import errno
import importlib.util
import os
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from weakref import WeakSet

from tinyres.cli.terminal import say

_bars: WeakSet[Any] = WeakSet()
LAB = {"rich": "rich", "matplotlib": "matplotlib", "sklearn": "scikit-learn", "jinja2": "jinja2"}


class UsageError(Exception):
    """A mistake that the user can mend; shown as one sentence, without a traceback."""


def need(packages: dict[str, str], extra: str = "lab") -> None:
    """Refuse to start without these packages ({module: name of its distribution})."""
    missing = [name for module, name in packages.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(f"needs {', '.join(missing)}: pip install 'tinyres[{extra}]'")


def known(what: str, name: str, names: Iterable[str], hint: str = "") -> str:
    """The spelling of `name` in `names`, whatever its case; if there is none, an error that suggests the nearest."""
    spelled = {entry.lower(): entry for entry in names}
    found = spelled.get(name.lower())
    if found is None:
        near = [spelled[n] for n in get_close_matches(name.lower(), spelled, n=3, cutoff=0.4)]
        question = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(spelled.values())}"
        raise UsageError(f"no {what} called {name!r}; {question}{hint}")
    return found


def data_set(name: str, names: Iterable[str]) -> str:
    """The spelling of a data set's name, or the absolute path of your own data; else an error with what is near."""
    from tinyres import data

    spelled = {entry.lower(): entry for entry in names}
    if name.lower() in spelled:
        return spelled[name.lower()]
    try:
        return data.named(name, spelled.values(), "data set")
    except ValueError as error:
        raise UsageError(str(error)) from error


def file_name(data: str) -> str:
    """A data set's name as a part of a folder's name; of your own data, that of their folder or file."""
    return Path(data.removeprefix("text:")).name.removesuffix(".npz") or "data"


def on_device(name: str) -> None:
    """Refuse a device that does not exist, or that this machine lacks."""
    from tinyres.arrays import check_device

    try:
        check_device(name)
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"--device: {str(error).removeprefix('to: ')}") from error


def check_folder(folder: Path, how: str = " with --out") -> None:
    """Check that the folder can be written into, or made, before anything long begins; nothing is made yet."""
    try:
        there = next(place for place in (folder, *folder.parents) if place.exists())
        if not there.is_dir():
            raise UsageError(f"{there} is not a folder; choose another one{how}")
        with tempfile.TemporaryFile(dir=there) as file:  # unnamed or of a unique name: others may check at once
            file.write(b"x")
    except OSError as error:
        raise UsageError(f"cannot write into {folder}: {error.strerror}; choose another folder{how}") from error


def make_folder(folder: Path, how: str = " with --out") -> None:
    """Make the folder, after `check_folder`."""
    check_folder(folder, how)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


def make_room(path: Path | None, option: str) -> None:
    """Check that a file can be written, before anything long begins; the folder for it is made. None asks for none."""
    if path is None or (path.exists() and not path.is_file() and not path.is_dir()):  # /dev/stdout, say
        return
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file with {option}, such as {path / 'NAME'}")
    make_folder(Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent, f" with {option}")


@contextmanager
def writing(target: Path, checkpoint: Path | None = None) -> Iterator[None]:
    """Inside, a file that cannot be written becomes a UsageError; --resume continues from the checkpoint."""
    try:
        yield
    except BrokenPipeError:  # the terminal's, no file's
        raise
    except OSError as error:
        name = error.filename2 or error.filename or target
        mend = ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            again = " with --resume" if checkpoint is not None and checkpoint.is_file() else ""
            mend = f"; free some space, and repeat the command{again}"
        raise UsageError(f"cannot write {name}: {error.strerror or error}{mend}") from error


def tell_files(console: Any, folder: Path) -> None:
    """Print a line for each file and folder in the folder."""
    for path in sorted(folder.iterdir()):
        if not path.name.startswith("."):  # the lock's does
            say(console, f"wrote {path}")


def progress(console: Any) -> Any:
    """A rich progress bar with counts and the time left."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    made = Progress(*columns, console=console)
    _bars.add(made)
    return made


def started_bars() -> list[Any]:
    """The progress bars that are on the screen now."""
    return [bars for bars in list(_bars) if bars.live.is_started]


def check_depth(arch: str, depth: int, **options: Any) -> None:
    """Refuse a depth that the architecture does not have, in its own words."""
    from tinyres import models

    try:
        getattr(models, arch)(depth, rng=0, **options)
    except ValueError as error:
        raise UsageError(f"--depth {depth}: {arch}: {error}") from error


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Inside, SIGTERM raises KeyboardInterrupt as Ctrl-C does."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # signals are delivered to the main thread alone
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
