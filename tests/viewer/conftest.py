"""A page that was opened in the browser, for the tests of the page."""

from __future__ import annotations

import time

import pytest


class Visit:
    """A page that was opened from the disk, and all that it asked for and complained of."""

    def __init__(self, tabs, path, fragment="", scheme="light", size=(1280, 800), touch=False):
        self.page, self.touch = tabs.take(size, scheme, touch=touch), touch
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.listeners = {
            "request": lambda request: self.requests.append(request.url),
            "console": lambda message: self.complaints.append(f"{message.type}: {message.text}"),
            "pageerror": lambda error: self.complaints.append(str(error)),
            "dialog": lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()),
        }
        for event, listener in self.listeners.items():
            self.page.on(event, listener)
        self.url = path.as_uri()
        self.page.goto(self.url + fragment)
        self.until("window.tinyres?.ready")

    def js(self, expression, argument=None):
        return self.page.evaluate(expression, argument)

    def until(self, expression, seconds=20):
        """Wait for it. (The page's own policy forbids the way in which Playwright would.)"""
        end = time.monotonic() + seconds
        while not self.js(expression):
            assert time.monotonic() < end, f"waited for {expression}"
            time.sleep(0.02)

    def step(self):
        return self.js("tinyres.step()")

    def go(self, step):
        self.js("n => tinyres.go(n)", step)

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def text(self, selector):
        return self.page.locator(selector).inner_text()

    def shown(self):
        """All that is on the page, except where its graph is scrolled to, which the small map shows."""
        return self.js("""() => {
            const page = document.getElementById('page').cloneNode(true);
            page.querySelector('.minimap .window')?.remove();
            return page.outerHTML;
        }""")


@pytest.fixture
def visit(tabs, tmp_path):
    """visit(trace or path, ...) opens a page. After the test: it asked for nothing but itself, and had no complaint."""
    visits = []

    def open_page(shown, *arguments, **options):
        path = shown
        if hasattr(shown, "save"):
            path = tmp_path / f"page{len(visits)}.html"
            shown.save(path)
        visits.append(Visit(tabs, path, *arguments, **options))
        return visits[-1]

    yield open_page
    for made in visits:
        others = [url for url in made.requests if url.partition("#")[0] != made.url]
        for event, listener in made.listeners.items():
            made.page.remove_listener(event, listener)
        tabs.give(made.page, once=made.touch)
        assert others == [], "the page asked for something"
        assert made.complaints == []
