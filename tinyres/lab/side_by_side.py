"""Several experiments at once, each in its own process on one thread; one that comes in pieces, in several processes.

What is found does not depend on how many run at once: each piece has one thread in any case, and none knows of another.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tinyres_kernels import waiting

from tinyres.lab.experiment import InPieces, Options, Result, Tick
from tinyres.lab.processes import counted, each, one_thread
from tinyres.lab.registry import EXPERIMENTS
from tinyres.lab.report.files import save, save_document, save_figure

TICKS, BEGUN, ASKED, COMPILED = range(4)  # what a piece of work counts, each in its own four numbers
Watch = Callable[[str, int], object]


@dataclass(frozen=True)
class Work:
    """One experiment to run, or a piece of one to measure, or a figure of one to draw; and the folder for its files.

    Attributes:
        place: of its counters.
        piece: of an experiment that comes in pieces.
        found: of a figure to draw: all that was found of its experiment's pieces.
        figure: its name.
    """

    name: str
    options: Options
    folder: Path
    place: int = 0
    piece: Any = None
    found: tuple[Any, ...] = ()
    figure: str = ""


@dataclass(frozen=True)
class Finished:
    """What an experiment found (its figures are drawn already), how long it took and the files it wrote."""

    result: Result
    seconds: float
    written: list[Path]


@dataclass
class _InProgress:
    """An experiment of which some pieces are measured, or some figures drawn."""

    found: dict[int, Any] = field(default_factory=dict)  # by place
    result: Result | None = None
    seconds: float = 0.0
    pictures: dict[str, Path] = field(default_factory=dict)


def works(names: Sequence[str], options: Options, folder: Path) -> list[Work]:
    """The experiments, those that come in pieces as these: the longest ones first, so that the last process is not left
    alone with one of them, and all pieces of an experiment, whose figures are yet to be drawn, one after another."""
    sizes: list[tuple[float, float, Work]] = []
    for name in names:
        seconds, run = EXPERIMENTS[name].seconds, EXPERIMENTS[name].run
        if isinstance(run, InPieces):
            for piece in run.pieces(options):
                sizes.append((seconds, run.cost(piece), Work(name, options, folder, len(sizes), piece)))
        else:
            sizes.append((seconds, 0.0, Work(name, options, folder, len(sizes))))
    return [work for *_, work in sorted(sizes, key=lambda entry: entry[:2], reverse=True)]


def run_side_by_side(
    names: Sequence[str], options: Options, folder: Path, jobs: int, watch: Watch = lambda name, ticks: None
) -> Generator[tuple[str, Finished | str]]:
    """Each experiment with what it found, as they finish; a sentence where its process died twice.

    Args:
        watch: called several times a second with each experiment that has begun, and how many ticks it is at.

    Raises:
        Exception: whatever an experiment raised, with the traceback of its process as a note.
    """
    todo = deque(works(names, options, folder))
    places: dict[str, list[int]] = {name: [work.place for work in todo if work.name == name] for name in names}
    pieces = {name: _InProgress() for name in names if isinstance(EXPERIMENTS[name].run, InPieces)}
    waits = set(names)
    looks = _looks(places, watch)
    outcome: Any
    for work, outcome in each(attempt, todo, jobs, counters=4 * len(todo), watch=looks):
        if isinstance(outcome, Exception):
            raise outcome
        if work.name in pieces and not isinstance(outcome, str):
            outcome = _joined(work, outcome, pieces[work.name], sorted(places[work.name]), todo)
        if outcome is not None and work.name in waits:
            waits.remove(work.name)
            yield work.name, outcome


def _joined(work: Work, outcome: Any, so_far: _InProgress, places: list[int], todo: deque[Work]) -> Finished | None:
    """The experiment, if this was the last piece or figure; after the last piece, the figures come next."""
    experiment, options = EXPERIMENTS[work.name], work.options
    assert isinstance(experiment.run, InPieces)
    if so_far.result is None:
        so_far.found[work.place], seconds = outcome
        so_far.seconds += seconds
        if len(so_far.found) < len(places):
            return None
        found = tuple(so_far.found[place] for place in places)
        so_far.result = experiment.run.gather(options, list(found))
        drawing = replace(work, piece=None, found=found)
        todo.extendleft(replace(drawing, figure=name) for name in reversed(so_far.result.figures))
    else:
        so_far.pictures[work.figure] = outcome
    result = so_far.result
    if len(so_far.pictures) < len(result.figures):
        return None
    pictures = [so_far.pictures[name] for name in result.figures]
    document = save_document(experiment, result, options, so_far.seconds, pictures, work.folder)
    return Finished(replace(result, figures={}), so_far.seconds, [document, *pictures])


def attempt(work: Work) -> Any:
    """Do it: what was found, or the path of a picture. An exception is returned: one that is raised ends the pool."""
    experiment, start = EXPERIMENTS[work.name], time.perf_counter()
    run, options, folder = experiment.run, work.options, work.folder
    try:
        with _counting(4 * work.place) as tick, one_thread():
            if isinstance(run, InPieces) and work.found:
                return save_figure(experiment, run.gather(options, list(work.found)), options, folder, work.figure)
            if isinstance(run, InPieces):
                return run.measure(options, work.piece, tick), time.perf_counter() - start
            result = run(options, tick)
            seconds = time.perf_counter() - start
            written = save(experiment, result, options, seconds, folder)
        return Finished(replace(result, figures={}), seconds, written)
    except Exception as error:
        error.add_note(traceback.format_exc())
        return error


@contextmanager
def _counting(first: int) -> Iterator[Tick]:
    """Inside, what this process does is counted where the one that started it sees it."""
    counts, before = counted(), waiting.told

    def add(which: int, number: int = 1) -> None:
        if counts:
            counts[first + which] += number

    def told(begins: bool, kernels: int = 1) -> None:
        add(ASKED if begins else COMPILED, kernels)

    add(BEGUN)
    waiting.told = told
    try:
        yield lambda: add(TICKS)
    finally:
        waiting.told = before


def _looks(places: dict[str, list[int]], watch: Watch) -> Callable[[Any], None]:
    """What is done with the counters several times a second."""
    last = {"busy": False, "compiled": 0}

    def look(counts: Any) -> None:
        for name, own in places.items():
            if any(counts[4 * place + BEGUN] for place in own):
                watch(name, sum(counts[4 * place + TICKS] for place in own))
        every = [place for own in places.values() for place in own]
        busy = any(counts[4 * place + ASKED] > counts[4 * place + COMPILED] for place in every)
        if busy != last["busy"]:
            # Processes that wait for the same kernel all count it: no more are sure than what one of them has counted.
            compiled = max(counts[4 * place + COMPILED] for place in every)
            waiting.told(busy, *(() if busy else (compiled - last["compiled"],)))
            last.update(busy=busy, compiled=last["compiled"] if busy else compiled)

    return look
