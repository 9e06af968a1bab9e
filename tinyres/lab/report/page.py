"""report.html: all results in a folder on one self-contained page."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinyres.figures import dark_name, description_of, narrow_name, numbers_of
from tinyres.files import write
from tinyres.lab.experiment import Table
from tinyres.lab.law import LAWS, Law
from tinyres.lab.printed import figure_text, numeric_columns, wanted
from tinyres.lab.registry import EXPERIMENTS, ROOMS, STAR
from tinyres.lab.report.files import load, settings_text
from tinyres.lab.report.tables import counts, spread_text

TITLES = {  # in the order of the page
    "trained": "Trained nets on real images",
    "laws": "Laws: random nets compared with closed forms",
    "stream": "The residual stream: from ResNets to Transformers",
    "players": "GANs: between two players",
    "claims": "Popular claims, put to the test",
}
NUMBERED = re.compile(r"E\d+")
LARGEST = 20 * 2**20  # bytes; larger pictures are left out


def write_page(folder: Path, coming: Sequence[str] = ()) -> Path:
    """Write folder/report.html with all finished experiments of the folder: figures embedded, no script, no network.

    Args:
        coming: experiments of this run that have not finished; the page says so.
    """
    import markupsafe

    templates = environment()
    order = {name: k for k, name in enumerate(EXPERIMENTS)}
    loaded, broken = load(folder)
    # The star comes first, then numbered laws, in each group.
    place = lambda d: (d["name"] != STAR, not NUMBERED.fullmatch(d["name"]), order.get(d["name"], len(order)))
    documents = sorted(loaded, key=place)
    sections, template = [], templates.get_template("section.html.j2")
    for document in documents:
        try:
            section = _section(document, folder)
            sections.append(section | {"html": markupsafe.Markup(template.render(section=section))})
        except Exception:  # a foreign or damaged file may raise anything
            broken.append(document["file"])
    rooms = [(title, [s for s in sections if s["name"] in ROOMS[room]]) for room, title in TITLES.items()]
    rooms.append(("From another version", [s for s in sections if s["name"] not in EXPERIMENTS]))
    rows = [law for section in sections for law in section["laws"]]
    page = templates.get_template("page.html.j2").render(
        rooms=[room for room in rooms if room[1]],
        star=next((section for section in sections if section["name"] == STAR), None),
        counted=counts(rows),
        broken=broken,
        coming=coming,
        versions=sections[0]["versions"] if sections else {},
    )
    path = folder / "report.html"
    write(path, page)
    return path


def environment() -> Any:
    """Where the templates are, and how they are read: every text is escaped."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def _section(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    seeds = document.get("seeds")
    laws = [_at_seeds(row, len(seeds["done"])) for row in seeds["laws"]] if seeds else list(map(_law, document["laws"]))
    settings = setting_words(document)
    return document | {
        "id": "-".join([document["name"], *settings]),
        "first": document["name"] == STAR,  # its first picture opens the page
        "title": document["name"] + (f" at {', '.join(settings)}" if settings else ""),
        "laws": laws,
        "seeds": seeds,
        "versions": dict(document["versions"]),
        "verdict": counts(laws) or "shown",
        "failed": any(law["verdict"] == "FAILS" for law in laws),
        "formula": markup(document["equation"]),
        "unjudged": unjudged(document, laws),
        "sources": any(law["source"] != document["source"] for law in laws),
        "tables": [_table(entry) for entry in document["tables"]],
        "images": [_picture(name, folder, document) for name in document["figures"] if is_picture(name, folder)],
    }


def is_picture(name: str, folder: Path) -> bool:
    """Whether a name from a file's `figures` is a PNG in the same folder; untrusted, it might name any file."""
    if name != Path(name).name or not name.endswith(".png"):
        return False
    path = folder / name
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
        return False
    with open(path, "rb") as file:
        return file.read(8) == b"\x89PNG\r\n\x1a\n"


def embedded(name: str, folder: Path, source: str) -> dict[str, Any]:
    """The picture in its light form, in the dark and the narrow ones, and its numbers.

    Results of older versions have the light form alone. source: the file beside the page that has all numbers, if any.
    """
    slim = narrow_name(folder / name)
    others = {"dark": dark_name(folder / name), "narrow": slim, "narrow_dark": dark_name(slim)}
    found = {form: _image(path) if is_picture(path.name, folder) else "" for form, path in others.items()}
    tables = [_table(entry) for entry in numbers_of((folder / name).read_bytes())]
    return {"name": name, "light": _image(folder / name), "numbers": tables, "source": source} | found


def _picture(name: str, folder: Path, document: dict[str, Any]) -> dict[str, Any]:
    """The picture, and what is drawn in it; of older results, which do not tell, what was claimed and found."""
    which = Path(name).stem.removeprefix(document["name"]).replace("-", " ").strip()
    drawn = description_of((folder / name).read_bytes())
    said = [text.rstrip(".") for text in ([drawn] if drawn else [document["claim"], document["found"]]) if text]
    alt = ". ".join([f"Figure {which}" if which else "Figure", *said]) + "."
    short = " ".join(filter(None, ["figure", which, "of", document["name"]]))  # it is read out at every visit
    source = document["file"] if document.get("data") else ""
    return embedded(name, folder, source) | {"id": f"picture-{Path(name).stem}", "alt": alt, "short": short}


def _image(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def markup(equation: str) -> Any:
    """Convert a TeX equation to MathML, which browsers render natively."""
    import markupsafe
    from latex2mathml.converter import convert

    return markupsafe.Markup(convert(equation, display="block")) if equation else ""


def setting_words(document: dict[str, Any]) -> list[str]:
    """["m=0.9", "a=0.5"]: the settings of a result, if any."""
    values = document["options"]["settings"]
    experiment = EXPERIMENTS.get(document["name"])
    if experiment is not None and values.keys() <= experiment.settings.keys():
        return settings_text(experiment, values)
    return [f"{name}={value}" for name, value in values.items()]


def unjudged(document: dict[str, Any], laws: list[dict[str, Any]]) -> str:
    """The command that gives laws a verdict which have none, or an empty text."""
    waiting = any(law["verdict"] == "shown" and law["kind"] in LAWS for law in laws)
    least = document["least_seeds"]
    return f"tinyres flow {document['name']} --seeds {least}" if waiting else ""


def _table(entry: dict[str, Any]) -> dict[str, Any]:
    rows = [["-" if cell is None else cell for cell in row] for row in entry["rows"]]
    numeric = numeric_columns(Table(entry["title"], entry["columns"], rows))
    return entry | {"rows": rows, "classes": ["number" if right else "text" for right in numeric]}


def _law(entry: dict[str, Any]) -> dict[str, Any]:
    law = Law.from_json(entry)
    return entry | {"measured": figure_text(law.measured), "wanted": wanted(law), "holds": ""}


def _at_seeds(row: dict[str, Any], count: int) -> dict[str, Any]:
    law = Law.from_json(row | {"measured": row["mean"]})
    holds = "" if law.kind == "figure" else f"{row['holds']} of {count}"
    return row | {"measured": spread_text(row), "wanted": wanted(law), "holds": holds}
