"""A part in a process of its own with a time of its own, and the report of whatever came of it.

A fault on a card leaves its process unable to compute, so the next part gets a fresh one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

from tinyres.bench import children
from tinyres.bench.convolutions import Shape
from tinyres.bench.gpu import findings, pages, table
from tinyres.bench.gpu.parts import Row, read
from tinyres.bench.race import OURS, said
from tinyres.files import write

LOG = "log.txt"
PULSE = 0.1  # seconds between two looks at whether a part has ended


def command(name: str, folder: Path) -> list[str]:
    """What runs a part."""
    return [sys.executable, "-m", "tinyres.bench.gpu", name, str(folder)]


def launch(name: str, out: Path, seconds: float, stop: Event, **variables: str) -> str | None:
    """Run a part in a process, with whatever it starts; why it did not end well, if it did not.

    stop: whoever sets it ends the part.
    """
    environment = children.environment(PYTHONUNBUFFERED="1", NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS="0", **variables)
    try:
        with (out / LOG).open("ab") as log:
            log.write(f"\n== {name}\n".encode())
            log.flush()
            process = subprocess.Popen(
                command(name, out), env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                until = time.monotonic() + seconds
                while (status := process.poll()) is None:
                    if time.monotonic() > until:
                        return f"stopped after {seconds:.0f} s, its time being over"
                    if stop.wait(PULSE):
                        return "stopped, as the gate is shut"
            finally:
                _end(process)
    except OSError as error:
        return said(error)
    return None if status == 0 else f"its process ended with {status}: {_last_line(out / LOG)}"


def roofline(rows: Sequence[Row], path: Path) -> Path:
    """Our convolutions and cuDNN's, TF32 off, under the measured copy bandwidth and the rate of matrix products."""
    from tinyres.bench import figures

    flops = next(row["flops_per_s"] for row in rows if row["name"].startswith("float32") and "flops_per_s" in row)
    points = [
        figures.Point(Shape(*row["shape"]), row["pass"], row["timings"][OURS]["device"]["median_s"],
                      findings.seconds(row, findings.OFF, "device"))
        for row in findings.of(rows, "convolutions") if "timings" in row
    ]  # fmt: skip
    title = f"matrix products {flops / 1e12:.1f} TFLOP/s in float32"
    return figures.roofline(points, flops, {"copy": findings.bandwidth(rows) or 0.0}, title, path)


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process and those that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):  # which a driver may hold back
        process.wait(10)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else ""


def _save(out: Path) -> list[dict[str, Any]]:
    rows = read(out)
    document = {"rows": rows, "not met": table.missed(rows), "readme": table.readme(rows)}
    write(out / "report.json", json.dumps(document, indent=1) + "\n")
    write(out / "report.md", pages.page(rows))
    return rows
