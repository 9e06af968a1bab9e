"""Several experiments at once, each in its own process on one thread."""

from __future__ import annotations

import time
import traceback
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tinyres.lab.experiment import Options, Result
from tinyres.lab.processes import each, one_thread
from tinyres.lab.registry import EXPERIMENTS
from tinyres.lab.report.files import save


@dataclass(frozen=True)
class Work:
    """One experiment to run, and the folder for its files."""

    name: str
    options: Options
    folder: Path


@dataclass(frozen=True)
class Finished:
    """What an experiment found (its figures are drawn already), how long it took and the files it wrote."""

    result: Result
    seconds: float
    written: list[Path]


def run_side_by_side(
    names: Sequence[str], options: Options, folder: Path, jobs: int
) -> Generator[tuple[str, Finished | str]]:
    """Each experiment with what it found, as they finish; a sentence where its process died twice.

    The longest ones start first, so that the last process is not left alone with one of them.

    Raises:
        Exception: whatever an experiment raised, with the traceback of its process as a note.
    """
    works = [Work(name, options, folder) for name in names]
    works.sort(key=lambda work: -EXPERIMENTS[work.name].seconds)
    outcome: Any
    for work, outcome in each(attempt, works, jobs):
        if isinstance(outcome, Exception):
            raise outcome
        yield work.name, outcome


def attempt(work: Work) -> Finished | Exception | str:
    """Run it and write its files; an exception is returned, since one that is raised would end the pool."""
    experiment, start = EXPERIMENTS[work.name], time.perf_counter()
    try:
        with one_thread():
            result = experiment.run(work.options, lambda: None)
        seconds = time.perf_counter() - start
        written = save(experiment, result, work.options, seconds, work.folder)
        return Finished(replace(result, figures={}), seconds, written)
    except Exception as error:
        error.add_note(traceback.format_exc())
        return error
