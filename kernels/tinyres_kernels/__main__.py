"""`python -m tinyres_kernels check MODULE:FUNCTION --op OP`: does this kernel conform? And `list`: to what?

`python -m tinyres_kernels check --guard --all`: does any CPU kernel read or write beside its arrays?
`python -m tinyres_kernels fuzz --minutes M`: do the CPU kernels conform, at any size and in any layout?
"""

import argparse
import inspect
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tinyres_kernels import guard
from tinyres_kernels.command_line import Parser, could_not

STORAGE = "HYPOTHESIS_STORAGE_DIRECTORY"  # where Hypothesis keeps what it found
UNSEEN = "  (your kernel never sees it: the code that calls it deals with it)"
CHECK = """\
Check a kernel: compare its results with the specification in every corner case, and in random cases.

The kernel is called with arrays whose shapes fit and that are not empty. It fills out. The command prints its signature
and the shapes, then each kind of failure with a small example and a picture of the wrong elements.

Text, JSON and JUnit count alike: a named case once for each dtype, and the drawn ones together as one."""
EXAMPLE = """\
example: save this as mymodule.py

    import numpy as np

    def my_conv2d(x, w, out, s):  # x (N, H, W, C), w (KH, KW, C/groups, O), out (N, OH, OW, O)
        (sh, sw), (ph, pw), (OH, OW) = s.stride, s.padding, out.shape[1:3]
        x = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)))
        out[...] = 0  # out is given: fill it; what is returned is ignored
        for a, b in np.ndindex(w.shape[:2]):
            out += x[:, a::sh, b::sw][:, :OH, :OW] @ w[a, b]

and run

    python -m tinyres_kernels check mymodule:my_conv2d --op conv2d

It knows neither dilation nor groups (s.dilation, s.groups), and that is what the check says.

a class: give a folder that holds ann.py, bob.py, ... (or ann/any_name.py, ...)

    python -m tinyres_kernels check students --op conv2d --csv marks.csv

Each file is checked in a process of its own, by the function conv2d, or by the only one that has as many arguments. A
file that hangs, is empty or is not Python gets a row that says so. It needs no network. The cases, the seed and the
number of threads are the same on every machine, so the marks are, too, unless a kernel comes close to --limit."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 where the kernel conforms, 1 where it does not, 2 where it could not be run.

    3 where the checker itself failed, which says nothing about the kernel.
    """
    with TemporaryDirectory() as folder:  # or Hypothesis would leave one in the user's
        before = os.environ.get(STORAGE)
        os.environ.setdefault(STORAGE, folder)
        try:
            return _main(arguments)
        finally:
            if before is None:
                del os.environ[STORAGE]


def _main(arguments: Sequence[str] | None) -> int:
    try:
        from tinyres_kernels import conformance
    except ModuleNotFoundError as missing:
        return could_not(str(missing))
    parser = _parser(list(conformance.OPS))
    given = parser.parse_args(arguments)
    if given.command == "list":
        return _list(given)
    if given.command == "fuzz":
        return _fuzz(given)
    if given.all != (given.kernel is None) or given.all != (given.op is None) or (given.all and not given.guard):
        parser.error("check needs MODULE:FUNCTION and --op OP; or --guard --all, for every CPU kernel")
    if given.guard and (given.layout != "nhwc" or given.arrays):
        parser.error("--guard takes a kernel of NumPy arrays as they are, without --layout and --arrays")
    if given.guard and not guard.possible():
        return could_not("--guard needs mmap and mprotect, which this system does not have: run it on Linux or macOS")
    if given.all:
        return _guard_all()
    from tinyres_kernels.conformance import checking, students

    if Path(given.kernel.partition(":")[0]).is_dir():
        return students.check_folder(given)
    if given.csv:
        parser.error("--csv is for a folder, a row for each student; one kernel's report is --json or --junit")
    return checking.check(given)


def _list(given: argparse.Namespace) -> int:
    from tinyres_kernels import conformance, reference
    from tinyres_kernels.conformance import search
    from tinyres_kernels.conformance.signature import lines, memory

    op = given.op or given.name
    if op is None:
        print(*conformance.OPS, sep="\n")
        print("\n`list OP` shows the arguments and the named cases of one of them.", file=sys.stderr)
        return 0
    told = inspect.getdoc(getattr(reference, op)) or ""
    print(
        *lines(op),
        *memory(op),
        "",
        *(f"  {line}".rstrip() for line in told.splitlines()),
        "",
        "  Named cases:",
        sep="\n",
    )
    for case in search.cases(op, examples=0, dtypes=("float64",)):
        print(f"    {case.title}{'' if case.possible else UNSEEN}")
    return 0


