"""All named cases, then drawn ones until one fails."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random

import hypothesis
from hypothesis import strategies as st

from tinyres_kernels.conformance.adapt import AS_SPECIFIED, LAYOUTS, Adapt, adapted
from tinyres_kernels.conformance.breach import CTYPES, Probe, breach
from tinyres_kernels.conformance.cancel import cancelled
from tinyres_kernels.conformance.declare import TURNED, Case, Op, Put
from tinyres_kernels.conformance.examine import Finding, Kernel, examine
from tinyres_kernels.conformance.explain import KEEPS, half_written, in_memory, means, rounded, small_error
from tinyres_kernels.conformance.formulas import known
from tinyres_kernels.conformance.kernel import by_ctypes
from tinyres_kernels.conformance.kind import merged
from tinyres_kernels.conformance.kinds import kinds
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.conformance.report import Report

DTYPES = ("float32", "float64")


def check(
    kernel: Kernel,
    op: str,
    *,
    examples: int = 100,
    seed: int = 0,
    dtypes: Sequence[str] = DTYPES,
    adapt: Adapt = AS_SPECIFIED,
    run: Probe | None = None,
) -> Report:
    """Hold a callable against the specification of `op`, in its named cases and in up to `examples` drawn ones.

    The search stops at the first drawn case that fails. Failing cases are then sorted by kind, and of each kind a plain
    and small one is looked for. The same seed draws the same cases. A kernel that raises fails; none of its exceptions
    comes out of here. `adapt` says what the kernel takes, if that is not what the contract says; `run` runs a case,
    where this is not to be done here.

    Raises ValueError for an operation, a dtype or an `adapt` that is not possible, TypeError for a kernel that cannot
    be called.
    """
    if op not in OPS:
        raise ValueError(f"conformance: got op {op!r}, needed one of {', '.join(OPS)}")
    if not callable(kernel):
        raise TypeError(f"conformance: got a kernel of type {type(kernel).__name__}, needed a callable")
    if not dtypes or not set(dtypes) <= set(DTYPES):
        raise ValueError(f"conformance: got dtypes {tuple(dtypes)}, needed one or more of {', '.join(DTYPES)}")
    probe = run or here(kernel, op, adapt)
    report = Report(kernel, op, [], [], 0, None, adapt=adapt)
    try:
        _fill(report, probe, OPS[op], examples, seed, dtypes)
    except KeyboardInterrupt:
        report.stopped = True
        raise Stopped(report) from None
    return report


class Stopped(KeyboardInterrupt):
    """Somebody stopped the check. `report` holds what was found until then."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report


def _fill(report: Report, probe: Probe, op: Op, examples: int, seed: int, dtypes: Sequence[str]) -> None:
    """Everything that a report tells, in the order in which it is found."""
    for case in _named(op, dtypes, seed, report.adapt):
        report.named.append(probe(case, None))
    named, drawn = report.named, report.drawn
    if broken := breach(report.kernel, op.name, named, probe, report.adapt):
        report.breach = broken
        return

    def fails(case: Case) -> bool:
        drawn.append(probe(case, None))
        return not drawn[-1].ok and not drawn[-1].left

    if examples:
        _search(op, dtypes, examples, seed, fails)
        drawn[:] = [finding for finding in drawn if not finding.left]
        failing = [i for i, finding in enumerate(drawn) if not finding.ok]
        report.found = drawn[failing[0]] if failing else None
        report.tries = failing[0] + 1 if failing else len(drawn)
    if not report.ok:

        def look(case: Case) -> Finding:
            finding = probe(case, None)
            if case.title != TURNED:  # these are one case several times over, and would outweigh the others
                report.looked.append(finding)
            return finding

        report.kinds = kinds(look, [*named, *([report.found] if report.found else [])], dtypes)
        for kind in report.kinds:
            if kind.sign == "ended" and by_ctypes(report.kernel):
                kind.means = CTYPES
            elif kind.example.case.again:
                kind.means = KEEPS
            elif kind.example.case.lies or kind.example.case.over:
                kind.means = in_memory(kind.example.case)
            elif kind.sign == "unwritten":
                kind.means = half_written(kind.findings)
            elif kind.sign == "wrong":
                of = [kind.example, *kind.telling, *kind.findings]
                kind.means, heading = known(of)
                kind.means = kind.means or means(of) or cancelled(of)
                few_digits = "" if kind.means else rounded(kind.findings)
                kind.means, kind.named = kind.means or few_digits, heading
                if "float64" in kind.needs and not few_digits:
                    kind.error = small_error(kind.example)
        report.kinds = merged(report.kinds)


