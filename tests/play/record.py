"""Record sample messages of the real engine: `python -m tests.play.record FOLDER` writes one JSON file for each lab."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

from tinyres.play import words
from tinyres.play.session import Session


class Page:
    """A page that only listens: it says that it is ready after every frame."""

    def __init__(self):
        self.messages, self._news = [], threading.Condition()
        self.session = Session(self._hear)

    def _hear(self, message):
        with self._news:
            self.messages.append(json.loads(words.text(message)))
            self._news.notify_all()
        if message["type"] == "frame":
            self.session.receive({"type": "ready", "step": message["step"]})

    def say(self, kind, **fields):
        self.session.receive({"type": kind, **fields})

    def wait(self, wanted, seconds=60):
        """The first message, of those that have not been looked at, for which wanted(message) is true."""
        with self._news:
            found = []

            def there():
                found.extend(m for m in self.messages if wanted(m))
                return bool(found)

            assert self._news.wait_for(there, seconds), [m["type"] for m in self.messages]
            return found[0]

    def clear(self):
        with self._news:
            self.messages.clear()

    def frame(self, step, **wanted):
        """The frame of a step, with its dear picture."""
        return self.wait(lambda m: m["type"] == "frame" and m["step"] == step and not m["playing"])

    def close(self):
        self.session.close(5)


def record(lab, setting, steps=20):
    page = Page()
    page.say("hello", lab=lab, setting=setting)
    page.wait(lambda m: m["type"] == "frame")
    page.say("step", by=steps)
    page.frame(steps)
    page.close()
    return page.messages


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, lab, setting in (
        ("net", "net", {}), ("plain", "net", {"architecture": "plain"}), ("ring8", "game", {}),
        ("dirac", "game", {"target": "dirac"}), ("gaussians", "game", {"target": "gaussians"}),
        ("digits", "game", {"target": "digits"}),
    ):  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(record(lab, setting)))


if __name__ == "__main__":
    main()