def _guard_all() -> int:
    from tinyres_kernels.conformance.guarded import Task, own, run

    print("guard mode: looking for the cases of every plan, which takes some minutes", file=sys.stderr, flush=True)
    tasks = list(own())

    def progress(done: int, task: Task) -> None:
        if done == len(tasks) or done % 50 == 0 or task.case.op != tasks[done].case.op:
            print(f"guard mode: {done} of {len(tasks)} cases, {task.case.op.name}", file=sys.stderr, flush=True)

    found = run(tasks, progress=progress)
    print(*found, f"guard mode: {len(tasks)} cases, {len(found)} violations\n", sep="\n")
    return 1 if found else 0


def _fuzz(given: argparse.Namespace) -> int:
    from tinyres_kernels import cpu
    from tinyres_kernels.conformance.fuzz import fuzz

    most, first = (None, 0) if given.case is None else (1, given.case)
    ops = [given.op] if given.op else []
    return int(fuzz(cpu, given.minutes, ops=ops, seed=given.seed, first=first, most=most, failures=given.failures) > 0)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"got {text!r}, needed a whole number that is not negative")
    return int(text)


def _minutes(text: str) -> float:
    minutes = _number(text)
    if not 0 < minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text!r}, needed a number of minutes greater than 0")
    return minutes


def _seconds(text: str) -> float:
    seconds = _number(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text!r}, needed a number of seconds, or 0 for no limit")
    return seconds


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0


def _parser(ops: list[str]) -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m tinyres_kernels", description="Compare a kernel with the specification of its operation."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check",
        help="check one kernel; the exit status is 0 if it conforms, 1 if it does not, 2 if it could not be run, 3 if "
        "the checker itself failed",
        description=CHECK,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument(
        "kernel",
        nargs="?",
        metavar="MODULE:FUNCTION",
        help="the kernel; modules in the current folder are found. Or a folder with a file for each student",
    )
    check.add_argument("--op", choices=ops, metavar="OP", help="the operation that it computes; `list` names them all")
    check.add_argument("--examples", type=_count, default=100, help="how many random cases to draw (default: 100)")
    check.add_argument("--seed", type=_count, default=0, help="another seed draws other cases (default: 0)")
    check.add_argument("--dtype", choices=["float32", "float64", "both"], default="both", help="(default: both)")
    check.add_argument(
        "--layout",
        choices=["nhwc", "nchw"],
        default="nhwc",
        help="nchw: pass images as (N, C, H, W) and weights as (O, C/groups, KH, KW) (default: nhwc)",
    )
    check.add_argument(
        "--arrays",
        default="",
        metavar="LIBRARY",
        help="pass arrays of this library, such as torch, torch:cuda or jax, by DLPack; results are copied back from "
        "out, or from what the kernel returns",
    )
    check.add_argument(
        "--limit",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="stop a case that takes longer, and count it as failed; the start of its process, and compiling, are not "
        "counted. "
        "For a slow kernel, raise it. 0: no limit, and run the kernel in this process, as a debugger needs it "
        "(default: 30)",
    )
    check.add_argument("--verbose", action="store_true", help="print a row for each named case")
    check.add_argument("--json", type=Path, metavar="FILE", help="also write the report as JSON; - prints it alone")
    check.add_argument("--junit", type=Path, metavar="FILE", help="also write it as JUnit XML; - prints it alone")
    check.add_argument(
        "--csv", type=Path, metavar="FILE", help="of a folder: write a row for each student; - prints it"
    )
    check.add_argument(
        "--each",
        type=_seconds,
        default=900.0,
        metavar="SECONDS",
        help="of a folder: stop a student's check that takes longer in all (default: 900)",
    )
    check.add_argument("--png", type=Path, metavar="FILE", help="also draw the wrong elements (needs matplotlib)")
    check.add_argument(
        "--guard",
        action=argparse.BooleanOptionalAction,
        help="also run it with each array next to memory that must not be touched (default: if it is compiled)",
    )
    check.add_argument("--all", action="store_true", help="with --guard: check all cases of all CPU kernels")
    fuzz = commands.add_parser(
        "fuzz",
        help="realistic cases for the CPU kernels; the status is 0 where none fails, 1 where one does",
    )
    fuzz.add_argument("--minutes", type=_minutes, default=1.0, help="for how long (default: 1)")
    fuzz.add_argument("--op", choices=ops, help="only this operation (default: all)")
    fuzz.add_argument("--seed", type=_count, default=0, help="another seed draws other cases (default: 0)")
    fuzz.add_argument("--case", type=_count, help="only the case of this number, as a failure tells it")
    fuzz.add_argument("--failures", type=Path, metavar="FILE", help="append the shrunk cases that fail to this file")
    listed = commands.add_parser("list", help="the operations; `list OP`: the arguments and named cases of one")
    listed.add_argument("name", nargs="?", choices=ops, metavar="OP", help="the operation")
    listed.add_argument("--op", choices=ops, metavar="OP", help="the same")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # whoever reads, `head` for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
