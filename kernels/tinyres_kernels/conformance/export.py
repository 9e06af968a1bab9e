"""A report as files: JSON, JUnit's XML for what marks a class or runs on every commit, and a PNG of the pictures."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib import import_module
from io import BytesIO
from pathlib import Path
from textwrap import wrap
from typing import Any
from xml.etree import ElementTree

import numpy as np

from tinyres_kernels.conformance.examine import NAN, RIGHT, WRONG, Finding
from tinyres_kernels.conformance.kind import Kind
from tinyres_kernels.conformance.picture import Grid, parts, picture
from tinyres_kernels.conformance.report import Report, call, snippet
from tinyres_kernels.conformance.signature import lines

STANDARD_OUTPUT = Path("-")
COLOURS = ("#e8e8e8", "#c1272d", "#e69f00")  # right, wrong, no number
GRIDS, LEGIBLE = 4, 400  # grids in a row of the PNG; elements of a grid that are drawn as letters
MOST_TICKS = 10  # of an axis, as indices


def as_json(report: Report) -> dict[str, Any]:
    """What was found, as one object. `cases` are those that the text counts, `Report.counted`."""
    cases = list(_cases(report))
    asked = report.counted
    return {
        "kernel": report.called,
        "op": report.op,
        "signature": list(lines(report.op, report.adapt)),
        "conforms": report.ok,
        "stopped": report.stopped,
        "too_slow": report.too_slow,
        "passed": sum(finding.ok for finding in asked),
        "cases": len(asked),
        "tried": report.tried,
        "failed": sum(not finding.ok for finding in asked),
        "not_run": sum(finding.left for _, finding in cases),
        "answered_by_the_contract": sum(not finding.asked and not finding.left for _, finding in cases),
        "beyond_arrays": report.beyond,
        "contract_broken": report.breach or None,
        "kinds": [_kind(report, kind) for kind in report.kinds],
        "results": [
            {
                "case": name,
                "dtype": finding.case.dtype,
                "ok": None if finding.left else finding.ok,
                "asked": finding.asked,
                "kind": _kind_of(report, finding),
                "faults": finding.faults,
                "printed": finding.printed or None,
                "seconds": round(finding.seconds, 6),
            }
            for name, finding in cases
        ],
    }


def write_json(report: Report, file: Path) -> None:
    write_object(as_json(report), file)


def write_failed_import(place: str, op: str, error: str, json_file: Path | None, junit_file: Path | None) -> None:
    """The files for a kernel that could not be imported: whoever marks a class finds everybody in them."""
    if json_file:
        counts = dict.fromkeys(("passed", "cases", "failed"), 0)
        write_object({"kernel": place, "op": op, "conforms": False, "error": error, **counts}, json_file)
    if junit_file:
        suites = ElementTree.Element("testsuites")
        suites.append(failed_suite(place, op, error))
        write_tree(suites, junit_file)


def failed_suite(place: str, op: str, error: str) -> ElementTree.Element:
    """JUnit's suite of a kernel that could not be imported: one test, which ended in an error."""
    _, suite = _suite(f"{place} as {op}", 1, errors=1)
    test = ElementTree.SubElement(suite, "testcase", classname=op, name="import", time="0")
    ElementTree.SubElement(test, "error", type="could not be imported", message=_printable(error))
    return suite


def write_object(told: dict[str, Any], file: Path) -> None:
    write(file, json.dumps(told, indent=2, ensure_ascii=False).encode("utf-8", "replace") + b"\n")


def write_tree(suites: ElementTree.Element, file: Path) -> None:
    ElementTree.indent(suites)
    write(file, ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True))


def _suite(
    name: str, tests: int, *, failures: int = 0, errors: int = 0, skipped: int = 0, seconds: float = 0.0
) -> tuple[ElementTree.Element, ElementTree.Element]:
    suites = ElementTree.Element("testsuites")
    counts = {"tests": tests, "failures": failures, "errors": errors, "skipped": skipped}
    attributes = {key: str(count) for key, count in counts.items()} | {"time": f"{seconds:.6f}"}
    return suites, ElementTree.SubElement(suites, "testsuite", {"name": _printable(name), **attributes})


