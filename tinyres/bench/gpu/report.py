"""`tinyres bench gpu-report`: part after part, each in a process of its own with a time of its own.

A fault on a card leaves its process unable to compute, so the next part gets a fresh one. The report is written anew
after every part: whatever stops this program, what was measured before lies in the folder.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from tinyres.bench.convolutions import Shape
from tinyres.bench.gpu import findings, pages, table
from tinyres.bench.gpu.kernels import OURS
from tinyres.bench.gpu.parts import PARTS, ROWS, TOGETHER, Row, attempt, read, said, write

MINUTES = 8.0
LAST = 8.0  # seconds kept for the last page
LEAST = 5.0  # seconds with which a part is not begun any more
LOG = "log.txt"


def command(name: str, folder: Path) -> list[str]:
    """What runs a part."""
    return [sys.executable, "-m", "tinyres.bench.gpu", name, str(folder)]


def main(out: Path, minutes: float = MINUTES) -> int:
    """Measure, write report.md, report.json, rows.jsonl and log.txt; print the report."""
    began = time.monotonic()
    for name in (ROWS, LOG):
        (out / name).unlink(missing_ok=True)
    for names in TOGETHER:
        left = 60 * minutes - LAST - (time.monotonic() - began)
        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(lambda name, left=left: _part(name, out, min(PARTS[name].seconds, left)), names))
        _save(out)
    write({"part": "report", "name": "took", "seconds": time.monotonic() - began}, out)
    rows = _save(out)
    picture = attempt("roofline", lambda: {"path": str(roofline(rows, out / "roofline.png"))})
    print(pages.page(rows))
    print(f"The README's table once more, to be pasted:\n\n{table.readme(rows)}")
    if "error" in picture:
        print(f"no picture: {picture['error']}")
    for path in sorted(out.iterdir()):
        print(f"wrote {path}")
    missed = table.missed(rows)
    print(f"not met, or not in full: {'; '.join(missed)}" if missed else "every target is met")
    return 0


def _part(name: str, out: Path, seconds: float) -> None:
    title = PARTS[name].title
    print(f"{title}: at most {max(0.0, seconds):.0f} s ...", flush=True)
    why = launch(name, out, seconds) if seconds >= LEAST else "no time was left"
    if why:
        write({"part": name, "name": title, "error": why}, out)
    print(f"{title}: {why or 'done'}", flush=True)


def launch(name: str, out: Path, seconds: float) -> str | None:
    """Run a part in a process, with whatever it starts; why it did not end well, if it did not."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUNBUFFERED": "1",
                   "NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS": "0"}  # fmt: skip
    try:
        with (out / LOG).open("ab") as log:
            log.write(f"\n== {name}\n".encode())
            log.flush()
            process = subprocess.Popen(
                command(name, out), env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                status = process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                return f"stopped after {seconds:.0f} s, its time being over"
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
    (out / "report.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (out / "report.md").write_text(pages.page(rows), encoding="utf-8")
    return rows
