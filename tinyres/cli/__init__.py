"""The command `tinyres`: a file a subcommand, each with `add` (its arguments) and `run`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from tinyres import __version__
from tinyres.backend import KernelDisagreement
from tinyres.cli import bench, flow, gan, step, sweep, train, tutorials
from tinyres.cli.common import UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0; 1 where a law failed; 2 where the command could not be run; 3 where a
    GPU fails the smoke checks of `bench gpu-report`."""
    for stream in (sys.stdout, sys.stderr):  # a terminal without Greek letters shows a question mark instead
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    os.environ["MPLBACKEND"] = "agg"  # commands draw into files; a notebook's own, inherited by `!tinyres`, is no use
    parser = argparse.ArgumentParser(
        prog="tinyres",
        description="See how gradients vanish or survive.",
        epilog="Exit status: 0; 1 where a law does not hold, a run diverged, a kernel was wrong or a point of a sweep "
        "failed; 2 where the command could not be run; 3 where a GPU fails the smoke checks of `bench gpu-report`.",
    )
    parser.add_argument("--version", action="version", version=f"tinyres {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in (flow, train, sweep, gan, step, tutorials, bench):
        command.add(commands)
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    try:
        return int(arguments.run(arguments))
    except UsageError as error:
        print(f"tinyres {arguments.command}: {error}", file=sys.stderr)
        return 2
    except KernelDisagreement as error:
        print(f"tinyres {arguments.command}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


__all__ = ["main"]
