"""Save and load an experiment's result: NAME.json and PNG files."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinyres.files import write
from tinyres.flow.measurement import plain
from tinyres.lab.experiment import Experiment, Options, Result
from tinyres.lab.law import Spread
from tinyres.lab.registry import EXPERIMENTS
from tinyres.lab.report.pictures import save_picture
from tinyres.lab.report.spread import picture

FORMAT = "tinyres experiment 2"
KEYS = frozenset([
    "name", "question", "claim", "prediction", "equation", "source", "varies", "least_seeds", "conditions", "choices",
    "found", "laws", "note", "tables", "figures", "options", "versions", "seconds",
])  # fmt: skip


def save(experiment: Experiment, result: Result, options: Options, seconds: float, folder: Path) -> list[Path]:
    """Write the figures, then the JSON file that lists them; returns the paths written.

    The same seed gives the same files, except for `seconds`.

    Raises:
        OSError: a file cannot be written. Files written before it stay.
    """
    pictures = save_pictures(experiment, result, options, folder)
    return [save_document(experiment, result, options, seconds, pictures, folder), *pictures]


def save_document(
    experiment: Experiment, result: Result, options: Options, seconds: float, pictures: Sequence[Path], folder: Path
) -> Path:
    """Write the JSON file of a result whose pictures are saved."""
    path = folder / f"{file_name(experiment, options)}.json"
    write_json(path, describe(experiment, result, options, seconds, pictures))
    return path


def save_seeds(experiment: Experiment, options: Options, document: dict[str, Any], folder: Path) -> None:
    """Write the combined result of several seeds (`gather`), and a figure of the spread after the first seed's own."""
    stem = file_name(experiment, options)
    spread = save_picture(picture(document["seeds"]["laws"]), folder / f"{stem}-seeds.png")
    write_json(folder / f"{stem}.json", document | {"figures": [*document["figures"], spread.name]})


def save_pictures(experiment: Experiment, result: Result, options: Options, folder: Path) -> list[Path]:
    """Save each of the result's figures as a PNG file."""
    return [save_figure(experiment, result, options, folder, name) for name in result.figures]


def save_figure(experiment: Experiment, result: Result, options: Options, folder: Path, name: str) -> Path:
    """Save one of the result's figures as a PNG file."""
    path = folder / f"{file_name(experiment, options)}{'-' if name else ''}{name}.png"
    return save_picture(result.figures[name], path)


def describe(
    experiment: Experiment, result: Result, options: Options, seconds: float, pictures: Sequence[Path]
) -> dict[str, Any]:
    """The content of the JSON file, as plain values."""
    laws = [law.to_json() | {"verdict": Spread([law], experiment.seeds).verdict()} for law in result.laws]
    document = {
        "format": FORMAT,
        "name": experiment.name,
        "question": experiment.question,
        "claim": experiment.claim,
        "prediction": experiment.prediction,
        "equation": experiment.equation,
        "source": experiment.source,
        "varies": experiment.varies,
        "least_seeds": experiment.seeds,
        "conditions": experiment.conditions,
        "choices": experiment.choices,
        "found": result.found,
        "laws": laws,
        "note": result.note,
        "tables": [{"title": t.title, "columns": t.columns, "rows": t.rows, "note": t.note} for t in result.tables],
        "figures": [picture.name for picture in pictures],
        "data": result.data,
        "options": asdict(options),
        "versions": versions(),
        "seconds": round(seconds, 2),
    }
    return plain(document)  # type: ignore[no-any-return]


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write the document atomically: if it fails, the old file stays."""
    write(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def file_name(experiment: Experiment, options: Options) -> str:
    """File name without extension: E2, or E3-m=0.9,a=0.5 with the settings that differ from the defaults."""
    return "-".join(filter(None, [experiment.name, ",".join(settings_text(experiment, options.settings))]))


def settings_text(experiment: Experiment, settings: Mapping[str, Any]) -> list[str]:
    """["m=0.9", "a=0.5"]: the settings that differ from the defaults or, if none does, all."""
    differs = [name for name, value in settings.items() if value != experiment.settings[name].default]
    return [f"{name}={settings[name]:{'' if isinstance(settings[name], str) else 'g'}}" for name in differs or settings]


def versions() -> dict[str, str]:
    """Versions of tinyres, NumPy and Python."""
    import numpy

    import tinyres

    return {"tinyres": tinyres.__version__, "numpy": numpy.__version__, "python": platform.python_version()}


def load(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Load all results in a folder, each with its `file`, and the names of the files that cannot be read.

    Other files are skipped.
    """
    found, broken = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            document = None
        ours = isinstance(document, dict) and document.get("format") == FORMAT
        if ours and document.keys() >= KEYS and isinstance(document["name"], str):
            found.append(document | {"file": path.name})
        elif ours or path.stem in EXPERIMENTS:
            broken.append(path.name)
    return found, broken
