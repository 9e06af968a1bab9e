"""NAME.json and the PNG files of one experiment."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

from tinyres.flow.experiments.experiment import Draw, Experiment, Options, Result
from tinyres.flow.measurement import plain

FORMAT = "tinyres experiment 1"


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
        "options": {"seed": options.seed, "depths": options.depths, "archs": options.archs, "steps": options.steps},
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
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure)
    content = BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})  # the same seed gives the same file
    write(path, content.getvalue())
    return path


def write(path: Path, content: bytes) -> None:
    """All of it or, if that fails, what was there before."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load(folder: Path) -> list[dict[str, Any]]:
    """The experiments whose files lie in the folder; files that are something else are passed over."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(document, dict) and document.get("format") == FORMAT:
            found.append(document)
    return found
