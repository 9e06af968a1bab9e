"""The parts of the report, and how one runs: a row is written as soon as it is measured, so a part that is stopped, or
that the card brings down, leaves what it had."""

from __future__ import annotations

import importlib
import json
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

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
    "card": Part("the card", "card", 45, 10),
    "conformance": Part("conformance on CuPy arrays", "conform", 150, 0),
    "suite": Part("the suite's tests that need a GPU", "suite", 150, 0),
    "convolutions": Part("convolutions beside cuDNN", "kernels", 130, 9),
    "resnet": Part("ResNet-20, a training step", "steps", 70, 7),
    "gan": Part("DCGAN, a step of each player", "steps", 45, 7),
    "streams": Part("what streams memory", "streams", 50, 7),
}

# What is not timed shares its time: most of it is spent on compiling, which a core does.
TOGETHER = (("card",), ("conformance", "suite"), ("convolutions",), ("resnet",), ("gan",), ("streams",))


def said(error: BaseException) -> str:
    """An error in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


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
        more = (name,) if part.module == "steps" else ()
        for row in module.rows(part.rounds if rounds is None else rounds, *more):
            yield {"part": name, **row}
    except Exception as error:
        yield {"part": name, "name": part.title, "error": said(error), "traceback": traceback.format_exc()[-2000:]}


def write(row: Row, folder: Path) -> None:
    with (folder / ROWS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def read(folder: Path) -> list[Row]:
    """All rows so far. A line that broke off when its process was stopped is left out."""
    rows = []
    path = folder / ROWS
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows
