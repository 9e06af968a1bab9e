"""What is not finished yet is run, and what comes back is kept."""

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
    """Run the points that `results` does not hold; returns {recipe: why} for those that failed.

    Args:
        recipes: the points, in the order of the table.
        results: each point is added as soon as it comes back, in whatever order; sorted at the end.
        execute: how: `local.here`, `local.processes(4)`, `cluster.dask("tcp://...")`. It yields each recipe once, with
            its finding, or with a sentence where there is none.
        tick: called after each point that came back.

    Raises:
        What `execute` raises when it cannot go on, OSError where a row cannot be written; all rows before it are kept.
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
