"""What a kernel prints, kept apart from the report: in a file while its process runs, a few lines of it in the text."""

import ctypes
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MOST, SHOWN = 2000, 6  # bytes of one call that are kept; lines of them that the text shows


def kept_in(file: Path) -> Callable[[], str]:
    """Send what this process prints into `file`, from Python and from C. What is returned tells it, and forgets it."""
    there = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(there, 1)
    os.close(there)
    if isinstance(sys.stdout, io.TextIOWrapper):  # at once: a kernel that never returns has said something, too
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)

    def told() -> str:
        sys.stdout.flush()
        _flush_c()
        text = held(file)
        os.truncate(file, 0)
        return text

    return told


def held(file: Path) -> str:
    """The beginning of what the file holds, and how much more there is."""
    if not file.exists():
        return ""
    with open(file, "rb") as printed:
        first = printed.read(MOST).decode("utf-8", "replace")
    more = os.path.getsize(file) - MOST
    return f"{first}\n... and {more} bytes more" if more > 0 else first


@contextmanager
def aside(away: bool = True) -> Iterator[None]:
    """Within, what is printed goes to the standard error: the standard output is for a report that a program reads."""
    if not away:
        yield
        return
    sys.stdout.flush()
    before, stdout = os.dup(1), sys.stdout
    try:
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        yield
    finally:
        sys.stdout = stdout
        _flush_c()
        os.dup2(before, 1)
        os.close(before)


def shown(text: str, width: int) -> list[str]:
    """The first lines, each cut at `width`, and how many more there are."""
    lines = text.splitlines()
    cut = [line if len(line) <= width else f"{line[: width - 4]} ..." for line in lines[:SHOWN]]
    return cut + ([f"... and {len(lines) - SHOWN} lines more"] if len(lines) > SHOWN else [])


def _flush_c() -> None:
    with suppress(TypeError, OSError, AttributeError):  # Windows has no C library by that name
        ctypes.CDLL(None).fflush(None)
