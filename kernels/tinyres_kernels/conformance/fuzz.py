"""Realistic cases without end: each kernel of a set held against float64, what fails made small and ready to paste.

Case K of seed S is the same on every machine, whatever came before it.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.draw import draw
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.conformance.trial import Names, Trial

OFTEN = ("conv2d", "conv2d_dx", "conv2d_dw")  # what goes most ways: as often as all others together
PATIENCE = 60.0  # seconds for making a case smaller
PAUSE = 5.0  # seconds between two lines of progress


def drawn(seed: int, number: int, ops: Sequence[str] = (), threads: int = 1) -> Trial:
    """Case `number` of a seed, of one of these operations, on up to so many threads."""
    rng = np.random.default_rng([seed, number])
    known = list(ops) or list(OPS)
    often = [op for op in known if op in OFTEN]
    chosen = often if often and rng.random() < 0.5 else known
    return draw(rng, OPS[chosen[int(rng.integers(len(chosen)))]], threads=threads)


def fuzz(
    rung: Any,
    minutes: float,
    *,
    ops: Sequence[str] = (),
    seed: int = 0,
    first: int = 0,
    most: int | None = None,
    failures: Path | None = None,
) -> int:
    """Put drawn cases to the kernels of a set, for so long or so many; the number of operations that failed.

    What fails is printed, shrunk, and appended to the file `failures`; the operation is then left out.
    """
    threads = import_module("numba").config.NUMBA_NUM_THREADS
    print(f"fuzz of {rung.__name__}: seed {seed}, {threads} threads", flush=True)
    begin = told = monotonic()
    counts: Counter[str] = Counter()
    failed: list[str] = []
    number = first
    while monotonic() - begin < 60 * minutes and (most is None or number < first + most):
        trial = drawn(seed, number, ops, threads)
        name = trial.case.op.name
        if name not in failed:
            faults = trial.faults(getattr(rung, name))
            counts[name] += 1
            if faults:
                failed.append(name)
                again = f"--seed {seed} --case {number}" + "".join(f" --op {op}" for op in ops)
                _tell(rung, trial, faults, again, failures)
        number += 1
        if set(failed) >= set(ops or OPS):
            break
        if monotonic() - told >= PAUSE:
            told = monotonic()
            _progress(begin, counts)
    _progress(begin, counts)
    print(f"{counts.total()} cases, {', '.join(failed) + ' failed' if failed else 'none fails'}", flush=True)
    return len(failed)


def _progress(begin: float, counts: Counter[str]) -> None:
    seconds = monotonic() - begin
    each = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    rate = counts.total() / max(seconds, 1e-3)
    print(f"{seconds:.0f} s, {counts.total()} cases, {rate:.1f} a second: {each}", file=sys.stderr, flush=True)


def _tell(rung: Any, trial: Trial, faults: list[str], again: str, failures: Path | None) -> None:
    kernel = getattr(rung, trial.case.op.name)
    print(f"\nFAILED: {trial.case.op.name} ({again})\n{trial}\n" + "\n".join(f"  - {fault}" for fault in faults))
    small, tries = shrink(trial, lambda t: bool(t.faults(kernel)))
    print(f"smaller, after {tries} tries:\n{small}\n" + "\n".join(f"  - {fault}" for fault in small.faults(kernel)))
    print(f"to reproduce it:\n\n{small.snippet(rung.__name__)}\n", flush=True)
    if failures:
        with failures.open("a") as file:
            file.write(f"{small}\n")


def shrink(trial: Trial, fails: Callable[[Trial], bool], patience: float = PATIENCE) -> tuple[Trial, int]:
    """The simplest case found that still fails, and how many were tried. The first simpler one that fails is taken."""
    end, tries, going = monotonic() + patience, 0, True
    while going:
        going = False
        for simpler in _simpler(trial):
            if monotonic() > end:
                break
            tries += 1
            if fails(simpler):
                trial, going = simpler, True
                break
    return trial, tries


def _simpler(trial: Trial) -> Iterator[Trial]:
    """Cases like this one, each simpler in one way, the boldest steps first."""
    case, structure, plain = trial.case, trial.case.structure, trial.case.op.family.plain
    if trial.threads > 1:
        yield replace(trial, threads=1)
    yield from (replace(trial, layouts=fewer) for fewer in _fewer(trial.layouts))
    yield from (replace(trial, changes=fewer) for fewer in _fewer(trial.changes))
    cases = [replace(case, put=None)] if case.put else []
    cases += [replace(case, dtype="float64")] if case.dtype == "float32" else []
    cases += [replace(case, seed=0)] if case.seed else []
    for key, value in structure.items():
        cases += [replace(case, structure={**structure, key: other}) for other in _smaller(key, value, plain[key])]
    yield from (replace(trial, case=simpler) for simpler in cases if _fits(simpler))


def _fewer(names: Names) -> Iterator[Names]:
    """All of them left out, then one by one."""
    yield from [{}] if names else []
    for key, lines in names.items():
        others = {k: v for k, v in names.items() if k != key}
        for i in range(len(lines)):
            rest = lines[:i] + lines[i + 1 :]
            yield {**others, key: rest} if rest else others


def _smaller(key: str, value: Any, plain: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        least = 0 if key == "padding" else 1
        if key == "axes" and len(value) > 1:
            yield value[1:]
        for change in (lambda n: least, lambda n: n // 2, lambda n: n - 1):
            yield from {tuple(max(least, change(n)) for n in value)} - {value}
            for i, n in enumerate(value):
                yield from {(*value[:i], max(least, change(n)), *value[i + 1 :])} - {value}
    elif isinstance(value, bool | float | str):
        yield from [plain] if value != plain else []
    elif value > 1:
        yield from dict.fromkeys((1, value // 2, value - 1))


def _fits(case: Case) -> bool:
    try:
        return case.elements > 0
    except ValueError:  # no window does
        return False
