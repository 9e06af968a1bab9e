"""NAME.json and the PNG files of one experiment."""

from __future__ import annotations

import json
import os
import platform
import warnings
from pathlib import Path
from typing import Any, Literal

from tinyres.flow.experiments import EXPERIMENTS
from tinyres.flow.experiments.experiment import Draw, Experiment, Options, Result
from tinyres.flow.measurement import plain

FORMAT = "tinyres experiment 1"
KEYS = frozenset(
    ["name", "claim", "prediction", "source", "laws", "note", "tables", "figures", "options", "versions", "seconds"]
)


def save(experiment: Experiment, result: Result, options: Options, seconds: float, folder: Path) -> list[Path]:
    """Write the pictures, then the JSON file that names them; returns what was written.

    The same seed gives the same files, but for `seconds`.

    Raises:
        OSError: something cannot be written. What was written before it stays.
    """
    pictures = []
    for name, draw in result.figures.items():
        pictures.append(_draw(draw, folder / f"{file_name(experiment.name, name)}.png"))
    document = {
        "format": FORMAT,
        "name": experiment.name,
        "claim": experiment.claim,
        "prediction": experiment.prediction,
        "source": experiment.source,
        "laws": [law.to_json() for law in result.laws],
        "note": result.note,
        "tables": [{"title": t.title, "columns": t.columns, "rows": t.rows, "note": t.note} for t in result.tables],
        "figures": [picture.name for picture in pictures],
        "data": result.data,
        "options": {
            "seed": options.seed,
            "depths": options.depths,
            "archs": options.archs,
            "steps": options.steps,
            "device": options.device,
        },
        "versions": versions(),
        "seconds": round(seconds, 2),
    }
    path = folder / f"{file_name(experiment.name)}.json"
    write(path, (json.dumps(plain(document), indent=1, allow_nan=False) + "\n").encode())
    return [path, *pictures]


def file_name(experiment: str, figure: str = "") -> str:
    """E2, digits-routes, ..."""
    return f"{experiment}-{figure}" if figure else experiment


def versions() -> dict[str, str]:
    """What the figures were computed with."""
    import numpy

    import tinyres

    return {"tinyres": tinyres.__version__, "numpy": numpy.__version__, "python": platform.python_version()}


def _draw(draw: Draw, path: Path) -> Path:
    """Drawn as large as it takes for labels and panels to have room; the size is 11 x 5 inches where that is enough."""
    for scale in (1.0, 1.5, 2.25):
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="constrained_layout not applied")
            try:
                content = _png(draw, scale, "constrained")
                break
            except UserWarning as warning:
                if "constrained_layout" not in str(warning):
                    raise
    else:
        content = _png(draw, scale, None)
    write(path, content)
    return path


def _png(draw: Draw, scale: float, layout: Literal["constrained"] | None) -> bytes:
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11 * scale, 5 * scale), dpi=130, layout=layout)
    FigureCanvasAgg(figure)
    draw(figure)
    content = BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})  # the same seed gives the same file
    return content.getvalue()


def write(path: Path, content: bytes) -> None:
    """All of it or, if that fails, what was there before."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The experiments whose files lie in the folder, and the names of files that should hold one and do not.

    Files of another kind are passed over.
    """
    found, broken = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            document = None
        ours = isinstance(document, dict) and document.get("format") == FORMAT
        if ours and document.keys() >= KEYS:
            found.append(document)
        elif ours or path.stem in EXPERIMENTS:
            broken.append(path.name)
    return found, broken
