"""The viewer's page as a reader of documents: in a browser, step by step."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import tinyres as tr
from tests.readers.table import Reader, right
from tinyres.viewer import page

BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
REFUSED = re.compile(r"The recording in this page (is damaged|cannot be read)|This page (shows version 1|holds no)")


class Refused(Exception):
    """The page shows a sentence instead of the recording."""


def document() -> bytes:
    rng = np.random.default_rng(0)
    x, w = tr.tensor(rng.standard_normal((3, 4))), tr.tensor(rng.standard_normal((4, 2)), requires_grad=True)
    found = tr.trace(lambda: (tr.tanh(x @ w) + (x @ w)).sum()).to_json()
    return page.dump(found).encode()


def steps(opened: object, address: str) -> None:
    """Open the page and go through it; whatever it complains of, it has to say so to whoever looks."""
    complaints: list[str] = []
    listen = lambda error: complaints.append(str(error))
    opened.on("pageerror", listen)
    try:
        opened.goto("about:blank")
        opened.goto(address)
        for k in (0, 1, 5, 10**6, 3):
            opened.evaluate("k => window.tinyres?.go(k)", k)
            opened.wait_for_timeout(10)
        shown = opened.evaluate("document.getElementById('page').innerText")
    finally:
        opened.remove_listener("pageerror", listen)
    if REFUSED.search(shown):
        raise Refused(f"{address}: {' '.join(shown.split())}")
    right(not complaints, f"half a page: {complaints}")
    right(shown.strip(), "an empty page")


def reader(opened: object) -> Reader:
    """In a page of a browser."""
    before, after = page.fill(json.loads(document()), "").split(document().decode())

    def read(path: Path) -> None:
        text = path.read_bytes().decode(errors="replace").replace("<", "\\u003c")  # as `page.dump` does
        path.with_suffix(".html").write_text(before + text + after)
        try:
            steps(opened, path.with_suffix(".html").as_uri())
        except Refused as error:
            raise Refused(f"{path}: {error}") from error

    return Reader(document(), read, (Refused,))


@contextmanager
def pages() -> Iterator[dict[str, Reader]]:
    """The reader, while a browser is open; ImportError and LookupError where there is none."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise LookupError("there is no browser; apt-get install chromium")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"] if root else [])
        yield {"the viewer's page": reader(browser.new_page())}
        browser.close()