def write_junit(report: Report, file: Path) -> None:
    """A test for each case that the text counts, and one where guard mode found something; what was not run is skipped.

    Cases that the kernel never sees are none.
    """
    counted = {id(finding) for finding in report.counted}
    cases = [(name, finding) for name, finding in _cases(report) if finding.left or id(finding) in counted]
    beyond = report.beyond
    left = sum(finding.left for _, finding in cases)
    failed = sum(not finding.ok for _, finding in cases) - left + bool(beyond)
    suites, suite = _suite(
        f"{report.called} as {report.op}", len(cases) + bool(beyond), failures=failed, skipped=left,
        seconds=sum(finding.seconds for _, finding in cases),
    )  # fmt: skip
    for name, finding in cases:
        kind = _kind_of(report, finding)
        test = _case(suite, report, f"{name} ({finding.case.dtype})", finding.seconds)
        if finding.left:
            ElementTree.SubElement(test, "skipped", message=finding.faults[0])
        elif not finding.ok:
            of = next((k for k in report.kinds if k.name == kind), None)
            told = [*finding.faults, *([of.means] if of and of.means else []), picture(finding)]
            _failure(test, kind or "failure", report.breach or finding.faults[0], "\n".join(told))
        if finding.printed:
            ElementTree.SubElement(test, "system-out").text = _printable(finding.printed)
    if beyond:
        test = _case(suite, report, "guard mode", 0.0)
        cases_are = "1 case" if beyond == 1 else f"{beyond} cases"
        _failure(test, "beyond an array", f"{cases_are} read or wrote beyond an array", "")
    write_tree(suites, file)


def _case(suite: ElementTree.Element, report: Report, name: str, seconds: float) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=report.op, name=name, time=f"{seconds:.6f}")


def _failure(test: ElementTree.Element, kind: str, message: str, text: str) -> None:
    failure = ElementTree.SubElement(test, "failure", type=_printable(kind), message=_printable(message))
    failure.text = _printable(text)


def _printable(text: str) -> str:
    """Without characters that XML cannot hold, which the message of an exception may have."""
    return "".join(c if (c >= " " and c not in "\ufffe\uffff" and not "\ud800" <= c <= "\udfff") or c in "\n\t" else "?"
                   for c in text)  # fmt: skip


def write_png(report: Report, file: Path) -> bool:
    """The wrong elements of an example of each kind, a row for each kind: of a large example, which shows the pattern.

    Returns whether there was anything to draw: of a kernel that raises, no element is wrong. Raises ValueError if
    matplotlib is not installed.
    """
    try:
        figures = import_module("matplotlib.figure")
        colours = import_module("matplotlib.colors").ListedColormap(COLOURS)
        whole = import_module("matplotlib.ticker").MaxNLocator
    except ModuleNotFoundError as missing:
        raise ValueError("--png draws with matplotlib, which is not installed: pip install matplotlib") from missing
    examples = [(kind.name, clearest([kind.example, *kind.findings, *kind.telling])) for kind in report.kinds]
    if report.breach and report.smallest:
        examples = [("the contract is broken", clearest([report.smallest, *report.failures]))]
    drawn = [(f"{name}\n{call(finding.case)}", list(_parts(finding))[:GRIDS]) for name, finding in examples]
    drawn = [(name, grids) for name, grids in drawn if grids]
    if not drawn:
        return False
    across = max(len(grids) for _, grids in drawn)
    figure = figures.Figure(figsize=(max(6.4, 3.2 * across), 3.2 * len(drawn)), layout="constrained", dpi=150)
    rows = figure.subfigures(len(drawn), 1, squeeze=False)[:, 0]
    for row, (name, grids) in zip(rows, drawn, strict=True):
        row.suptitle(
            "\n".join(line for part in name.splitlines() for line in wrap(part, 42 * max(2, across))), fontsize=9
        )
        for ax, grid in zip(
            row.subplots(1, across, squeeze=False)[0], [*grids, *[None] * across][:across], strict=True
        ):
            if grid is None:
                ax.set_axis_off()
                continue
            marks = grid.marks
            ax.imshow(np.select([marks == WRONG, marks == NAN], [1, 2], 0), cmap=colours, vmin=0, vmax=2)
            for (i, j), mark in np.ndenumerate(marks if marks.size <= LEGIBLE else marks[:0]):
                ax.text(j, i, mark, ha="center", va="center", color="0.4" if mark == "." else "white", fontsize=8)
            ax.set(xlabel=grid.columns, ylabel=grid.rows)
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_major_locator(whole(MOST_TICKS, integer=True, min_n_ticks=1))
            if not grid.rows:
                ax.set_yticks([])
            ax.set_title(grid.title, fontsize=9)
    figure.supxlabel("X: a wrong number, N: no number, or never written, a dot: right", fontsize=8)
    drawing = BytesIO()
    import_module("matplotlib.backends.backend_agg").FigureCanvasAgg(figure).print_png(drawing)
    write(file, drawing.getvalue())
    return True


