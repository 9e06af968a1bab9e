"""The server: who may come in, ports, several pages, and that everything ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tinyres.play.server import PAGES, Server, listen, policy

SMALL = {"depth": 4, "width": 8, "batch": 16}


def wire(server, *, token=None, **options):
    address = f"ws://127.0.0.1:{server.port}/ws?token={server.token if token is None else token}"
    return connect(address, open_timeout=20, max_size=1 << 24, **options)


def heard(page, kind, **wanted):
    """The next message of a kind."""
    while True:
        message = json.loads(page.recv(timeout=30))
        if message["type"] == kind and all(message[name] == value for name, value in wanted.items()):
            return message


def say(page, kind, **fields):
    page.send(json.dumps({"type": kind, **fields}))


def test_the_page_is_served_to_who_knows_the_token(server):
    found = httpx.get(server.address)
    assert found.status_code == 200
    assert "<!doctype html>" in found.text.lower()
    rules = found.headers["content-security-policy"]
    assert "default-src 'none'" in rules
    assert "frame-ancestors 'none'" in rules
    assert "http" not in rules
    assert "unsafe-inline" not in rules.split("style-src")[0], "only the page's own scripts run"
    assert found.headers["referrer-policy"] == "no-referrer", "the token is in the address"
    assert found.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}), ("/?token=", {}), ("/?token=nonsense", {}), ("/?token=%C3%A9", {}),
        ("/?token=RIGHT", {"host": "evil.example"}),
        ("/?token=RIGHT", {"host": "127.0.0.1"}), ("/?token=RIGHT", {"host": "127.0.0.1:1"}),
        ("/?token=RIGHT", {"origin": "http://evil.example"}), ("/?token=RIGHT", {"origin": "null"}),
    ],
)  # fmt: skip
def test_others_are_refused(server, path, headers):
    address = f"http://127.0.0.1:{server.port}{path.replace('RIGHT', server.token)}"
    found = httpx.get(address, headers=headers)
    assert found.status_code == 403
    assert server.token not in found.text
    assert "script" not in found.text


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"])
def test_a_foreign_page_gets_no_wire(server, origin):
    with pytest.raises(InvalidStatus) as refused, wire(server, origin=origin):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("token", ["", "nonsense"])
def test_without_the_token_there_is_no_wire(server, token):
    with pytest.raises(InvalidStatus) as refused, wire(server, token=token):
        pass
    assert refused.value.response.status_code == 403


def test_the_own_page_gets_one_under_both_names(server):
    for name in ("127.0.0.1", "localhost"):
        with wire(server, origin=f"http://{name}:{server.port}") as page:
            say(page, "hello", setting=SMALL)
            assert heard(page, "start")["setting"]["depth"] == 4


def test_it_listens_on_loopback_only(server):
    assert server._socket.getsockname()[0] == "127.0.0.1"


def test_two_pages_have_a_run_each(server):
    with wire(server) as one, wire(server) as two:
        say(one, "hello", setting=SMALL)
        say(two, "hello", lab="game", setting={"target": "dirac"})
        heard(one, "frame"), heard(two, "frame")
        say(one, "step", by=2), say(two, "step", by=3)
        say(one, "ready", step=0), say(two, "ready", step=0)
        heard(one, "frame"), heard(two, "frame")
        end = time.monotonic() + 20  # a frame may come before the last step
        while {len(s._tape.rows) for s in server._sessions} != {3, 4}:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_too_many_pages_are_told_so(server):
    with ExitStack() as pages:
        for _ in range(PAGES):
            page = pages.enter_context(wire(server))
            say(page, "hello", setting=SMALL)
            heard(page, "frame")
        with wire(server) as late:
            assert "close one" in heard(late, "notice")["text"]
            with pytest.raises(ConnectionClosed):
                late.recv(timeout=10)


def test_closing_the_page_stops_its_training(server):
    with wire(server) as page:
        say(page, "hello", setting=SMALL)
        heard(page, "frame")
        say(page, "play")
        (session,) = server._sessions
    end = time.monotonic() + 10
    while session._thread.is_alive() or server._sessions:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("sent", ["{", "[]", '"x"', "nul", "{}" * 1000, '{"type": "set", "values": {"depth": 1e999}}'])
def test_nonsense_does_not_end_the_connection(server, sent):
    with wire(server) as page:
        say(page, "hello", setting=SMALL)
        heard(page, "frame")
        page.send(sent)
        heard(page, "notice")
        say(page, "ready", step=0)
        say(page, "step", by=1)
        while (frame := heard(page, "frame"))["step"] == 0:  # what went wrong shows its step again
            say(page, "ready", step=0)
        assert frame["loss"] > 0


def test_bytes_and_huge_messages_end_only_their_own_connection(server):
    with wire(server) as other:
        say(other, "hello", setting=SMALL)
        heard(other, "frame")
        for sent in (b"\x00" * 10, "x" * (2 << 20)):
            with wire(server) as page:
                page.send(sent)
                with pytest.raises(ConnectionClosed):
                    page.recv(timeout=10)
        say(other, "ready", step=0)
        say(other, "step", by=1)
        assert heard(other, "frame", step=1)


def test_a_port_in_use_gives_the_next():
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = taken.getsockname()[1]
    try:
        found = listen(port)
        assert port < found.getsockname()[1] < port + 50
        found.close()
    finally:
        taken.close()


def test_a_name_of_its_own_scripts_only():
    """A script that is not the page's has another hash."""
    one, two = policy("<script>1</script>", 80), policy("<script>2</script>", 80)
    assert one != two
    assert one.count("sha256-") == 1
    assert "script-src 'none'" in policy("no script", 80)


def test_a_server_has_a_token_of_its_own():
    servers = [Server(0) for _ in range(3)]
    assert len({server.token for server in servers}) == 3
    assert all(len(server.token) >= 32 for server in servers)
    for server in servers:
        server._socket.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
@pytest.mark.slow
def test_ctrl_c_ends_everything_within_a_second(number):
    """While a net trains and a page is open."""
    command = [sys.executable, "-m", "tinyres", "play", "--no-browser", "--port", "0"]
    path = os.pathsep.join(p for p in sys.path if p)
    started = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    try:
        address = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", started.stdout.readline())
        port, token = address.groups()
        with connect(f"ws://127.0.0.1:{port}/ws?token={token}", max_size=1 << 24) as page:
            say(page, "hello", setting={})
            heard(page, "frame")
            say(page, "play")
            say(page, "ready", step=0)
            heard(page, "frame")
            begin = time.monotonic()
            started.send_signal(number)
            said = started.communicate(timeout=20)[1]
            seconds = time.monotonic() - begin
        assert seconds < 1.0
        assert started.returncode == 130
        assert said.strip() == "stopped"
    finally:
        started.kill()
        started.wait()


def test_the_command_says_what_is_wrong(capsys):
    from tinyres.cli import main

    assert main(["play", "--port", "70000"]) == 2
    assert "from 0 to 65535" in capsys.readouterr().err


def test_it_says_where_to_click_if_no_browser_opens(monkeypatch):
    from tinyres.play import server as module

    said, opened = [], []
    monkeypatch.setattr(module.webbrowser, "open", lambda address: opened.append(address) and False)
    module._open("http://127.0.0.1:1/?token=x", said.append)
    assert opened == ["http://127.0.0.1:1/?token=x"]
    assert "click on the address" in said[0]


def test_no_thread_is_left():
    assert not [t for t in threading.enumerate() if t.name == "tinyres-play"]
