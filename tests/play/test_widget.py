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
    made._session._send = lambda message: made.send(__import__("tinyres.play.words").play.words.jsonable(message))
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