def here(kernel: Kernel, op: str, adapt: Adapt) -> Probe:
    """Cases are run in this process."""
    made = {adapt: adapted(kernel, op, adapt)}

    def probe(case: Case, how: Adapt | None) -> Finding:
        how = how or adapt
        if how not in made:
            made[how] = adapted(kernel, op, how, adapt)
        return examine(made[how], case)

    return probe


def assert_conforms(
    kernel: Kernel,
    op: str,
    *,
    examples: int = 100,
    seed: int = 0,
    dtypes: Sequence[str] = DTYPES,
    layout: str = AS_SPECIFIED.layout,
    arrays: str = AS_SPECIFIED.arrays,
) -> None:
    """`check`, for a test: raises AssertionError with the whole report where the kernel does not conform.

    `layout` and `arrays` are those of the command: layout="nchw", arrays="torch". The kernel runs in this process, with
    no guarded memory around its arrays: a compiled kernel that reads beyond an array and computes the right numbers
    passes here, and one that crashes ends the test run. The command finds both; give it to compiled kernels as well.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"conformance: got layout {layout!r}, needed one of {', '.join(LAYOUTS)}")
    report = check(kernel, op, examples=examples, seed=seed, dtypes=dtypes, adapt=Adapt(layout, arrays))
    if not report.ok:
        raise AssertionError(f"\n{report}")


def cases(op: str, *, examples: int = 100, seed: int = 0, dtypes: Sequence[str] = DTYPES) -> list[Case]:
    """The named cases and so many drawn ones: what `check` puts to a kernel that conforms."""
    drawn: list[Case] = []

    def keep(case: Case) -> bool:
        drawn.append(case)
        return False

    if examples:
        _search(OPS[op], dtypes, examples, seed, keep)
    return _named(OPS[op], dtypes, seed) + drawn


def _search(op: Op, dtypes: Sequence[str], examples: int, seed: int, fails: Callable[[Case], bool]) -> None:
    """Draw cases until one fails."""
    settings = hypothesis.settings(
        max_examples=examples,
        database=None,  # what failed yesterday must not change what is drawn today
        deadline=None,
        phases=[hypothesis.Phase.generate],  # `kinds` looks for a smaller one, and knows what is plain
    )
    # A kernel that fails only now and then is Flaky to Hypothesis, and for us it fails.
    with suppress(hypothesis.errors.NoSuchExample, hypothesis.errors.Flaky):
        hypothesis.find(_cases(op, dtypes), fails, settings=settings, random=Random(seed))


def _named(op: Op, dtypes: Sequence[str], seed: int, how: Adapt = AS_SPECIFIED) -> list[Case]:
    return [
        Case(
            op,
            title,
            {**op.family.plain, **named.changes},
            dtype,
            seed + named.again,  # other numbers than in the plain case, which came before
            put=named.put,
            spoil=named.spoil,
            refused=named.refused,
            readonly=named.readonly,
            shift=named.shift,
            lies=named.lies,
            over=named.over,
            again=named.again,
        )
        for title, named in op.cases.items()
        if how == AS_SPECIFIED or not (named.lies or named.over)  # others get copies, which lie as they always do
        for dtype in dtypes
    ]


def _cases(op: Op, dtypes: Sequence[str]) -> st.SearchStrategy[Case]:
    return st.builds(
        Case,
        st.just(op),
        st.just("drawn"),
        op.family.structures,
        st.sampled_from(sorted(dtypes, reverse=True)),  # Hypothesis begins with what comes first: float64
        st.integers(0, 2**32 - 1),
        st.sampled_from([None, None, None, *(Put(0, value) for value in op.special)]),
    )
