"""A server for the tests, and the page fed by a test in its place."""

from __future__ import annotations

import threading
import time

import pytest

from tests.play.pages import SOCKET, Page


@pytest.fixture
def server():
    """The playground on a free port."""
    pytest.importorskip("uvicorn", reason="the playground's server was not tested: pip install 'tinyres[play]'")
    from tinyres.play.server import Server

    made, up = Server(0), threading.Event()
    thread = threading.Thread(target=made.run, args=(up.set,))
    thread.start()
    assert up.wait(20)
    yield made
    made.stop()
    thread.join(20)
    assert not thread.is_alive()
    end = time.monotonic() + 10
    while any(t.name == "tinyres-play" for t in threading.enumerate()):
        assert time.monotonic() < end, "a training outlived its server"
        time.sleep(0.01)


@pytest.fixture
def visit(tabs):
    """visit(...) opens a page. After the test: it asked for nothing but itself, and had no complaint."""
    pages = []

    def open_page(**options):
        pages.append(Page(tabs, **options))
        return pages[-1]

    yield open_page
    for made in pages:
        others = [url for url in made.requests if url.partition("#")[0] != made.url and not url.startswith("data:")]
        for event, listener in made.listeners.items():
            made.page.remove_listener(event, listener)
        tabs.give(made.page, once=made.once, script=SOCKET)
        assert others == [], "the page asked for something"
        assert made.complaints == []


@pytest.fixture(scope="session")
def axe():
    return pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
    ).Axe()
