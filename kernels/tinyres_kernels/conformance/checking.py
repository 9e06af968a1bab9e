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
MOST = 3  # violations of guard mode that are enough


def check(given: argparse.Namespace) -> int:
    """Check the kernel, print the report and write the files that were asked for. Returns the exit status.

    With `-` for a file, the standard output is that file alone: the text goes to the standard error, and so does what
    the kernel's module prints.
    """
    piped = export.STANDARD_OUTPUT in (given.json, given.junit)
    how = Adapt(given.layout, given.arrays)
    try:
        _writable(given.json, given.junit, given.png)
        with aside(piped):
            kernel = load(given.kernel)
            adapted(kernel, given.op, how)
    except ValueError as error:
        return could_not(str(error))
    text = sys.stderr if piped else sys.stdout
    with suppress(BrokenPipeError):  # whoever does not read it may still want the files
        more = f"  What each of them holds: python -m tinyres_kernels list {given.op}"
        print(*lines(given.op, how), more, "", sep="\n", flush=True, file=text)
    dtypes = {"both": ("float32", "float64")}.get(given.dtype, (given.dtype,))
    drawn = {"examples": given.examples, "seed": given.seed, "dtypes": dtypes}
    with aside(piped), Child(given.kernel, how, given.limit) if given.limit else nullcontext() as child:
        try:
            report = search.check(kernel, given.op, **drawn, adapt=how, run=child)
        except Exception:  # what the kernel raises is in the report
            return _own_fault()
    beyond = []
    plain = how == Adapt() and not report.breach
    if plain and (given.guard or (given.guard is None and is_compiled(kernel) and guard.possible())):
        tasks = [Task(given.kernel, case) for case in search.cases(given.op, **drawn)]
        # Wrong numbers are in the report.
        beyond = [found for found in run(tasks, most=MOST) if found.what.startswith(("read or wrote", "ended"))]
        enough = " (it stopped there)" if len(beyond) == MOST else ""
        told = f"guard mode: {len(tasks)} cases, {len(beyond)} violations{enough}\n"
        print(*beyond, told, sep="\n", flush=True, file=text)
    failed = _exported(report, given, len(beyond))
    print(report.text(every=given.verbose), file=text)
    return failed or (0 if report.ok and not beyond else 1)


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


def _exported(report: Report, given: argparse.Namespace, beyond: int) -> int:
    """Write the files that were asked for. Returns 2 where one could not be written, 0 otherwise."""
    try:
        if given.json:
            export.write_json(report, given.json, beyond)
        if given.junit:
            export.write_junit(report, given.junit, beyond)
        if given.png and not report.ok and not export.write_png(report, given.png):
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
