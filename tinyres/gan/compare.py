"""Several methods on one data set, each at several seeds: which one is better, and by more than chance?

Each run has a folder, `METHOD-seedN`, that `conduct` fills. What is finished there is read again, and what was killed
goes on where it was saved, so that the same call always ends in the same table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from tinyres.figures import palette, whole
from tinyres.files import PathLike, plain
from tinyres.gan.conduct import conduct
from tinyres.gan.data import STACKED
from tinyres.gan.prepare import prepare
from tinyres.gan.recipe import FIELDS, METHODS, GANRecipe
from tinyres.gan.score import Score, score
from tinyres.gan.trainer import GANTrainer
from tinyres.training.checkpoint import NAME, CheckpointError

IMAGES = "frechet_ratio", "precision", "recall", "least_class"
POINTS = "modes", "high_quality", "reverse_kl"
STACKS = "modes", "reverse_kl"
COUNTS = {"modes"}  # of each run a whole number, though their mean is none
SAVE_EVERY = 250  # steps between two checkpoints
WORDS = {"true": True, "false": False}


@dataclass(frozen=True)
class Entrant:
    """A method, and what is changed in it. `text` is how it was written, and its name in the table."""

    text: str
    method: str
    changes: dict[str, Any]

    @classmethod
    def of(cls, text: str) -> Entrant:
        """Read "r3gan", or "r3gan,penalty=none,steps=500": fields of `GANRecipe` with their values.

        Raises:
            ValueError: no such method or field, a field that all runs must share, or a value of another type.
        """
        method, *assigned = text.split(",")
        if method not in METHODS:
            raise ValueError(f"no method called {method!r}; there are {', '.join(METHODS)}")
        changes = {}
        for assignment in assigned:
            name, equals, value = assignment.partition("=")
            if not equals or name not in FIELDS or name in ("data", "method", "seed", "image", "data_hash"):
                raise ValueError(f"{text}: {assignment!r} must be a setting of the run and its value, as in steps=500")
            changes[name] = _value(name, value)
        return cls(text, method, changes)

    def recipe(self, data: str, seed: int) -> GANRecipe:
        """Its run on this data set at this seed."""
        return GANRecipe.of(self.method, data, seed=seed, **self.changes)


def _value(name: str, text: str) -> Any:
    kinds = get_args(FIELDS[name]) or (FIELDS[name],)
    if bool in kinds and text.lower() in WORDS:
        return WORDS[text.lower()]
    for kind in kinds:
        try:
            return kind(text) if kind in (int, float, str) else int("no number")
        except ValueError:
            continue
    raise ValueError(f"{name}={text}: needs {' or '.join(kind.__name__ for kind in kinds)}")


@dataclass(frozen=True)
class Entry:
    """What an entrant's runs came to.

    Attributes:
        found: the figures of each seed that finished, by seed.
        failed: why the others did not, by seed.
    """

    entrant: Entrant
    found: dict[int, dict[str, float]]
    failed: dict[int, str]

    def values(self, figure: str) -> np.ndarray[Any, Any]:
        """One figure, at all seeds that finished."""
        return np.array([figures[figure] for figures in self.found.values()])

    def to_json(self) -> dict[str, Any]:
        """The entry as JSON values."""
        document: dict[str, Any] = plain({"method": self.entrant.text, "seeds": self.found, "failed": self.failed})
        return document


def figures_of(data: str) -> tuple[str, ...]:
    """The figures that a data set's runs are compared by, of `Score.figures`."""
    return STACKS if data in STACKED else POINTS if data in ("ring8", "grid25") else IMAGES


def compare(
    data: str,
    entrants: Sequence[Entrant],
    seeds: Sequence[int],
    folder: PathLike,
    *,
    say: Callable[[str], object] = lambda line: None,
    tick: Callable[[int, int], object] = lambda step, total: None,
    device: str = "cpu",
) -> list[Entry] | None:
    """Take every run to its end, seed by seed, and gather the scores; None where the runs were interrupted.

    A run that diverges is listed with its reason, and the others go on.

    Args:
        folder: has a folder for each run, and the classifier that the score rests on.
        say, tick: see `training.conduct.Conductor`.

    Raises:
        CheckpointError: a run's folder holds a run with other settings.
        ValueError, OSError, ImportError: see `prepare` and `score`.
    """
    entries = [Entry(entrant, {}, {}) for entrant in {entrant.text: entrant for entrant in entrants}.values()]
    for seed in seeds:
        for entry in entries:
            recipe = entry.entrant.recipe(data, seed)
            where = Path(folder) / f"{entry.entrant.text.replace('/', '_')}-seed{seed}"
            figures = finished(where, recipe)
            if figures is None:
                say(f"{entry.entrant.text}, seed {seed}")
                outcome = _conduct(recipe, where, say, tick, device)
                if outcome.status == "stopped":
                    return None
                if outcome.status == "diverged":
                    entry.failed[seed] = outcome.reason
                    continue
                figures = finished(where, recipe)
            assert figures is not None
            entry.found[seed] = figures
    return entries


def _conduct(recipe: GANRecipe, where: Path, say: Any, tick: Any, device: str) -> Any:
    def judge(trainer: GANTrainer) -> Score:
        return score(recipe, trainer.sample, folder=where.parent)

    begun = (where / NAME).exists()
    return conduct(
        prepare(recipe, device=device), where, resume=begun, save_every=SAVE_EVERY, sample_every=recipe.steps,
        judge=judge, say=say, tick=tick,
    )  # fmt: skip


def finished(where: Path, recipe: GANRecipe) -> dict[str, float] | None:
    """The figures of the finished run in this folder, or None.

    Raises:
        CheckpointError: it is a run of another recipe.
    """
    path = where / "result.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        theirs, judged = document["recipe"], document["score"]
        figures = None if judged is None else {name: float(value) for name, value in judged["figures"].items()}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged ({error!r}); without it, the run is scored again") from error
    if theirs != recipe.to_json():
        raise CheckpointError(f"{where} holds a run with other settings; choose another folder, or remove this one")
    return figures


def draw(figure: Any, entries: Sequence[Entry], names: Sequence[str], title: str) -> None:
    """A panel for each figure: a dot for each seed, and a line at the mean."""
    figure.suptitle(title)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        for k, entry in enumerate(entries):
            values = entry.values(name)
            if len(values):
                axes.plot([values.mean()] * 2, [k - 0.3, k + 0.3], color=palette.FAINT)
            axes.plot(values, [k] * len(values), "o", color=palette.G, ms=5, alpha=0.7)
        if name in COUNTS:
            whole(axes.xaxis)
        axes.set(xlabel=name.replace("_", " "), ylim=(len(entries) - 0.5, -0.5))
    panels[0].set_yticks(range(len(entries)), [entry.entrant.text for entry in entries])


__all__ = ["Entrant", "Entry", "compare", "draw", "figures_of", "finished"]
