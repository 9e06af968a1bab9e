"""The page in a notebook's cell; and where `tr.play()` shows it."""

import json
import time

import pytest

import tinyres as tr
from tinyres.play import showing

SMALL = {"depth": 4, "width": 8, "batch": 16}


@pytest.fixture
def widget(monkeypatch):
    pytest.importorskip("anywidget", reason="the widget was not tested: pip install 'tinyres[play]'")
    from tinyres.play.widget import Playground

    made = Playground("net", SMALL)
    sent = []
    monkeypatch.setattr(made, "send", lambda content, buffers=None: sent.append(json.loads(json.dumps(content))))
    yield made, sent
    made.close()


def until(sent, kind):
    end = time.monotonic() + 20
    while not (found := [m for m in sent if m["type"] == kind]):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found[0]


def test_it_speaks_the_same_messages(widget):
    made, sent = widget
    made._handle_custom_msg({"type": "hello"}, [])
    assert until(sent, "start")["setting"]["depth"] == 4, "the setting that it was made with"
    assert until(sent, "frame")["step"] == 0
    sent.clear()
    made._handle_custom_msg({"type": "hello", "setting": {"depth": 6}}, [])
    assert until(sent, "start")["setting"]["depth"] == 6, "the page's own, if it has one"
    made._handle_custom_msg("nonsense", [])
    assert "object with a type" in until(sent, "notice")["text"]


def test_its_module_is_there_and_asks_nobody():
    from tinyres.play.widget import Playground

    text = Playground._esm.read_text() if hasattr(Playground._esm, "read_text") else str(Playground._esm)
    assert "export" in text
    assert "render" in text
    assert "import(" not in text
    assert "https://unpkg" not in text


def test_closing_it_ends_the_training(widget):
    made, sent = widget
    made._handle_custom_msg({"type": "hello"}, [])
    until(sent, "frame")
    made.close()
    assert not made._session._thread.is_alive()


def test_play_is_a_function_and_a_package():
    assert callable(tr.play)
    assert tr.play.__name__ == "tinyres.play"


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"depth": 0}, "from 2 to 200"), ({"zoo": 1}, "no knob called 'zoo'"), ({"lab": "zoo"}, "lab must be one of")],
)
def test_it_refuses_before_anything_is_shown(asked, said):
    with pytest.raises(ValueError, match=said):
        tr.play(**asked)


def test_outside_a_notebook_it_serves_what_was_asked(monkeypatch):
    from tinyres.play import server

    served = []
    monkeypatch.setattr(server, "serve", lambda **options: served.append(options))
    assert tr.play(lab="game", target="dirac") is None
    assert served == [{"opening": {"lab": "game", "setting": {"target": "dirac"}}}]


def test_in_a_notebook_it_is_a_widget(monkeypatch):
    pytest.importorskip("anywidget")
    monkeypatch.setattr(showing, "in_notebook", lambda: True)
    made = tr.play(**SMALL)
    assert made._opening == {"lab": "net", "setting": SMALL}
    made.close()
    assert not showing.__dict__["in_notebook"].__name__.startswith("in_"), "patched"


def test_without_the_packages_it_says_how_to_get_them(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tinyres.play.server", None)
    with pytest.raises(ImportError, match=r"pip install 'tinyres\[play\]'"):
        tr.play()


@pytest.mark.slow
def test_in_a_real_kernel_it_opens_and_answers():
    """Through Jupyter's own messages, as every front end sends them."""
    client = pytest.importorskip("jupyter_client", reason="not tried in a kernel: pip install jupyter_client ipykernel")
    pytest.importorskip("ipykernel")
    manager, kernel = client.manager.start_new_kernel(startup_timeout=60)
    try:
        kernel.execute("import tinyres as tr; page = tr.play(depth=4, width=8, batch=16); page")
        opened = heard(kernel, lambda m: m["msg_type"] == "comm_open" and "_esm" in m["content"]["data"]["state"])
        comm = opened["content"]["comm_id"]
        assert "render" in opened["content"]["data"]["state"]["_esm"]
        content = {"comm_id": comm, "data": {"method": "custom", "content": {"type": "hello"}}}
        kernel.shell_channel.send(kernel.session.msg("comm_msg", content))
        frame = heard(kernel, lambda m: said(m, comm).get("type") == "frame")
        assert said(frame, comm)["step"] == 0
        assert len(said(frame, comm)["gradient"]) == 4
    finally:
        kernel.stop_channels()
        manager.shutdown_kernel(now=True)


def said(message, comm):
    data = message["content"].get("data", {}) if message["msg_type"] == "comm_msg" else {}
    return data.get("content", {}) if message["content"].get("comm_id") == comm else {}


def heard(kernel, wanted):
    end = time.monotonic() + 60
    while True:
        message = kernel.get_iopub_msg(timeout=end - time.monotonic())
        if wanted(message):
            return message
