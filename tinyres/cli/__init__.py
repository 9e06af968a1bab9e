"""The command `tinyres`: one file per subcommand, each with `add` (its arguments) and `run`."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np
from tinyres_kernels.command_line import Parser

from tinyres import starting
from tinyres.arrays import KernelDisagreement
from tinyres.cli import bench, compiling, flow, gan, play, port, sample, step, sweep, train, tutorials
from tinyres.cli.common import UsageError, sigterm_as_interrupt
from tinyres.cli.terminal import complain, printable, speak_anywhere
from tinyres.version import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0; 1 where a law failed; 2 where the command could not be run; 3 where a
    GPU fails the smoke checks of `bench gpu-report`."""
    speak_anywhere(sys.stdout, sys.stderr)
    starting.over()
    os.environ["MPLBACKEND"] = "agg"  # commands draw into files; a notebook's own, inherited by `!tinyres`, is no use
    parser = make_parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    called = " ".join(["tinyres", arguments.command, *filter(None, [getattr(arguments, "part", None)])])
    try:
        with sigterm_as_interrupt(), plain_warnings(), compiling.shown():
            status = int(arguments.run(arguments))
        sys.stdout.flush()  # a full disk behind it is noticed here, not when Python ends
        return status
    except UsageError as error:
        complain(f"{called}: {error}")
        return 2
    except KernelDisagreement as error:
        complain(f"{called}: {error}")
        return 1
    except ImportError as error:
        package = (error.name or "tinyres").partition(".")[0]
        if package.startswith("tinyres"):  # a fault of ours, which a traceback tells best
            raise
        complain(f"{called}: {error}: install it anew, pip install --force-reinstall {package}")
        return 2
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        _discard_output()
        return 0
    except (
        OSError
    ) as error:  # errors of files are caught where they are written: this is the output itself, or the system
        where = error.filename or "the standard output, perhaps"
        complain(f"{called}: {error.strerror or error}: {where}")
        _discard_output()
        return 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


def make_parser() -> argparse.ArgumentParser:
    """The command line: every subcommand with its options."""
    parser = Parser(
        prog="tinyres",
        description="See how gradients vanish or survive.",
        epilog="Exit status: 0 for success; 1 if a law does not hold, a run diverged, a kernel was wrong or a point of "
        "a sweep failed; 2 if the command could not be run; 3 if a GPU fails the smoke checks of `bench gpu-report`. "
        "A kernel of your own is checked by `python -m tinyres_kernels check`.",
        elsewhere={"check": "kernels are checked by `python -m tinyres_kernels check MODULE:FUNCTION --op OP`"},
    )
    parser.add_argument("--version", action="version", version=f"tinyres {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in (flow, play, train, sample, sweep, gan, step, port, tutorials, bench):
        command.add(commands)
    return parser


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Inside, a warning is a line without file, line number and source; NumPy's of an overflow are left out.

    What overflows shows in the numbers that a command prints, and a run that diverges says so itself.
    """
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *place, **more: printable(f"warning: {message}\n")
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            yield
    finally:
        warnings.formatwarning = before


def _discard_output() -> None:
    """Send what is still to be flushed to /dev/null."""
    with suppress(OSError, ValueError):  # ValueError: no stream of the system's
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


__all__ = ["main", "make_parser"]
