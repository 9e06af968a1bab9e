"""What a check found, as an object and as text."""

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import indent

from tinyres_kernels.conformance.declare import Case, settings_line, written_out
from tinyres_kernels.conformance.examine import Finding, Kernel
from tinyres_kernels.conformance.hints import hints
from tinyres_kernels.conformance.picture import picture


@dataclass
class Report:
    """The outcome of `check`. `str(report)` is the text that the command prints.

    named: a finding for each named case and dtype.
    drawn: every drawn case in the order in which they were run, those of the search for a smaller example included.
    tries: how many of them were run until one failed, or in all.
    """

    kernel: Kernel
    op: str
    named: list[Finding]
    drawn: list[Finding]
    tries: int
    found: Finding | None  # the smallest failing one that was drawn

    @property
    def ok(self) -> bool:
        """Whether the kernel conforms in every case."""
        return not self.failures

    @property
    def failures(self) -> list[Finding]:
        """The named cases that fail, and the smallest drawn one that does."""
        return [finding for finding in self.named if not finding.ok] + ([self.found] if self.found else [])

    @property
    def smallest(self) -> Finding | None:
        """The failing case with the fewest array elements; one of legal arguments, if such a one fails."""
        return min(self.failures, key=lambda f: (f.case.refused, f.case.elements, f is not self.found), default=None)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        rows = self._rows()
        bad = sum(mark == "FAIL" for mark, _, _ in rows)
        yield f"{title(self.kernel)} as {self.op}: {'conforms' if self.ok else 'DOES NOT CONFORM'}"
        yield f"\nnamed cases: {bad} of {len(rows)} fail"
        width = max(len(name) for _, name, _ in rows)
        for mark, name, text in rows:
            yield f"  {mark:4}  {name:{width}}  {text}".rstrip()
        yield f"\ndrawn cases: {self._search()}"
        if self.smallest is None:
            return
        yield "\nsmallest failing example"
        yield indent(call(self.smallest.case), "  ")
        yield from (f"  - {fault}" for fault in self.smallest.faults)
        if drawing := picture(self.smallest):
            yield "\n" + indent(drawing, "  ")
        if advice := hints(self.named + self.drawn):
            yield "\nwhere to look"
            yield from (f"  - {hint}" for hint in advice)
        yield "\nto reproduce it"
        yield indent(snippet(self.kernel, self.smallest.case), "    ")

    def _rows(self) -> list[tuple[str, str, str]]:
        """A row for each named case: ok or FAIL, its name, and for the first dtype that fails, how."""
        made: dict[str, tuple[str, str, str]] = {}
        for finding in self.named:
            name = finding.case.title
            if made.setdefault(name, ("ok", name, ""))[0] == "ok" and finding.faults:
                more = f" (and {len(finding.faults) - 1} more)" if len(finding.faults) > 1 else ""
                made[name] = ("FAIL", name, f"{finding.case.dtype}: {finding.faults[0]}{more}")
        return list(made.values())

    def _search(self) -> str:
        if self.found is None:
            return f"{self.tries} run, none fails"
        return f"number {self.tries} failed, and was made smaller in {len(self.drawn) - self.tries} further runs"


def title(kernel: Kernel) -> str:
    """What the kernel is called, with its module."""
    name = getattr(kernel, "__qualname__", None) or type(kernel).__qualname__
    return f"{getattr(kernel, '__module__', None) or type(kernel).__module__}:{name}"


def call(case: Case) -> str:
    """The arguments in one line: shapes and keywords."""
    arrays = [f"{arg.name} {case.shape(arg)}" if arg else "None" for arg in case.arguments]
    return ", ".join([*arrays, *(f"{key}={value}" for key, value in case.keywords.items()), case.dtype])


def snippet(kernel: Kernel, case: Case) -> str:
    """Python that makes the same arrays, calls the kernel and shows its results beside those of the specification."""
    module, _, name = title(kernel).partition(":")
    importable = name.isidentifier() and module != "__main__" and getattr(kernel, "__name__", None) == name
    passed = [arg.name if arg else "None" for arg in case.arguments]
    results = [arg.name for arg in case.writes]
    lines = [
        "import numpy as np",
        "from tinyres_kernels import contract, reference, settings",
        f"from {module} import {name} as kernel" if importable else f"kernel = ...  # {module}:{name}",
        "",
        *case.lines(),
        *settings_line(case.op.name, case.keywords),
        *(f"{arg.name}.flags.writeable = False" for arg in case.reads if case.readonly),
        f"for operation in (reference.{case.op.name}, contract.kernel({case.op.name!r}, kernel)):",
        *(f"    {a.name} = np.full({case.shape(a)}, {fill(a.dtype)}, {a.dtype or case.dtype!r})" for a in case.writes),
        f"    operation({written_out(case.op.name, passed)})",
        f"    print({', '.join(results)}, sep='\\n')",
    ]
    return "\n".join(lines)


def fill(dtype: str) -> str:
    """What a result holds before: an integer has no NaN."""
    return "-77" if dtype else "np.nan"
