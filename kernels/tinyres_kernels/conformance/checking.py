"""`python -m tinyres_kernels check`: what it prints where, which files it writes, and its exit status."""

import argparse
import os
import sys
import traceback
from contextlib import nullcontext, suppress
from pathlib import Path

from tinyres_kernels import guard
from tinyres_kernels.command_line import could_not
from tinyres_kernels.conformance import export, search
from tinyres_kernels.conformance.adapt import Adapt, adapted
from tinyres_kernels.conformance.child import Child
from tinyres_kernels.conformance.guarded import Task, run
from tinyres_kernels.conformance.kernel import is_compiled, load
from tinyres_kernels.conformance.prints import aside
from tinyres_kernels.conformance.report import Report
from tinyres_kernels.conformance.signature import lines

OWN_FAULT = 3  # the status where the checker itself failed
STOPPED = 130  # as a shell has it after Ctrl-C
MOST = 3  # violations of guard mode that are enough
OVERRUN = ("read or wrote", "ended")  # what their sentences begin with


def check(given: argparse.Namespace) -> int:
    """Check the kernel, print the report and write the files that were asked for. Returns the exit status.

    With `-` for a file, the standard output is that file alone: the text goes to the standard error, and so does what
    the kernel's module prints.
    """
    how = Adapt(given.layout, given.arrays)
    try:
        _writable(given.json, given.junit, given.png)
    except ValueError as error:
        return could_not(str(error))
    with Child(given.kernel, how, given.limit) if given.limit else nullcontext() as child:
        return _checked(given, how, child)


def _checked(given: argparse.Namespace, how: Adapt, child: Child | None) -> int:
    piped = export.STANDARD_OUTPUT in (given.json, given.junit)
    try:
        if child and (came := child.begin()):  # a module that hangs, or ends its process, does so there
            raise ValueError(f"{given.kernel} {came}" if came.startswith(("was stopped", "ended")) else came)
        with aside(piped):
            kernel = load(given.kernel)
    except ValueError as error:
        with suppress(OSError):
            export.write_failed_import(given.kernel, given.op, str(error), given.json, given.junit)
        return could_not(str(error))
    try:
        adapted(kernel, given.op, how)
    except ValueError as error:
        return could_not(str(error))
    text = sys.stderr if piped else sys.stdout
    with suppress(BrokenPipeError):  # whoever does not read it may still want the files
        more = f"  What each of them holds: python -m tinyres_kernels list {given.op}"
        print(*lines(given.op, how), more, "", sep="\n", flush=True, file=text)
    dtypes = {"both": ("float32", "float64")}.get(given.dtype, (given.dtype,))
    drawn = {"examples": given.examples, "seed": given.seed, "dtypes": dtypes}
    try:
        with aside(piped):
            report = search.check(kernel, given.op, **drawn, adapt=how, run=child)
    except search.Stopped as stopped:
        return _stopped(stopped.report, given)
    except Exception:  # what the kernel raises is in the report
        return _own_fault()
    report.place = given.kernel
    plain = how == Adapt() and not report.breach
    if plain and (given.guard or (given.guard is None and is_compiled(kernel) and guard.possible())):
        tasks = [Task(given.kernel, case) for case in search.cases(given.op, **drawn)]
        try:
            beyond = run(tasks, most=MOST, only=OVERRUN)  # wrong numbers are in the report
        except KeyboardInterrupt:
            report.stopped = True
            return _stopped(report, given)
        report.beyond = len(beyond)
        enough = " (it stopped there)" if len(beyond) == MOST else ""
        them = f"{len(beyond)} violation{'s' * (len(beyond) != 1)}"
        print(*beyond, f"guard mode: {len(tasks)} cases, {them}{enough}\n", sep="\n", flush=True, file=text)
    failed = _exported(report, given)
    print(report.text(every=given.verbose), file=text)
    return failed or (0 if report.ok else 1)


def _stopped(report: Report, given: argparse.Namespace) -> int:
    """Whoever stops the check gets what was found so far, in the files that were asked for."""
    report.place = given.kernel
    _exported(report, given)
    ran, failed = len(report.counted), sum(not finding.ok for finding in report.counted)
    print(f"tinyres_kernels: stopped; of {ran} cases that were run until then {failed} failed", file=sys.stderr)
    return STOPPED


def _writable(*files: Path | None) -> None:
    """Raises ValueError for a file that could not be written: better before the check than after it."""
    asked = [file for file in files if file]
    if len(set(asked)) < len(asked):
        raise ValueError("two of --json, --junit and --png go to the same place: give each its own file")
    if files[-1] == export.STANDARD_OUTPUT:
        raise ValueError("--png - would print a picture: give a file, as in --png wrong.png")
    for file in asked:
        folder = file.absolute().parent
        if not folder.is_dir():
            raise ValueError(f"cannot write {file}: there is no folder {folder}")
        if file.is_dir():
            raise ValueError(f"cannot write {file}: it is a folder. Give a file in it, as in {file / 'report.json'}")
        if file != export.STANDARD_OUTPUT and not os.access(file if file.exists() else folder, os.W_OK):
            raise ValueError(f"cannot write {file}: no permission")


def _exported(report: Report, given: argparse.Namespace) -> int:
    """Write the files that were asked for. Returns 2 where one could not be written, 0 otherwise."""
    try:
        if given.json:
            export.write_json(report, given.json)
        if given.junit:
            export.write_junit(report, given.junit)
        if given.png and report.failures and not export.write_png(report, given.png):
            print(f"tinyres_kernels: {given.png} was not drawn: no element is wrong", file=sys.stderr)
    except (ValueError, OSError) as error:
        return could_not(str(error))
    return 0


def _own_fault() -> int:
    traceback.print_exc()
    print(
        "tinyres_kernels: the checker itself failed, as shown above. That says nothing about your kernel. Please "
        "report it, with the kernel if you can.",
        file=sys.stderr,
    )
    return OWN_FAULT


__all__ = ["check"]
