"""`python -m tinyres_kernels check MODULE:FUNCTION --op OP`: does this kernel conform? And `list`: to what?

`python -m tinyres_kernels check --guard --all`: does any CPU kernel read or write beside its arrays?
`python -m tinyres_kernels fuzz --minutes M`: do the CPU kernels conform, at any size and in any layout?
"""

import argparse
import inspect
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tinyres_kernels import guard
from tinyres_kernels.command_line import Parser

if TYPE_CHECKING:
    from tinyres_kernels.conformance.report import Report

STORAGE = "HYPOTHESIS_STORAGE_DIRECTORY"  # where Hypothesis keeps what it found
OWN_FAULT = 3  # the status where the checker itself failed
MOST = 3  # violations of guard mode that are enough
CHECK = """\
Check a kernel: compare its results with the specification in every corner case, and in random cases.

The kernel is called with arrays whose shapes fit and that are not empty. It fills out. The command prints its signature
and the shapes, then each kind of failure with a small example and a picture of the wrong elements."""
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

It knows neither dilation nor groups (s.dilation, s.groups), and that is what the check says."""


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
        return _could_not(str(missing))
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
        return _could_not("--guard needs mmap and mprotect, which this system does not have: run it on Linux or macOS")
    return _guard_all() if given.all else _check(given)


def _list(given: argparse.Namespace) -> int:
    from tinyres_kernels import conformance, reference
    from tinyres_kernels.conformance.signature import lines

    op = given.op or given.name
    if op is None:
        print(*conformance.OPS, sep="\n")
        print("\n`list OP` shows the arguments and the named cases of one of them.", file=sys.stderr)
        return 0
    told = inspect.getdoc(getattr(reference, op)) or ""
    print(*lines(op), "", *(f"  {line}".rstrip() for line in told.splitlines()), "", "  Named cases:", sep="\n")
    print(*(f"    {title}" for title in conformance.OPS[op].cases), sep="\n")
    return 0


def _check(given: argparse.Namespace) -> int:
    from tinyres_kernels import conformance
    from tinyres_kernels.conformance.adapt import Adapt, adapted
    from tinyres_kernels.conformance.child import Child
    from tinyres_kernels.conformance.guarded import Task, run
    from tinyres_kernels.conformance.kernel import is_compiled, load
    from tinyres_kernels.conformance.signature import lines

    how = Adapt(given.layout, given.arrays)
    try:
        kernel = load(given.kernel)
        adapted(kernel, given.op, how)
        _writable(given.json, given.junit, given.png)
    except ValueError as error:
        return _could_not(str(error))
    with suppress(BrokenPipeError):  # whoever does not read it may still want the files
        more = f"  What each of them holds: python -m tinyres_kernels list {given.op}"
        print(*lines(given.op, how), more, "", sep="\n", flush=True)
    dtypes = {"both": ("float32", "float64")}.get(given.dtype, (given.dtype,))
    drawn = {"examples": given.examples, "seed": given.seed, "dtypes": dtypes}
    with Child(given.kernel, how, given.limit) if given.limit else nullcontext() as child:
        try:
            report = conformance.check(kernel, given.op, **drawn, adapt=how, run=child)
        except Exception:  # what the kernel raises is in the report
            return _own_fault()
    beyond = []
    plain = how == Adapt() and not report.breach
    if plain and (given.guard or (given.guard is None and is_compiled(kernel) and guard.possible())):
        tasks = [Task(given.kernel, case) for case in conformance.search.cases(given.op, **drawn)]
        # Wrong numbers are in the report.
        beyond = [found for found in run(tasks, most=MOST) if found.what.startswith(("read or wrote", "ended"))]
        enough = " (it stopped there)" if len(beyond) == MOST else ""
        print(*beyond, f"guard mode: {len(tasks)} cases, {len(beyond)} violations{enough}\n", sep="\n", flush=True)
    failed = _exported(report, given, len(beyond))
    print(report.text(every=given.verbose))
    return failed or (0 if report.ok and not beyond else 1)


def _writable(*files: Path | None) -> None:
    """Raises ValueError for a file that could not be written: better before the check than after it."""
    for file in files:
        if file and not file.absolute().parent.is_dir():
            raise ValueError(f"cannot write {file}: there is no folder {file.absolute().parent}")


def _exported(report: "Report", given: argparse.Namespace, beyond: int) -> int:
    """Write the files that were asked for. Returns 2 where one could not be written, 0 otherwise."""
    from tinyres_kernels.conformance import export

    try:
        if given.json:
            export.write_json(report, given.json, beyond)
        if given.junit:
            export.write_junit(report, given.junit, beyond)
        if given.png and not report.ok:
            export.write_png(report, given.png)
    except (ValueError, OSError) as error:
        return _could_not(str(error))
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


def _could_not(why: str) -> int:
    print(f"tinyres_kernels: {why}", file=sys.stderr)
    return 2


def _own_fault() -> int:
    traceback.print_exc()
    print(
        "tinyres_kernels: the checker itself failed, as shown above. That says nothing about your kernel. Please "
        "report it, with the kernel if you can.",
        file=sys.stderr,
    )
    return OWN_FAULT


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
        "kernel", nargs="?", metavar="MODULE:FUNCTION", help="the kernel; modules in the current folder are found"
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
        help="fail a case that takes longer, without counting the kernel's compilation at the start; "
        "0: no limit, and run the kernel in this process, as a debugger needs it (default: 30)",
    )
    check.add_argument("--verbose", action="store_true", help="print a row for each named case")
    check.add_argument("--json", type=Path, metavar="FILE", help="also write the report as JSON")
    check.add_argument("--junit", type=Path, metavar="FILE", help="also write the report as JUnit XML")
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