def clearest(findings: Sequence[Finding]) -> Finding:
    """The one to draw, of findings of one kind: where the picture shows a pattern.

    In the smallest example everything is wrong. So one with something right in it comes first, and of these the one
    with the longest shorter side, as long as its elements can be told apart.
    """
    return max(findings, key=lambda finding: max(map(_telling, _parts(finding)), default=(False, 0)))


def _telling(grid: Grid) -> tuple[bool, int]:
    if grid.marks.size > LEGIBLE:
        return False, 0
    return bool((grid.marks == RIGHT).any()), min(grid.marks.shape)


def write(file: Path, content: bytes) -> None:
    """To the standard output for `-`, or into a file beside it that is then renamed: the whole of it, or nothing."""
    if file == STANDARD_OUTPUT:
        sys.stdout.write(content.decode("utf-8"))
        sys.stdout.flush()
        return
    if file.exists() and not file.is_file():  # a device or a pipe is written to, never replaced
        with open(file, "wb") as device:
            device.write(content)
        return
    with tempfile.NamedTemporaryFile(dir=file.absolute().parent, prefix=file.name, delete=False) as new:
        try:
            new.write(content)
            new.close()
            os.chmod(new.name, 0o666 & ~_umask())
            os.replace(new.name, file)
        except BaseException:
            os.unlink(new.name)
            raise


def _umask() -> int:
    """What the system takes from the rights of a new file; a temporary one is the user's alone."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _parts(finding: Finding) -> Iterator[Grid]:
    for arg in [*finding.case.writes, *finding.case.reads]:
        if arg.name in finding.marks:
            yield from parts(finding, arg)


def _cases(report: Report) -> Iterator[tuple[str, Finding]]:
    """Every named case in each dtype, and the drawn ones as a single one."""
    yield from ((finding.case.title, finding) for finding in report.named)
    if report.drawn:
        yield f"{report.tries} drawn cases", report.found or report.drawn[-1]


def _kind(report: Report, kind: Kind) -> dict[str, Any]:
    example = kind.example
    return {
        "name": kind.name,
        "needs": kind.needs,
        "signs": sorted(kind.signs),
        "means": kind.means or None,
        "cases": sorted({finding.case.title for finding in kind.findings}),
        "example": {
            "call": call(example.case),
            "faults": example.faults,
            "printed": example.printed or None,
            "wrong_elements": example.wrong,
            "picture": picture(example).splitlines(),
            "to_reproduce": snippet(report.kernel, example.case, report.adapt).splitlines(),
        },
    }


def _kind_of(report: Report, finding: Finding) -> str | None:
    if finding.ok or finding.left:
        return None
    if report.breach:
        return "the contract is broken"
    return next((kind.name for kind in report.kinds if any(finding is one for one in kind.findings)), None)
