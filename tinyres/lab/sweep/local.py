"""Run sweep points in this process, or in parallel processes on this machine."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial

from tinyres.lab.processes import each
from tinyres.lab.sweep.conduct import Execute, Outcome
from tinyres.lab.sweep.point import attempt
from tinyres.training.recipe import Recipe


def here(recipes: Sequence[Recipe], device: str = "cpu") -> Generator[Outcome]:
    """Run the points one after the other, in this process."""
    for recipe in recipes:
        yield recipe, attempt(recipe, device)


def processes(jobs: int, device: str = "cpu") -> Execute:
    """Run `jobs` points at a time, each in its own process with one thread; on "cuda" they share the GPU.

    A point whose process dies twice counts as failed; see `tinyres.lab.processes.each`.
    """

    def execute(recipes: Sequence[Recipe]) -> Generator[Outcome]:
        yield from each(partial(attempt, device=device), recipes, jobs)

    return execute
