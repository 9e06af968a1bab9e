"""The playground's page in a browser, with a WebSocket whose other end a test holds."""

from __future__ import annotations

import json
import time
from pathlib import Path

import tinyres
from tests.play import page_messages as m

FOLDER = Path(tinyres.__path__[0]) / "play"
SOCKET = """
window.wire = {sent: [], addresses: [], push(text) { this.made.onmessage({data: text}); }};
window.WebSocket = class {
  static OPEN = 1;
  constructor(address) { wire.made = this; wire.addresses.push(address); this.readyState = 0;
    setTimeout(() => { this.readyState = 1; this.onopen?.({}); }); }
  send(text) { wire.sent.push(JSON.parse(text)); }
  close() { this.readyState = 3; this.onclose?.({}); }
};
"""


class Page:
    """The page with a WebSocket that a test holds the other end of."""

    def __init__(self, tabs, fragment="", size=(1280, 800), scheme="light", path=None, touch=False):
        self.page, self.once = tabs.take(size, scheme, touch=touch, script=SOCKET), touch
        self.requests, self.complaints = [], []
        self.listeners = {
            "request": lambda request: self.requests.append(request.url),
            "console": lambda message: self.complaints.append(f"{message.type}: {message.text}"),
            "pageerror": lambda error: self.complaints.append(str(error)),
        }
        for event, listener in self.listeners.items():
            self.page.on(event, listener)
        self.url = (FOLDER / "play.html").as_uri() + "?token=secret" if path is None else path.as_uri()
        self.page.goto(self.url + fragment)
        self.until("window.tinyresPlay?.ready")

    def js(self, expression, argument=None):
        return self.page.evaluate(expression, argument)

    def until(self, expression, seconds=10):
        end = time.monotonic() + seconds
        while not self.js(expression):
            assert time.monotonic() < end, f"waited for {expression}"
            time.sleep(0.01)

    def drawn(self):
        """Wait until what came is on the screen."""
        self.js("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))")

    def push(self, *messages):
        self.until("wire.made?.readyState === 1")
        for message in messages:
            self.js("text => wire.push(text)", json.dumps(message))
        self.drawn()
        return self

    def sent(self, kind=None):
        """What the page has sent since the last call, without `ask`, and without what it says after every frame."""
        self.drawn()
        found = [{key: each[key] for key in each if key != "ask"} for each in self.js("wire.sent.splice(0)")]
        return [each for each in found if each["type"] == kind or (kind is None and each["type"] != "ready")]

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)
        self.drawn()

    def text(self, selector):
        return self.page.locator(selector).first.inner_text()

    def button(self, name, exact=True):
        return self.page.get_by_role("button", name=name, exact=exact)

    def click(self, name, exact=True):
        self.button(name, exact).click()
        self.drawn()

    def state(self, name):
        return self.js(f"tinyresPlay.state().{name}")


def net(visit, blocks=8, kind="residual", step=30, **options):
    page = visit(**options)
    return page.push(m.hello(), m.start(blocks, kind=kind), m.frame(step, blocks, kind=kind, since=-1))


def game(visit, steps=(0, 1, 2), **options):
    page = visit(**options)
    return page.push(m.hello("game"), m.game_start(), *(m.game_frame(step) for step in steps))
