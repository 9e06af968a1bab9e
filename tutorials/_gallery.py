"""The gallery's text: every experiment, with what was found by the last run where there is one.

Results are read from the folder TINYRES_RESULTS or from flow-results/; where neither holds any, the starred
experiments are run.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from tinyres.lab.registry import ROOMS, Law
from tinyres.lab.report.files import load
from tinyres.lab.report.page import NUMBERED, TITLES, counts, unjudged
from tinyres.lab.report.tables import figure_text, spread_text, wanted

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
    found = {document["name"]: document for document in documents if not document["options"]["settings"]}
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
    """One experiment in MyST Markdown: question, prediction, picture, what was found, conditions, then the table."""
    parts = [f"### {_plain(experiment.name)}: {_plain(experiment.claim)}", _plain(experiment.question)]
    if experiment.equation:
        parts += [f"$$ {experiment.equation} $$", f"*{_plain(experiment.source)}*"]
    else:
        parts.append(f"Prediction: {_plain(experiment.prediction)} *({_plain(experiment.source)})*")
    command = f"`tinyres flow {experiment.name}`, about {experiment.seconds:g} s"
    if document is None:
        return "\n\n".join([*parts, f"Not run for this page: {command}."])
    seeds = document.get("seeds")
    rows = seeds["laws"] if seeds else document["laws"]
    parts += [f"![{_plain(name)}](<{folder}/{name}>){{.gallery-figure}}" for name in document["figures"]]
    if document["found"]:
        parts.append(f"**{_plain(document['found'])}**")
    if seeds:
        parts.append(f"At {len(seeds['done'])} seeds: {counts(rows)}. Drawn anew: {_plain(document['varies'])}.")
    waiting = unjudged(document, rows)
    if waiting:
        parts.append(_plain(waiting))
    if document["conditions"]:
        parts.append(f"Conditions: {_plain(document['conditions'])}")
    if document["choices"]:
        parts += ["Chosen after seeing a result:", "\n".join(f"- {_plain(c)}" for c in document["choices"])]
    parts += _laws(rows, len(seeds["done"]) if seeds else 0)
    if document["note"]:
        parts.append(_plain(document["note"]))
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    parts.append(f"{command}; this run: seed {document['options']['seed']}, {document['seconds']} s, {versions}.")
    return "\n\n".join(parts)


def _laws(rows, seeds):
    """The table; folded away where it is long."""
    if not rows:
        return []
    lines = ["| law | verdict | measured | predicted | kind |", "|---|---|---:|---:|---|"]
    for row in rows:
        law = Law.from_json(row | {"measured": row["mean"]} if seeds else row)
        measured = spread_text(row) if seeds else figure_text(law.measured)
        word = row["verdict"] + (f", {row['holds']} of {seeds}" if seeds and law.kind != "figure" else "")
        cells = (_plain(law.name), f"[{word}]{{.{row['verdict'].lower()}}}", measured, wanted(law), law.kind)
        lines.append(f"| {' | '.join(cells)} |")
    table = "\n".join(lines)
    if len(rows) <= FEW:
        return [table]
    return [f"<details><summary>{len(rows)} figures: {counts(rows) or 'shown'}</summary>", table, "</details>"]


def _plain(text):
    """With everything escaped that Markdown would read as its own."""
    return re.sub(r"([\\`*_{}\[\]<>|$#~^])", r"\\\1", " ".join(str(text).split()))
