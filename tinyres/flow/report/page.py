"""report.html: what lies in a folder, put together as one page that needs no network."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from tinyres.flow.experiments import EXPERIMENTS, ROOMS
from tinyres.flow.experiments.experiment import Law, Table
from tinyres.flow.report.files import load, write
from tinyres.flow.report.tables import figure_text, numeric_columns, verdict, wanted

TITLES = {
    "laws": "Laws: random nets against closed forms",
    "players": "Between two players",
    "trained": "Trained nets on real images",
    "claims": "Popular claims, put to the test",
}
NUMBERED = re.compile(r"E\d+")


def write_page(folder: Path) -> Path:
    """Put every finished experiment of the folder onto folder/report.html: figures inside, no script, no network."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    order = {name: k for k, name in enumerate(EXPERIMENTS)}
    loaded, broken = load(folder)
    # The numbered laws of a room first, then what stands beside them.
    documents = sorted(loaded, key=lambda d: (not NUMBERED.fullmatch(d["name"]), order.get(d["name"], len(order))))
    sections = [_section(document, folder) for document in documents]
    rooms = [(TITLES[room], [s for s in sections if s["name"] in names]) for room, names in ROOMS.items()]
    rooms.append(("Of another version", [s for s in sections if s["name"] not in EXPERIMENTS]))
    judged = [law for section in sections for law in section["laws"] if law["verdict"] != "shown"]
    page = environment.get_template("page.html.j2").render(
        rooms=[room for room in rooms if room[1]],
        held=sum(law["verdict"] == "holds" for law in judged),
        judged=len(judged),
        broken=broken,
        versions=documents[0]["versions"] if documents else {},
    )
    path = folder / "report.html"
    write(path, page.encode())
    return path


def _section(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    laws = [_law(entry) for entry in document["laws"]]
    images = [(name, folder / name) for name in document["figures"]]
    judged = [law for law in laws if law["verdict"] != "shown"]
    failed = sum(law["verdict"] == "FAILS" for law in judged)
    return document | {
        "laws": laws,
        "verdict": f"{failed} of {len(judged)} FAIL" if failed else f"{len(judged)} hold" if judged else "shown",
        "failed": failed,
        "sources": any(law["source"] != document["source"] for law in laws),
        "tables": [_table(entry) for entry in document["tables"]],
        "images": [(name, base64.b64encode(path.read_bytes()).decode()) for name, path in images if path.exists()],
    }


def _table(entry: dict[str, Any]) -> dict[str, Any]:
    rows = [["-" if cell is None else cell for cell in row] for row in entry["rows"]]
    numeric = numeric_columns(Table(entry["title"], entry["columns"], rows))
    return entry | {"rows": rows, "classes": ["number" if right else "text" for right in numeric]}


def _law(entry: dict[str, Any]) -> dict[str, str]:
    numbers = {k: float("nan") if entry[k] is None else entry[k] for k in ("measured", "predicted", "tolerance")}
    law = Law(entry["name"], **numbers, kind=entry["kind"], source=entry["source"])
    return {
        "name": law.name,
        "measured": figure_text(law.measured),
        "wanted": wanted(law),
        "verdict": verdict(law),
        "kind": law.kind,
        "source": law.source,
    }
