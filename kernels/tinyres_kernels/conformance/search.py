"""All named cases, then drawn ones until one fails, which is then made as small as it can be."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random

import hypothesis
from hypothesis import strategies as st

from tinyres_kernels.conformance.declare import Case, Op, Put
from tinyres_kernels.conformance.examine import Finding, Kernel, examine
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.conformance.report import Report

DTYPES = ("float32", "float64")


def check(kernel: Kernel, op: str, *, examples: int = 100, seed: int = 0, dtypes: Sequence[str] = DTYPES) -> Report:
    """Hold a callable against the specification of `op`, in its named cases and in up to `examples` drawn ones.

    The search stops at the first drawn case that fails and shrinks it. The same seed draws the same cases. A kernel
    that raises fails; none of its exceptions comes out of here.

    Raises ValueError for an operation or a dtype that is not known, TypeError for a kernel that cannot be called.
    """
    if op not in OPS:
        raise ValueError(f"conformance: got op {op!r}, needed one of {', '.join(OPS)}")
    if not callable(kernel):
        raise TypeError(f"conformance: got a kernel of type {type(kernel).__name__}, needed a callable")
    if not dtypes or not set(dtypes) <= set(DTYPES):
        raise ValueError(f"conformance: got dtypes {tuple(dtypes)}, needed one or more of {', '.join(DTYPES)}")
    named = [examine(kernel, case) for case in _named(OPS[op], dtypes, seed)]
    drawn: list[Finding] = []

    def fails(case: Case) -> bool:
        drawn.append(examine(kernel, case))
        return not drawn[-1].ok

    found: Finding | None = None
    tries = 0
    if examples:
        _search(OPS[op], dtypes, examples, seed, fails)
        found = next(
            (finding for finding in reversed(drawn) if not finding.ok), None
        )  # the search ends on the smallest
        tries = next((i for i, finding in enumerate(drawn, 1) if not finding.ok), len(drawn))
    return Report(kernel, op, named, drawn, tries, found)


def assert_conforms(
    kernel: Kernel, op: str, *, examples: int = 100, seed: int = 0, dtypes: Sequence[str] = DTYPES
) -> None:
    """`check`, for a test: raises AssertionError with the whole report where the kernel does not conform."""
    report = check(kernel, op, examples=examples, seed=seed, dtypes=dtypes)
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
    """Draw cases until one fails, and then ever smaller ones."""
    settings = hypothesis.settings(
        max_examples=examples,
        database=None,  # what failed yesterday must not change what is drawn today
        deadline=None,
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    # A kernel that fails only now and then is Flaky to Hypothesis, and for us it fails.
    with suppress(hypothesis.errors.NoSuchExample, hypothesis.errors.Flaky):
        hypothesis.find(_cases(op, dtypes), fails, settings=settings, random=Random(seed))


def _named(op: Op, dtypes: Sequence[str], seed: int) -> list[Case]:
    return [
        Case(
            op,
            title,
            {**op.family.plain, **named.changes},
            dtype,
            seed,
            put=named.put,
            spoil=named.spoil,
            refused=named.refused,
            readonly=named.readonly,
        )
        for title, named in op.cases.items()
        for dtype in dtypes
    ]


def _cases(op: Op, dtypes: Sequence[str]) -> st.SearchStrategy[Case]:
    # Float64 first: what comes first is what an example is made smaller towards.
    return st.builds(
        Case,
        st.just(op),
        st.just("drawn"),
        op.family.structures,
        st.sampled_from(sorted(dtypes, reverse=True)),
        st.integers(0, 2**32 - 1),
        st.sampled_from([None, None, None, *(Put(0, value) for value in op.special)]),
    )
