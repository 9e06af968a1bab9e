"""A server for the tests, and a browser."""

from __future__ import annotations

import threading
import time

import pytest

from tests.viewer.conftest import browser  # noqa: F401  (a fixture: Chromium, started once)

pytest.importorskip("uvicorn", reason="the playground's server was not tested: pip install 'tinyres[play]'")


@pytest.fixture
def server():
    """The playground on a free port."""
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
