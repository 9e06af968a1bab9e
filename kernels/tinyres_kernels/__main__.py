"""`python -m tinyres_kernels check MODULE:FUNCTION --op OP`: does this kernel conform? And `list`: to what?

`python -m tinyres_kernels check --guard --all`: does any CPU kernel read or write beside its arrays?
`python -m tinyres_kernels fuzz --minutes M`: do the CPU kernels conform, at any size and in any layout?
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyres_kernels import guard
from tinyres_kernels.contract import OPERATIONS

if TYPE_CHECKING:
    from tinyres_kernels.conformance.guarded import Task


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 where the kernel conforms, 1 where it does not, 2 where it could not be run."""
    try:
        from tinyres_kernels import conformance
    except ModuleNotFoundError as missing:
        return _could_not(str(missing))
    parser = _parser(list(conformance.OPS))
    given = parser.parse_args(arguments)
    if given.command == "list":
        for op in conformance.OPS.values():
            arrays, kind = OPERATIONS[op.name].arrays, OPERATIONS[op.name].settings
            s = f"    s: {kind.__name__}({', '.join(kind._fields)})" if kind else ""
            print(f"{op.name}({', '.join([*arrays, *(['s'] if kind else [])])}){s}")
            print("".join(f"    {title}\n" for title in op.cases), end="")
        return 0
    if given.command == "fuzz":
        return _fuzz(given)
    if given.all != (given.kernel is None) or given.all != (given.op is None) or (given.all and not given.guard):
        parser.error("check needs MODULE:FUNCTION and --op OP; or --guard --all, for every CPU kernel")
    if given.guard and not guard.possible():
        return _could_not("--guard needs mmap and mprotect, which this system does not have: run it on Linux or macOS")
    return _guard_all() if given.all else _check(given)


def _check(given: argparse.Namespace) -> int:
    from tinyres_kernels import conformance
    from tinyres_kernels.conformance.guarded import Task
    from tinyres_kernels.conformance.kernel import is_compiled, load

    try:
        kernel = load(given.kernel)
    except ValueError as error:
        return _could_not(str(error))
    dtypes = {"both": ("float32", "float64")}.get(given.dtype, (given.dtype,))
    how = {"examples": given.examples, "seed": given.seed, "dtypes": dtypes}
    beyond = 0
    if given.guard or (given.guard is None and is_compiled(kernel) and guard.possible()):
        tasks = [Task(given.kernel, case) for case in conformance.search.cases(given.op, **how)]
        beyond = _guarded(tasks, most=3)
    report = conformance.check(kernel, given.op, **how)
    print(report)
    return 0 if report.ok and not beyond else 1


def _guard_all() -> int:
    from tinyres_kernels.conformance.guarded import Task, own

    print("guard mode: looking for the cases of every plan, which takes some minutes", file=sys.stderr, flush=True)
    tasks = list(own())

    def progress(done: int, task: Task) -> None:
        if done == len(tasks) or done % 50 == 0 or task.case.op != tasks[done].case.op:
            print(f"guard mode: {done} of {len(tasks)} cases, {task.case.op.name}", file=sys.stderr, flush=True)

    return 1 if _guarded(tasks, progress=progress) else 0


def _guarded(tasks: "Sequence[Task]", **how: Any) -> int:
    """Run them and print what was found. Returns the number of violations."""
    from tinyres_kernels.conformance.guarded import run

    found = run(tasks, **how)
    for violation in found:
        print(violation)
    enough = "" if len(found) != how.get("most") else " (it stopped there)"
    print(f"guard mode: {len(tasks)} cases, {len(found)} violations{enough}\n", flush=True)  # the next check may crash
    return len(found)


def _fuzz(given: argparse.Namespace) -> int:
    from tinyres_kernels import cpu
    from tinyres_kernels.conformance.fuzz import fuzz

    most, first = (None, 0) if given.case is None else (1, given.case)
    ops = [given.op] if given.op else []
    return int(fuzz(cpu, given.minutes, ops=ops, seed=given.seed, first=first, most=most, failures=given.failures) > 0)


def _could_not(why: str) -> int:
    print(f"tinyres_kernels: {why}", file=sys.stderr)
    return 2


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"got {text!r}, needed a whole number that is not negative")
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if not 0 < minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text!r}, needed a number of minutes greater than 0")
    return minutes


def _parser(ops: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tinyres_kernels", description="Hold a kernel against the specification of its operation."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check", help="check one kernel; the status is 0 where it conforms, 1 where it does not"
    )
    check.add_argument(
        "kernel", nargs="?", metavar="MODULE:FUNCTION", help="where it is; the current folder can be imported from"
    )
    check.add_argument("--op", choices=ops, help="the operation that it claims to be")
    check.add_argument("--examples", type=_count, default=100, help="how many cases to draw (default: 100)")
    check.add_argument("--seed", type=_count, default=0, help="another seed draws other cases (default: 0)")
    check.add_argument("--dtype", choices=["float32", "float64", "both"], default="both", help="(default: both)")
    check.add_argument(
        "--guard",
        action=argparse.BooleanOptionalAction,
        help="run it in a child process, too, where each array lies against memory that must not be touched "
        "(default: if the kernel is compiled)",
    )
    check.add_argument("--all", action="store_true", help="with --guard: all cases of all CPU kernels")
    fuzz = commands.add_parser(
        "fuzz",
        help="realistic cases for the CPU kernels; the status is 0 where none fails, 1 where one does",
    )
    fuzz.add_argument("--minutes", type=_minutes, default=1.0, help="for how long (default: 1)")
    fuzz.add_argument("--op", choices=ops, help="only this operation (default: all)")
    fuzz.add_argument("--seed", type=_count, default=0, help="another seed draws other cases (default: 0)")
    fuzz.add_argument("--case", type=_count, help="only the case of this number, as a failure tells it")
    fuzz.add_argument("--failures", type=Path, metavar="FILE", help="append the shrunk cases that fail to this file")
    commands.add_parser("list", help="the operations, their arguments and their named cases")
    return parser


if __name__ == "__main__":
    sys.exit(main())
