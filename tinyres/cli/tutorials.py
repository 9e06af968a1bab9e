"""`tinyres tutorials`: list the tutorials, copy them to a folder, run one, or collect the results of exercises."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tinyres.bench import children
from tinyres.cli import marks
from tinyres.cli.common import UsageError, known, make_folder, need, writing
from tinyres.cli.notebooks import alone, notebook
from tinyres.exercises.results import NAME
from tinyres.files import write

PACKAGE = Path(__file__).parents[1]
FILES = "[0-9][0-9]_*.py"
TITLE = re.compile(r"^# # (?:\d+\W+)?(.+)$", re.MULTILINE)  # a heading in a markdown cell of the percent format
TIME = re.compile(r"[Aa]bout (\d+) s")


@dataclass(frozen=True)
class Tutorial:
    """A tutorial file: its number, the question it asks, and roughly how many seconds it runs."""

    path: Path
    number: str
    question: str
    seconds: int | None


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "tutorials",
        help="list the tutorials, copy them, run one, collect results",
        description="List the tutorials. They are plain Python files with cells: run them as scripts, or open them in "
        "VS Code. `copy --notebook` makes notebooks for Jupyter.",
    )
    parser.set_defaults(run=run_list)
    parts = parser.add_subparsers(dest="part", metavar="WHAT")
    copy = parts.add_parser(
        "copy",
        help="copy all of them into a folder",
        description="Copy all tutorials into a folder, where you can change them.",
        epilog="Example: tinyres tutorials copy lessons --notebook",
    )
    copy.add_argument("folder", nargs="?", type=Path, metavar="DIR", default=Path("tinyres-tutorials"),
                      help="where to copy them (default: tinyres-tutorials)")  # fmt: skip
    copy.add_argument("--notebook", action="store_true", help="write a Jupyter notebook beside each file as well")
    copy.add_argument("--results", action="store_true", help="let the notebooks keep what tr.exercise says, right or "
                      "wrong, in their own folder (implies --notebook)")  # fmt: skip
    copy.add_argument("--force", action="store_true", help="overwrite existing files, and the answers in them")
    copy.set_defaults(run=run_copy)
    run = parts.add_parser(
        "run", help="read and run one in the terminal",
        description="Print a tutorial's text, run its cells one by one, and wait where it asks for a guess. Pictures "
        "open in windows if a display is available.",
        epilog="Example: tinyres tutorials run 03 --figures pictures",
    )  # fmt: skip
    run.add_argument("number", metavar="NUMBER", help="as listed, or part of its name: 03, residual_sum")
    run.add_argument("--figures", type=Path, metavar="DIR", help="write the pages to step through, and without a "
                     "display the pictures, into this folder (default: nowhere)")  # fmt: skip
    run.set_defaults(run=run_one)
    marks.add(parts)


def run_list(arguments: argparse.Namespace) -> int:
    """Print one line per tutorial."""
    found = tutorials()
    width = max(len(tutorial.question) for tutorial in found)
    print(f"{'':2}  {'question':{width}}  it computes")
    for tutorial in found:
        time = "" if tutorial.seconds is None else f"{tutorial.seconds} s"
        print(f"{tutorial.number}  {tutorial.question:{width}}  {time:>5}".rstrip())
    print(f"\nThe files are in {found[0].path.parent}")
    print("`tinyres tutorials copy` copies them for editing; `tinyres tutorials run 01` runs the first.")
    return 0


def run_copy(arguments: argparse.Namespace) -> int:
    """Copy all tutorials, or none if a file would be overwritten."""
    found, folder = tutorials(), arguments.folder
    make_folder(folder, "")
    if folder.resolve() == found[0].path.parent.resolve():
        raise UsageError(f"{folder} is the folder to copy from; name another one")
    files = {tutorial.path.name: alone(tutorial.path.read_text(encoding="utf-8")) for tutorial in found}
    notebooks = arguments.notebook or arguments.results
    if notebooks:
        files |= {f"{Path(name).stem}.ipynb": notebook(text, arguments.results) for name, text in files.items()}
    there = [name for name in sorted(files) if (folder / name).exists()]
    if there and not arguments.force:
        some = ", ".join(there[:3]) + (f" and {len(there) - 3} more" if len(there) > 3 else "")
        raise UsageError(
            f"{folder} already holds {some}; name another folder, or use --force to overwrite these, with what was "
            "written into them"
        )
    new = [folder / name for name in files if name not in there]
    try:
        for name, content in files.items():
            with writing(folder):
                write(folder / name, content.encode())
    except BaseException:
        for path in new:  # else a second try would find them, and ask for --force
            path.unlink(missing_ok=True)
        raise
    first = found[0].path
    print(f"copied {len(found)} tutorials{', each as a notebook as well,' if notebooks else ''} to {folder}")
    if arguments.results:
        print(f"their first cells let tr.exercise add right or wrong to {folder / NAME}; the answers are not kept")
    if notebooks:
        without = "" if find_spec("jupyterlab") else " (after `pip install jupyterlab`)"
        print(f"begin with {first.stem}.ipynb: jupyter lab {folder}{without}; VS Code and Colab open it, too")
    else:
        print(f"begin with: python {folder / first.name}")
    return 0


def run_one(arguments: argparse.Namespace) -> int:
    """Run one with this Python; the exit status is 0, or 1 if it failed."""
    need({"matplotlib": "matplotlib", "sklearn": "scikit-learn", "flatlatex": "flatlatex"})
    if arguments.figures is not None:
        make_folder(arguments.figures, " with --figures")
    folder = [] if arguments.figures is None else [str(arguments.figures)]
    command = [sys.executable, "-m", "tinyres.cli.reading", str(_called(arguments.number).path), *folder]
    ended = subprocess.run(command, env=children.environment(), check=False).returncode
    return 1 if ended else 0


def _called(name: str) -> Tutorial:
    """The tutorial of this number, or the only one whose file has this in its name."""
    found = tutorials()
    by_number = {tutorial.number: tutorial for tutorial in found}
    if name.isdigit():
        number = name.zfill(2)
        if number not in by_number:
            raise UsageError(f"no tutorial called {name!r}; there are {found[0].number} to {found[-1].number}")
        return by_number[number]
    stems = {tutorial.path.stem: tutorial for tutorial in found}
    having = [stem for stem in stems if name.lower() in stem]
    if len(having) > 1:
        raise UsageError(f"{name!r} is in the name of several tutorials: {', '.join(having)}")
    return stems[having[0]] if having else stems[known("tutorial", name, stems)]


def tutorials(package: Path = PACKAGE) -> list[Tutorial]:
    """All tutorials in order, from the wheel or the checkout.

    Raises:
        UsageError: they are in neither place.
    """
    for folder in (package / "tutorials", package.parent / "tutorials"):
        paths = sorted(folder.glob(FILES))
        if paths:
            return [_read(path) for path in paths]
    raise UsageError("this installation does not include the tutorials; find them in the repository's tutorials folder")


def _read(path: Path) -> Tutorial:
    first, _, _ = path.read_text(encoding="utf-8").partition("\n\n# %%")
    title, time = TITLE.search(first), TIME.search(first)
    question = title.group(1).strip() if title else path.stem[3:].replace("_", " ")
    return Tutorial(path, path.name[:2], question, int(time.group(1)) if time else None)
