"""`tinyres port`: what a script for PyTorch uses, what of it is here, and what to write for the rest."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tinyres.cli.common import UsageError, make_room, need, writing
from tinyres.cli.port_script import Script
from tinyres.cli.ported import Source
from tinyres.cli.terminal import say, terminal
from tinyres.files import write


def add(commands: Any) -> None:
    """Declare the command."""
    port = commands.add_parser(
        "port",
        help="say what a script written for PyTorch needs before it runs here",
        description="Read a script or a Jupyter notebook written for PyTorch, without running it, and list at once "
        "every name of PyTorch that tinyres has, and every one that it lacks, with its line and what to write instead. "
        "Exit status 1 if something is missing.",
        epilog="Example: tinyres port train.py --out train_tinyres.py",
    )
    port.add_argument("file", type=Path, metavar="FILE", help="the script or the Jupyter notebook to read")
    port.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="also write a copy that imports tinyres instead of torch (default: none)",
    )
    port.add_argument("--force", action="store_true", help="overwrite an existing file")
    port.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what is here and what is missing; write the script with other imports if asked to."""
    need({"rich": "rich"})
    path, out, console = arguments.file, arguments.out, terminal()
    make_room(out, "--out")
    if out is not None and out.exists() and not arguments.force:
        raise UsageError(f"{out} exists, and may have been edited by hand; choose another --out, or add --force")
    source = Source(path)
    script = Script(source.tree)
    here, missing = script.found()
    if not here and not missing:
        say(console, f"{path}: uses nothing of PyTorch{'; nothing was written' if out is not None else ''}")
        return 0
    count = sum(map(len, here.values()))
    names = (
        "imports tinyres already"
        if "torch" not in script.roots
        else "1 name of PyTorch is here under the same name"
        if count == 1
        else f"{count} names of PyTorch are here under the same names"
    )
    say(console, f"{path}: {names}; {len(missing) or 'nothing'} to mend")
    for room, inside in sorted(here.items()):
        say(console, f"  {room}: {', '.join(sorted(inside))}", style="green")
    for line, what, mend in sorted(missing):
        say(console, f"  {mend}", f"{source.place(line)}: {what}\n", "bold red")
    if out is not None:
        with writing(out):
            write(out, source.ported())
        left = "; the lines listed above are left for you to change" if missing else ""
        say(console, f"wrote {out}, which imports tinyres instead of torch{left}")
    return 1 if missing else 0
