"""`tinyres bench kernels|resnet|gan --device cuda`: some parts of the report by themselves, in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinyres.bench.gpu import pages, parts, report
from tinyres.bench.gpu.parts import PARTS, Row
from tinyres.files import write

KINDS = {
    "kernels": ("card", "convolutions", "streams"),
    "resnet": ("card", "resnet"),
    "gan": ("card", "gan"),
}


def main(kind: str, rounds: int, json_file: Path | None, out: Path | None = None) -> int:
    """Measure, print a section a part, write the rows as JSON; for `kernels` also the roofline."""
    rows: list[Row] = []
    for name in KINDS[kind]:
        print(f"{PARTS[name].title} ...", flush=True)
        rows += parts.run(name, rounds)
    for name in KINDS[kind]:
        print(pages.section(name, rows))
    written: list[Any] = []
    if json_file is not None:
        write(json_file, json.dumps({"rows": rows}, indent=1) + "\n")
        written.append(json_file)
    if out is not None:
        drawn = parts.attempt("roofline", lambda: {"path": report.roofline(rows, out / "roofline.png")})
        written += [drawn["path"]] if "path" in drawn else []
        if "error" in drawn:
            print(f"no roofline: {drawn['error']}")
    for path in written:
        print(f"wrote {path}")
    return 0
