"""Run the unfinished points of a sweep and save their results."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing

from tinyres.lab.sweep.point import Finding
from tinyres.lab.sweep.results import Results
from tinyres.training.recipe import Recipe

Outcome = tuple[Recipe, Finding | str]
Execute = Callable[[Sequence[Recipe]], Generator[Outcome]]


def sweep(
    recipes: Sequence[Recipe], results: Results, execute: Execute, tick: Callable[[], object] = lambda: None
) -> dict[Recipe, str]:
    """Run the points missing from `results`; returns {recipe: reason} for those that failed.

    Args:
        recipes: the points, in the order of the table.
        results: each point is added as soon as it is finished, in any order; sorted at the end.
        execute: `local.here`, `local.processes(4)` or `cluster.dask("tcp://...")`. It yields each recipe once, with its
            finding or an error message.
        tick: called after each finished point.

    Raises:
        Whatever `execute` raises when it cannot continue; OSError if a row cannot be written. Earlier rows are saved.
    """
    failed = {}
    with closing(execute([recipe for recipe in recipes if recipe not in results])) as outcomes:
        for recipe, outcome in outcomes:
            if isinstance(outcome, Finding):
                results.add(recipe, outcome)
            else:
                failed[recipe] = outcome
            tick()
    results.sort(recipes)
    return failed
