"""`python -m tinyres_kernels check MODULE:FUNCTION --op OP`: does this kernel conform? And `list`: to what?

`python -m tinyres_kernels fuzz --minutes M`: do the kernels of the CPU rung, at any size and in any layout?
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 where the kernel conforms, 1 where it does not, 2 where it could not be run."""
    try:
        from tinyres_kernels import conformance
    except ModuleNotFoundError as missing:
        return _could_not(str(missing))
    given = _parser(list(conformance.OPS)).parse_args(arguments)
    if given.command == "list":
        for op in conformance.OPS.values():
            keywords = list(op.family.shapes(op.family.plain)[1])
            print(f"{op.name}({', '.join([*op.order, *(['*'] if keywords else []), *keywords])})")
            print("".join(f"    {title}\n" for title in op.cases), end="")
        return 0
    if given.command == "fuzz":
        return _fuzz(given)
    try:
        kernel = _load(given.kernel)
    except ValueError as error:
        return _could_not(str(error))
    dtypes = {"both": ("float32", "float64")}.get(given.dtype, (given.dtype,))
    report = conformance.check(kernel, given.op, examples=given.examples, seed=given.seed, dtypes=dtypes)
    print(report)
    return 0 if report.ok else 1


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
    check.add_argument("kernel", metavar="MODULE:FUNCTION", help="where it is; the current folder can be imported from")
    check.add_argument("--op", required=True, choices=ops, help="the operation that it claims to be")
    check.add_argument("--examples", type=_count, default=100, help="how many cases to draw (default: 100)")
    check.add_argument("--seed", type=_count, default=0, help="another seed draws other cases (default: 0)")
    check.add_argument("--dtype", choices=["float32", "float64", "both"], default="both", help="(default: both)")
    fuzz = commands.add_parser(
        "fuzz",
        help="realistic cases for the kernels of the CPU rung; the status is 0 where none fails, 1 where one does",
    )
    fuzz.add_argument("--minutes", type=_minutes, default=1.0, help="for how long (default: 1)")
    fuzz.add_argument("--op", choices=ops, help="only this operation (default: all)")
    fuzz.add_argument("--seed", type=_count, default=0, help="another seed draws other cases (default: 0)")
    fuzz.add_argument("--case", type=_count, help="only the case of this number, as a failure tells it")
    fuzz.add_argument("--failures", type=Path, metavar="FILE", help="append the shrunk cases that fail to this file")
    commands.add_parser("list", help="the operations, their arguments and their named cases")
    return parser


def _load(place: str) -> Callable[..., Any]:
    """The function at `module:name`; a dot in the name goes on to an attribute.

    Raises ValueError, saying what is missing, where there is none.
    """
    module, colon, name = place.partition(":")
    if not (module and colon and name):
        raise ValueError(f"got {place!r}, needed MODULE:FUNCTION, as in mymodule:my_conv2d")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:  # the reader's module runs here, and may raise anything
        raise ValueError(
            f"{module} could not be imported: {type(error).__name__}: {error}. "
            "Give the module's dotted name, without .py, and start in the folder that holds it"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            there = [key for key, value in vars(found).items() if callable(value) and not key.startswith("_")]
            raise ValueError(f"{module} has no {name}; it has {', '.join(there) or 'nothing that can be called'}")
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"{place} is of type {type(found).__name__}, needed a function")
    function: Callable[..., Any] = found
    return function


if __name__ == "__main__":
    sys.exit(main())
