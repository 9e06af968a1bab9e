"""What a check found, as an object and as text."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from textwrap import indent, wrap

from tinyres_kernels.conformance.adapt import AS_SPECIFIED, Adapt
from tinyres_kernels.conformance.adjoint import ADJOINT
from tinyres_kernels.conformance.calling import settings_line, written_out
from tinyres_kernels.conformance.declare import Case, absent_line
from tinyres_kernels.conformance.examine import Finding, Kernel
from tinyres_kernels.conformance.hints import hints
from tinyres_kernels.conformance.kind import Kind
from tinyres_kernels.conformance.layouts import VIEWS
from tinyres_kernels.conformance.picture import picture
from tinyres_kernels.conformance.prints import shown
from tinyres_kernels.conformance.remarks import patience, unseen
from tinyres_kernels.conformance.signature import NO_BREAK, capital

WIDTH, LISTED = 80, 12  # of the text; names of cases


@dataclass
class Report:
    """The outcome of `check`. `str(report)` is the text that the command prints.

    named: a finding for each named case and dtype.
    drawn: every drawn case in the order in which they were run;   tries: how many it took until one failed, or in all
    kinds: the kinds of failure, each with an example;   looked: the cases that were run to tell them apart
    breach: a sentence, where the kernel breaks the contract
    place: the kernel as it was typed, where it was;   beyond: cases in which guard mode saw it leave its arrays
    stopped: whether somebody stopped the check before its end
    """

    kernel: Kernel
    op: str
    named: list[Finding]
    drawn: list[Finding]
    tries: int
    found: Finding | None  # the drawn case that fails
    kinds: list[Kind] = field(default_factory=list)
    looked: list[Finding] = field(default_factory=list)
    breach: str = ""
    adapt: Adapt = AS_SPECIFIED
    place: str = ""
    beyond: int = 0
    stopped: bool = False

    @property
    def ok(self) -> bool:
        """Whether the kernel conforms in every case, and stays in its arrays."""
        return not (self.failures or self.beyond or self.stopped)

    @property
    def called(self) -> str:
        """The kernel as it was typed, or with its module."""
        return self.place or title(self.kernel)

    @property
    def counted(self) -> list[Finding]:
        """One finding for each case: every named one in every dtype, and the drawn ones together as a single one.

        Without those that the kernel never sees, and without those that were not run.
        """
        together = [self.found or self.drawn[-1]] if self.drawn else []
        return [f for f in [*self.named, *together] if (f.asked or not f.ok) and not f.left]

    @property
    def failures(self) -> list[Finding]:
        """The named cases that fail, and the drawn one that does."""
        return [finding for finding in self.named if not finding.ok] + ([self.found] if self.found else [])

    @property
    def slow(self) -> list[Finding]:
        """The cases that were stopped at the limit."""
        return [finding for finding in [*self.named, *self.drawn] if "slow" in finding.signs]

    @property
    def verdict(self) -> str:
        """Whether it conforms. Of a kernel that was stopped, and is right as far as it came, nobody knows."""
        if self.ok:
            return "conforms"
        if self.beyond and not self.failures:
            cases = f"{self.beyond} case{'s' * (self.beyond != 1)}"
            return f"DOES NOT CONFORM: {cases} above read or wrote beyond an array (its numbers are right)"
        if self.stopped and not self.failures:
            return "STOPPED BEFORE THE END (right as far as it came)"
        return "TOO SLOW TO BE CHECKED" if self.too_slow else "DOES NOT CONFORM"

    @property
    def too_slow(self) -> bool:
        """Whether all that fails was stopped at the limit, or not run after that."""
        return bool(self.failures) and all(finding.signs <= {"slow", "left"} for finding in self.failures)

    @property
    def tried(self) -> dict[str, int]:
        """The largest size of each axis in the cases that the kernel got; none where no call came to its end."""
        largest: dict[str, int] = {}
        found = [*self.named, *self.drawn]
        for finding in found if any(finding.outputs and finding.asked for finding in found) else []:
            if finding.asked and not finding.case.refused and not finding.left:
                for arg in [*finding.case.reads, *finding.case.writes]:
                    for axis, size in finding.case.axes(arg).items():
                        largest[axis] = max(size, largest.get(axis, 0))
        return {capital(axis): size for axis, size in largest.items() if axis != "one"}

    @property
    def smallest(self) -> Finding | None:
        """The example that the text shows first: that of the first kind, or the plain case where there are no kinds.

        It has at least one wrong element wherever a case of its kind has.
        """
        return self.kinds[0].example if self.kinds else next(iter(self.failures), None)

    def __str__(self) -> str:
        return self.text()

    def text(self, *, every: bool = False) -> str:
        """The report; `every`: with a row for each named case."""
        return "\n".join(self._lines(every))

    def _lines(self, every: bool) -> Iterator[str]:
        rows = self._rows()
        bad = [name for mark, name, _ in rows if mark == "FAIL"]
        yield f"{self.called} as {self.op}: {self.verdict}"
        left = sum(f.left for f in self.named)
        unrun = f" ({left} {'was' if left == 1 else 'were'} not run)" if left else ""
        idle = len({f.case.title for f in self.named if f.ok and not f.asked} - set(bad))
        failed, ran = sum(not f.ok for f in self.counted), len(self.counted)
        told = "the only one that was run fails" if failed == ran == 1 else f"{failed} of the {ran} that were run fail"
        told = told if failed != 1 or ran == 1 else f"1 of the {ran} that were run fails"
        yield f"cases: {told}{unrun}{self._search()}"
        if self.breach:
            yield ""
            yield from wrap(self.breach, WIDTH)
        yield from wrap(patience(self.slow), WIDTH)
        if len(self.kinds) > 1:
            names = "; ".join(kind.name for kind in self.kinds)
            yield from wrap(f"{len(self.kinds)} kinds of failure: {names}", WIDTH, subsequent_indent="  ")
        if self.kinds and self.adapt.layout == "nchw":
            yield "(below, arrays are shown with the channels last)"
        for number, kind in enumerate(self.kinds, 1):
            yield ""
            yield from self._kind(number, kind)
        if not self.kinds:
            yield from self._printed([f for f in self.named if f.printed][:1])
        if sizes := ", ".join(f"{axis} up to {size}".replace(" ", NO_BREAK) for axis, size in self.tried.items()):
            if self.kinds:
                yield ""
            lines = wrap(f"tried: {sizes}", WIDTH, subsequent_indent="  ")
            yield from (line.replace(NO_BREAK, " ") for line in lines)
        if idle:
            yield from wrap(unseen(idle), WIDTH)
        if self.adapt != AS_SPECIFIED and not self.breach:
            yield "(It was handed copies. No case had views as inputs, or an out that shares memory.)"
        if bad and not self.breach:
            yield ""
            more = [f"and {len(bad) - LISTED} more"] if len(bad) > LISTED and not every else []
            shown = "; ".join(bad[: LISTED if more else None] + more)
            yield from wrap(f"named cases that fail: {shown}", WIDTH, subsequent_indent="  ")
        if every:
            width = max(len(name) for _, name, _ in rows)
            yield from (f"  {mark:4}  {name:{width}}  {text}".rstrip() for mark, name, text in rows)
        if not self.breach and (advice := hints(self.named + self.drawn + self.looked)):
            yield "\nwhere to look"
            yield from (f"  - {hint}" for hint in advice)
        for number, finding in enumerate([kind.example for kind in self.kinds] or self._first(), 1):
            yield f"\nto reproduce kind {number}" if len(self.kinds) > 1 else "\nto reproduce it"
            yield indent(snippet(self.kernel, finding.case, self.adapt), "    ")

    def _printed(self, findings: list[Finding], margin: str = "") -> Iterator[str]:
        """What the kernel printed in these cases."""
        for finding in findings:
            yield f"{margin}what it printed in {'this case' if margin else f'the case `{finding.case.title}`'}:"
            yield from (f"{margin}  | {line}" for line in shown(finding.printed, WIDTH - len(margin) - 4))

    def _first(self) -> list[Finding]:
        return [self.smallest] if self.smallest else []

    def _kind(self, number: int, kind: Kind) -> Iterator[str]:
        own = {id(finding.case) for finding in self.named}
        named = len({id(f.case) for f in kind.findings} & own)
        told = f"{named} named case{'s' * (named != 1)}" if named else "drawn cases only"
        yield from wrap(f"{number}. {kind.name} ({told})", WIDTH, subsequent_indent="   ")
        if kind.means:
            yield from wrap(kind.means, WIDTH, initial_indent="   ", subsequent_indent="   ")
        yield from wrap(
            f"smallest failing example: {call(kind.example.case)}",
            WIDTH,
            initial_indent="   ",
            subsequent_indent="     ",
        )
        faults = kind.example.faults
        for fault in [one for one in faults if not one.startswith(ADJOINT)][:2] or faults[:1]:
            yield from wrap(fault, WIDTH, initial_indent="   - ", subsequent_indent="     ")
        if drawing := picture(kind.example, grids=1, rows=8):
            yield indent(drawing, "   ")
        yield from self._printed([kind.example] if kind.example.printed else [], "   ")

    def _rows(self) -> list[tuple[str, str, str]]:
        """A row for each named case: ok, FAIL or ---- (not run), its name, and for the first dtype that fails, how."""
        made: dict[str, tuple[str, str, str]] = {}
        for finding in self.named:
            name = finding.case.title
            if made.setdefault(name, ("ok", name, ""))[0] == "ok" and finding.faults:
                more = f" (and {len(finding.faults) - 1} more)" if len(finding.faults) > 1 else ""
                mark = "----" if finding.left else "FAIL"
                made[name] = (mark, name, f"{finding.case.dtype}: {finding.faults[0]}{more}")
        return list(made.values())

    def _search(self) -> str:
        if self.found is None:
            one = self.tries == 1
            return f"; of {self.tries} drawn case{'s' * (not one)} none does" if self.tries else ""
        return f"; drawn cases, counted as one: the {_nth(self.tries)} fails"


def _nth(number: int) -> str:
    """first, second, third, 4th, ... 21st."""
    if number < 4:
        return ("first", "second", "third")[number - 1]
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def title(kernel: Kernel) -> str:
    """What the kernel is called, with its module."""
    name = getattr(kernel, "__qualname__", None) or type(kernel).__qualname__
    return f"{getattr(kernel, '__module__', None) or type(kernel).__module__}:{name}"


def call(case: Case) -> str:
    """The arguments in one line: shapes and keywords."""
    arrays = [f"{arg.name} {case.shape(arg)}" for arg in case.arguments if arg]
    arrays += [f"{name} None" for name in case.absent]
    how = [f"inputs that are views ({VIEWS[case.lies]})"] if case.lies else [f"out is {case.over}"] if case.over else []
    how += ["called before with other numbers"] if case.again else []
    return ", ".join([*arrays, *(f"{key}={value}" for key, value in case.keywords.items()), case.dtype, *how])


def snippet(kernel: Kernel, case: Case, how: Adapt = AS_SPECIFIED) -> str:
    """Python that makes the same arrays, calls the kernel and shows its results beside those of the specification."""
    module, _, name = title(kernel).partition(":")
    importable = name.isidentifier() and module != "__main__" and getattr(kernel, "__name__", None) == name
    passed = [(arg.name if arg.name != case.over else "out") if arg else "None" for arg in case.arguments]
    results = [arg.name for arg in case.writes]
    lines = [
        "import numpy as np",
        "from tinyres_kernels import contract, reference, settings",
        f"from {module} import {name} as kernel" if importable else f"kernel = ...  # {module}:{name}",
        *_adapting(case.op.name, how),
        "",
        *case.lines(),
        *absent_line(case),
        *settings_line(case.op.name, case.keywords),
        *_called_before(case, passed),
        *(f"{arg.name}.flags.writeable = False" for arg in case.reads if case.readonly),
        f"for operation in (reference.{case.op.name}, contract.kernel({case.op.name!r}, kernel)):",
        *(
            f"    {a.name} = {case.over}.copy()"
            if case.over and a.name == "out"
            else f"    {a.name} = np.full({case.shape(a)}, {fill(a.dtype)}, {a.dtype or case.dtype!r})"
            for a in case.writes
        ),
        f"    operation({written_out(case.op.name, passed)})",
        f"    print({', '.join(results)}, sep='\\n')",
    ]
    return "\n".join(lines)


def _called_before(case: Case, passed: list[str]) -> list[str]:
    """The Python lines that call the kernel with other numbers in the same arrays."""
    if not case.again:
        return []
    names = [arg.name for arg in case.reads]
    return [
        f"held = [a.copy() for a in ({', '.join(names)},)]",
        *(f"{arg.name}[...] = {arg.name}[::-1].copy()" for arg in case.reads),
        *(
            f"{arg.name} = np.full({case.shape(arg)}, {fill(arg.dtype)}, {arg.dtype or case.dtype!r})"
            for arg in case.writes
        ),
        f"contract.kernel({case.op.name!r}, kernel)({written_out(case.op.name, passed)})",
        *(f"{name}[...] = held[{i}]" for i, name in enumerate(names)),
    ]


def _adapting(op: str, how: Adapt) -> list[str]:
    if how == AS_SPECIFIED:
        return []
    given = ", ".join(
        f"{name}={value!r}" for name, value in how._asdict().items() if value != getattr(AS_SPECIFIED, name)
    )
    adapt = "from tinyres_kernels.conformance.adapt import Adapt, adapted"
    return [adapt, "", f"kernel = adapted(kernel, {op!r}, Adapt({given}))"]


def fill(dtype: str) -> str:
    """What a result holds before: an integer has no NaN."""
    return "-77" if dtype else "np.nan"
