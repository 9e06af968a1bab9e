"""What is sent and what is saved: frames, the page that holds a whole recording, tables of the figures."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from tinyres.play import words
from tinyres.play.tape import Tape

PAGE = Path(__file__).with_name("play.html")
DATA, ID = "<!--tinyres-play-data-->", "tinyres-play-data"
TABLES = ("gradient", "signal", "share")  # columns of a net's rows that only tables show: charts take their logarithm
MOST = 400  # frames in a saved page

Message = dict[str, Any]


def start(tape: Tape, run: int) -> Message:
    """The message that opens a run."""
    return {"type": "start", "run": run, "lab": tape.lab.name, "setting": tape.begun, **tape.start}


def frame(tape: Tape, run: int, rows: list[dict[str, Any]], dear: bool) -> Message:
    """The step that is shown, with these rows of the charts; with dear pictures, or without."""
    state = tape.state
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ()) if name not in TABLES}
    drawn = tape.picture() if dear else state.picture or {}
    turned = changed(tape.begun, state.setting)
    message = {"type": "frame", "run": run, "step": state.step, "kept": list(tape.ring.kept), **state.figures, **drawn}
    return message | ({"history": columns} if rows else {}) | ({"turned": turned} if turned else {})


def changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The knobs of a setting that differ from an earlier one."""
    return {name: value for name, value in after.items() if value != before[name]}


def recording(tape: Tape, run: int, opening: Message) -> list[Message]:
    """Every message that shows what is in the ring, from its first step to its last; thinned to MOST frames."""
    states = list(tape.ring)
    steps = [state.step for state in states]
    chosen = {steps[i] for i in np.unique(np.linspace(0, len(steps) - 1, MOST).astype(int))} | {tape.at}
    found, rows, at = [opening, start(tape, run)], list(tape.rows), tape.at
    done = 0
    try:
        for step in sorted(chosen):
            tape.seek(step)
            upto = next((i for i, row in enumerate(rows) if row["step"] > step), len(rows))
            message = frame(tape, run, rows[done:upto], dear=step in (steps[-1], at))
            found.append(message | {"playing": False, "rate": None, "seconds": 0.0})
            done = upto
    finally:
        tape.seek(at)
    return found


def page(tape: Tape, run: int, opening: Message) -> str:
    """One self-contained HTML file that shows the recording again, without a server.

    Raises:
        ValueError: the page has no place for it.
    """
    inlined = json.dumps(words.jsonable(recording(tape, run, opening)), separators=(",", ":"), allow_nan=False)
    script = f'<script type="application/json" id="{ID}">{inlined.replace("<", chr(92) + "u003c")}</script>'
    before, found, after = PAGE.read_text(encoding="utf-8").partition(DATA)
    if not found:
        raise ValueError(f"{PAGE.name} has no {DATA} to put a recording at")
    return before + script + after


def table(tape: Tape, form: str) -> str:
    """The figures of every step: CSV with a row a step, or JSON with the setting as well."""
    rows = [_flat(tape, row) for row in tape.rows]
    if form == "json":
        turns = [{"step": step, **changed(tape.begun, then)} for step, then in tape.turns.items()]
        document = {"lab": tape.lab.name, "setting": tape.begun, "turned": turns, "steps": rows, **tape.start}
        document.pop("data")
        return json.dumps(words.jsonable(document), indent=1) + "\n"
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[-1]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _flat(tape: Tape, row: dict[str, Any]) -> dict[str, Any]:
    """A row with a column for each block's norms of gradient and signal, and for its skip share where it has a skip."""
    flat = {name: value for name, value in row.items() if name not in ("heat", *TABLES)}
    for what in TABLES:
        for block, value in zip((tape.start["net"] or {"blocks": []})["blocks"], list(row.get(what, [])), strict=False):
            if value is not None:
                flat[f"{'skip share' if what == 'share' else what} {block['name']}"] = float(value)
    return flat
