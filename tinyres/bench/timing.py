"""Interleaved timing: the peers in turn, again and again, so that a slow moment of the machine falls on all of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Seconds a call: the median over rounds and the quartiles around it."""

    median: float
    lower: float
    upper: float

    def to_json(self) -> dict[str, float]:
        return {"median_s": self.median, "lower_quartile_s": self.lower, "upper_quartile_s": self.upper}


def interleave(peers: dict[str, Callable[[], Any]], rounds: int, burst: int, warm_up: int = 3) -> dict[str, Timing]:
    """Time each peer `rounds` times, `burst` calls at once, in an order that rotates from round to round.

    The first `warm_up` rounds are not counted: they compile, allocate and fill caches.
    """
    seconds: dict[str, list[float]] = {name: [] for name in peers}
    names = list(peers)
    for r in range(warm_up + rounds):
        for name in names[r % len(names) :] + names[: r % len(names)]:
            call = peers[name]
            start = time.perf_counter()
            for _ in range(burst):
                call()
            if r >= warm_up:
                seconds[name].append((time.perf_counter() - start) / burst)
    found = {}
    for name, values in seconds.items():
        lower, median, upper = np.percentile(values, [25, 50, 75])
        found[name] = Timing(float(median), float(lower), float(upper))
    return found


def show(
    title: str, times: dict[str, Timing], targets: dict[str, float], missing: list[str], json_file: Path | None
) -> int:
    """Print the table with the ratio of `tinyres` to each peer, the targets, and who could not be measured.

    A target is for the fastest of the peers whose names begin with its key.
    """
    from rich.console import Console
    from rich.table import Table

    console, mine = Console(), times["tinyres"].median
    table = Table(title=title, title_justify="left")
    for column in ("", "ms, median", "quartiles", "tinyres / this"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, t in times.items():
        quartiles = f"{t.lower * 1e3:.2f} - {t.upper * 1e3:.2f}"
        table.add_row(name, f"{t.median * 1e3:.2f}", quartiles, f"{mine / t.median:.2f}")
    console.print(table)
    verdicts = {}
    for rival, target in targets.items():
        theirs = [t.median for name, t in times.items() if name.startswith(rival)]
        if theirs:
            ratio = mine / min(theirs)
            verdicts[rival] = {"ratio": ratio, "target": target, "met": ratio <= target}
            console.print(f"tinyres / {rival}: {ratio:.2f}, target {target}: {'met' if ratio <= target else 'MISSED'}")
    if missing:
        console.print(f"not installed, so not measured: {', '.join(missing)}")
    if json_file is not None:
        timings = {name: t.to_json() for name, t in times.items()}
        document = {"timings": timings, "targets": verdicts, "missing": missing}
        json_file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0
