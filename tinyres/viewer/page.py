"""The HTML page of a document: one self-contained file, or a frame in a notebook."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from html import escape
from pathlib import Path
from typing import Any

from tinyres import files

TEMPLATE = Path(__file__).with_name("page.html")
DATA, TITLE = "<!--tinyres-data-->", "<!--tinyres-title-->"
NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # not allowed in XML: a browser would reject the SVG
_HEIGHT = 720  # pixels, in a notebook


def dump(document: Any) -> str:
    """Compact JSON that is safe inside a script element."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")  # `<` occurs in strings only


def fill(document: dict[str, Any], still: str) -> str:
    """Insert the document into the page; `still` is the SVG shown if scripts are disabled."""
    data = f'<script type="application/json" id="tinyres-data">{dump(document)}</script>'
    title = escape(files.legible(document["title"]))  # a file name may contain invalid characters
    before, after = TEMPLATE.read_text(encoding="utf-8").split(DATA)
    before, after = (part.replace(TITLE, title) for part in (before, after))
    return f"{before}<noscript>{image(still)}</noscript>{data}{after}"


def notebook_frame(html: str, still: str) -> str:
    """For a notebook: the page in a sandboxed frame, over a picture for viewers that show no frames."""
    style = "position:absolute;inset:0;width:100%;height:100%;border:0;background:white"
    return (
        f'<div style="position:relative;min-height:{_HEIGHT}px">{image(still)}'
        f'<iframe sandbox="allow-scripts" title="tinyres, step by step" style="{style}" '
        f'srcdoc="{escape(html)}"></iframe></div>'
    )


def image(svg: str) -> str:
    """Embed an SVG as an <img>, in which no script can run."""
    source = b64encode(NO_XML.sub("?", files.legible(svg)).encode()).decode()
    about = f'alt="the backward pass, in one picture" style="max-height:{_HEIGHT}px"'
    return f'<img {about} src="data:image/svg+xml;base64,{source}">'


def write(path: str | Path, text: str) -> None:
    """Write a file into an existing folder.

    Raises:
        FileNotFoundError: the folder does not exist.
        IsADirectoryError: `path` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"save: {path} is a folder; name a file in it, e.g. {path / 'step.html'}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"save: there is no folder {path.parent} to write {path.name} into; make it")
    files.write(path, text)
