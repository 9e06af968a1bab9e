"""The gallery's text: every experiment, with what was found by the last run where there is one.

Results are read from the folder TINYRES_RESULTS or from flow-results/; where neither holds any, the starred
experiments are run.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from tinyres.flow.experiments import ROOMS, Law
from tinyres.flow.report.files import load
from tinyres.flow.report.page import NUMBERED, TITLES
from tinyres.flow.report.tables import figure_text, verdict, wanted

ROOT = Path(__file__).parents[1]
FEW = 8  # laws that are shown at once; more fold away


def fill(app, docname, content):
    """Sphinx's `source-read`: what was found goes below the gallery's own words."""
    if docname != "gallery":
        return
    app.env.note_reread()
    folder = _results(Path(app.doctreedir).parent / "gallery")
    documents, broken = load(folder)
    if broken:
        raise RuntimeError(f"gallery: {folder} holds files that are not readable: {', '.join(broken)}")
    found = {document["name"]: document for document in documents}
    parts = [content[0]]
    for room, experiments in ROOMS.items():
        parts.append(f"## {TITLES[room]}")
        for name in sorted(experiments, key=lambda name: not NUMBERED.fullmatch(name)):
            parts.append(_section(experiments[name], found.get(name), os.path.relpath(folder, app.srcdir)))
    content[0] = "\n\n".join(parts) + "\n"


def _results(own):
    """The folder to read from."""
    given = os.environ.get("TINYRES_RESULTS")
    if given is not None:
        folder = Path(given).resolve()
        if not load(folder)[0]:
            raise RuntimeError(
                f"gallery: TINYRES_RESULTS={given} holds no result; run `tinyres flow all --out {given}`"
            )
        return folder
    if load(ROOT / "flow-results")[0]:
        return ROOT / "flow-results"
    command = [sys.executable, "-m", "tinyres.cli", "flow", "starred", "--out", str(own)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode > 1:  # 1: a law does not hold, which the gallery is to show
        raise RuntimeError(f"gallery: {' '.join(command)} failed:\n{ended.stderr}")
    return own


def _section(experiment, document, folder):
    """One experiment in MyST Markdown."""
    told = document or {"claim": experiment.claim, "prediction": experiment.prediction, "source": experiment.source}
    lines = [
        f"### {_plain(experiment.name)}: {_plain(told['claim'])}",
        f"Prediction: {_plain(told['prediction'])} *({_plain(told['source'])})*",
    ]
    command = f"`tinyres flow {experiment.name}`, about {experiment.seconds:g} s"
    if document is None:
        return "\n\n".join([*lines, f"Not run for this page: {command}."])
    lines += [f"![{_plain(name)}](<{folder}/{name}>){{.gallery-figure}}" for name in document["figures"]]
    lines += _laws([_law(entry) for entry in document["laws"]])
    if document["note"]:
        lines.append(_plain(document["note"]))
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    lines.append(f"{command}; this run: seed {document['options']['seed']}, {document['seconds']} s, {versions}.")
    return "\n\n".join(lines)


def _laws(laws):
    if not laws:
        return []
    judged = [law for law in laws if law.kind != "figure"]
    failed = sum(not law.ok for law in judged)
    said = f"{failed} of {len(judged)} fail" if failed else f"{len(judged)} hold" if judged else "shown"
    rows = ["| law | verdict | measured | predicted | kind |", "|---|---|---:|---:|---|"]
    for law in laws:
        word = verdict(law)
        cells = (_plain(law.name), f"[{word}]{{.{word.lower()}}}", figure_text(law.measured), wanted(law), law.kind)
        rows.append(f"| {' | '.join(cells)} |")
    table = "\n".join(rows)
    if len(laws) <= FEW:
        return [table]
    return [f"<details><summary>{len(laws)} figures: {said}</summary>", table, "</details>"]


def _law(entry):
    numbers = {k: float("nan") if entry[k] is None else entry[k] for k in ("measured", "predicted", "tolerance")}
    return Law(entry["name"], **numbers, kind=entry["kind"], source=entry["source"])


def _plain(text):
    """With everything escaped that Markdown would read as its own."""
    return re.sub(r"([\\`*_{}\[\]<>|$#~^])", r"\\\1", " ".join(str(text).split()))
