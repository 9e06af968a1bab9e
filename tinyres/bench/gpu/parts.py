"""The parts of the report, and how one runs: a row is written as soon as it is measured, so a part that is stopped, or
that the card brings down, leaves what it had."""

from __future__ import annotations

import importlib
import json
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tinyres.bench.race import said

Row = dict[str, Any]
ROWS = "rows.jsonl"


class Part(NamedTuple):
    """module: in this folder, with `rows(rounds)`, a generator. seconds: how long it may take. rounds: how often each
    peer is measured."""

    title: str
    module: str
    seconds: float
    rounds: int


PARTS = {
    "facts": Part("what is installed", "facts", 12, 0),
    "warm": Part("kernels compiled beforehand", "warm", 80, 0),
    "smoke": Part("smoke checks", "smoke", 80, 0),
    "conformance": Part("conformance on CuPy arrays", "conform", 110, 0),
    "suite": Part("the suite's tests that need a GPU", "suite", 110, 0),
    "card": Part("the card", "card", 35, 10),
    "convolutions": Part("convolutions beside cuDNN", "races", 100, 9),
    "resnet": Part("ResNet-20, a training step", "races", 45, 7),
    "gan": Part("DCGAN, a step of each player", "races", 35, 7),
    "streams": Part("what streams memory", "races", 35, 7),
    "table": Part("the suite's table of operations", "suite", 60, 0),
    "memcheck": Part("convolutions under memcheck", "suite", 50, 0),
    "racecheck": Part("convolutions under racecheck", "suite", 50, 0),
    "again": Part("tests by name", "suite", 90, 0),
}
SAVING = 8.0  # seconds kept at the end of a stage for the report and the machine code


class Stage(NamedTuple):
    """groups: one after another; the parts of a group run side by side, as most of their time goes to the host."""

    title: str
    groups: tuple[tuple[str, ...], ...]

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(name for names in self.groups for name in names)

    @property
    def seconds(self) -> float:
        """How long it may take."""
        return SAVING + sum(max(PARTS[name].seconds for name in names) for names in self.groups)


STAGES = {
    "A": Stage("does it work", (("facts",), ("warm", "smoke"), ("conformance", "suite"))),
    "B": Stage("how fast", (("card",), ("convolutions",), ("resnet",), ("gan",), ("streams",))),
    "C": Stage("closer checks", (("table",), ("memcheck", "racecheck"))),
    "K": Stage("tests by name", (("again",),)),
}
ALL = ("A", "B", "C")
REPORT = ("A", "B")  # what `tinyres bench gpu-report` runs


def attempt(name: str, measure: Callable[[], Row]) -> Row:
    """A row of what `measure` found; of why not, where it raised."""
    try:
        return {"name": name, **measure()}
    except Exception as error:
        return {"name": name, "error": said(error), "traceback": traceback.format_exc()[-2000:]}


def run(name: str, rounds: int | None = None) -> Iterator[Row]:
    """The rows of a part, in this process. One that cannot even begin is a row, too."""
    part = PARTS[name]
    try:
        module = importlib.import_module(f"tinyres.bench.gpu.{part.module}")
        more = (name,) if part.module in ("races", "suite") else ()
        for row in module.rows(part.rounds if rounds is None else rounds, *more):
            yield {"part": name, **row, **on()}
    except Exception as error:
        yield {"part": name, "name": part.title, "error": said(error), "traceback": traceback.format_exc()[-2000:]}


def on() -> Row:
    """The card that a row was found on, once it can be told: figures of two cards do not belong into one table."""
    try:
        import cupy

        name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.runtime.getDevice())["name"]
    except Exception:
        return {}
    return {"on": name.decode() if isinstance(name, bytes) else str(name)}


def write(row: Row, folder: Path) -> None:
    """Append it, on a line of its own, though the one before may have broken off."""
    with (folder / ROWS).open("ab") as file:
        whole = not file.tell() or (folder / ROWS).read_bytes().endswith(b"\n")
        file.write(b"" if whole else b"\n")
        file.write(json.dumps(row).encode() + b"\n")


def read(folder: Path) -> list[Row]:
    """The rows so far, each the last of its part and name: what was measured again counts once. Those of another card
    than the last one's are left out, and so is a line that broke off when its process was stopped."""
    rows = _latest(folder)
    card = _card(rows)
    return [row for row in rows if row.get("on", card) == card]


def other_cards(folder: Path) -> list[str]:
    """The cards whose rows `read` leaves out."""
    rows = _latest(folder)
    return sorted({row["on"] for row in rows if "on" in row} - {_card(rows)})


def _card(rows: Sequence[Row]) -> str | None:
    return next((row["on"] for row in reversed(rows) if "on" in row), None)


def _latest(folder: Path) -> list[Row]:
    found: dict[tuple[str, str], Row] = {}
    path = folder / ROWS
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(row, dict):  # "1" is all that is left of a line
            continue
        key = str(row.get("part")), str(row.get("name"))
        found.pop(key, None)  # so that it takes its place in order, too
        found[key] = row
    return list(found.values())
