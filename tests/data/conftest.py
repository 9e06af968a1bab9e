"""A server on this machine that answers as a test says, well or badly."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.data.served import RIGHT
from tinyres.data.fetch import Source


class Cut(bytes):
    """A body that is announced as a whole, of which half is sent before the connection closes."""


class Drip(bytes):
    """A body that comes byte by byte, a hundredth of a second apart."""


class Server(ThreadingHTTPServer):
    """`answers` maps a path to what it gets, request by request, the last one for good: a body, a status or None.

    None is silence: nothing is sent until the test ends. What was asked for is in `asked`.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked, self.over = {}, [], threading.Event()

    def url(self, mirror=""):
        return f"http://127.0.0.1:{self.server_port}/{mirror}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        answers = self.server.answers.get(self.path, [404])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            self.server.over.wait(10)
        elif isinstance(answer, int):
            self.send_error(answer)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if isinstance(answer, Drip):
                for byte in answer:
                    self.wfile.write(bytes([byte]))
                    if self.server.over.wait(0.01):
                        return
            self.wfile.write(answer[: len(answer) // 2] if isinstance(answer, Cut) else answer)

    def log_message(self, *args):
        """Nothing on standard error."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.over.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def drip():
    return Drip


@pytest.fixture
def cut():
    return Cut


@pytest.fixture
def source(server):
    return Source("set", (server.url("one/"), server.url("two/")), {"file.gz": RIGHT})
