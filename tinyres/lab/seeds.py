"""Run experiments at several seeds, on all cores; finished seeds are saved and not run again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from tinyres.flow.measurement import plain
from tinyres.lab.processes import each, one_thread
from tinyres.lab.registry import EXPERIMENTS, Options
from tinyres.lab.report.files import FORMAT, describe, file_name, save_pictures, write_json

KEPT = "seeds"  # subfolder with the results of single seeds


@dataclass(frozen=True)
class Seed:
    """One experiment at one seed; if `pictures`, its figures are drawn into `folder`."""

    name: str
    options: Options
    folder: Path
    pictures: bool

    @property
    def path(self) -> Path:
        """The file with its result."""
        stem = file_name(EXPERIMENTS[self.name], self.options)
        return self.folder / KEPT / f"{stem}-seed{self.options.seed}.json"


def at_seeds(names: Sequence[str], options: Options, count: int, folder: Path) -> list[Seed]:
    """Each experiment at `count` consecutive seeds, starting at `options.seed`."""
    return [
        Seed(name, replace(options, seed=options.seed + k), folder, pictures=k == 0)
        for name in names
        for k in range(count)
    ]


def run_seeds(seeds: Sequence[Seed], jobs: int) -> Generator[tuple[Seed, dict[str, Any] | str]]:
    """Yield each seed's result as a JSON document, or an error message; saved results come first.

    Raises:
        OSError: the folder for the results cannot be created.
    """
    waiting = []
    for seed in seeds:
        seed.path.parent.mkdir(exist_ok=True)
        document = kept(seed)
        if document is None:
            waiting.append(seed)
        else:
            yield seed, document
    if waiting:
        yield from each(attempt, waiting, jobs)


def attempt(seed: Seed) -> dict[str, Any] | str:
    """Run a seed on one thread and save its result; an exception becomes a message, so that other seeds continue."""
    experiment, start = EXPERIMENTS[seed.name], time.perf_counter()
    try:
        with one_thread():
            result = experiment.run(seed.options, lambda: None)
        seconds = time.perf_counter() - start
        pictures = save_pictures(experiment, result, seed.options, seed.folder) if seed.pictures else []
        document = describe(experiment, result, seed.options, seconds, pictures) | {"code": code()}
        write_json(seed.path, document | {"check": _check(document)})
        return document
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def kept(seed: Seed) -> dict[str, Any] | None:
    """The saved result of an earlier run with the same options and the same code; None if missing or edited."""
    try:
        document = json.loads(seed.path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    same = (
        isinstance(document, dict)
        and document.pop("check", None) == _check(document)
        and document.get("format") == FORMAT
        and document.get("code") == code()
        and document.get("options") == plain(vars(seed.options))
    )
    if not same or (seed.pictures and not _all_there(document["figures"], seed.folder)):
        return None
    return document  # type: ignore[no-any-return]


def _check(document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()[:20]


def _all_there(pictures: Sequence[str], folder: Path) -> bool:
    return bool(pictures) and all((folder / picture).exists() for picture in pictures)


@cache
def code() -> str:
    """A hash of the source of tinyres and its kernels, so that results of other code are not reused."""
    import tinyres_kernels

    import tinyres

    digest = hashlib.sha256()
    for package in (tinyres, tinyres_kernels):
        root = Path(next(iter(package.__path__)))
        for path in sorted(root.rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]
