"""What is kept of a run: the page that opens without a server, and tables."""

import csv
import io
import json
import math

import pytest

from tests.play.record import Page

SMALL = {"depth": 4, "width": 8, "batch": 16}


@pytest.fixture
def page():
    made = Page()
    yield made
    made.close()


def kind(name):
    return lambda message: message["type"] == name


def begun(page, lab="net", setting=SMALL):
    page.say("hello", lab=lab, setting=setting)
    page.wait(kind("frame"))


def test_the_saved_page_holds_every_frame_of_the_ring(page):
    begun(page)
    page.say("step", by=5)
    page.frame(5)
    page.say("save", what="page")
    saved = page.wait(kind("page"))
    assert saved["name"].endswith(".html")
    begin = saved["text"].index('id="tinyres-play-data">') + len('id="tinyres-play-data">')
    inlined = saved["text"][begin : saved["text"].index("</script>", begin)]
    assert "<" not in inlined
    messages = json.loads(inlined)
    assert [m["type"] for m in messages] == ["hello", "start"] + 6 * ["frame"]
    assert [m["step"] for m in messages[2:]] == list(range(6))
    assert [k for m in messages[2:] for k in m["history"]["step"]] == list(range(6))
    assert messages[-1]["loss"] == page.session._tape.state.figures["loss"]
    assert page.session._tape.at == 5


@pytest.mark.parametrize("lab", ["net", "game"])
def test_tables_hold_the_figures_of_every_step(page, lab):
    begun(page, lab, SMALL if lab == "net" else {"target": "dirac"})
    page.say("step", by=3)
    page.frame(3)
    page.say("save", what="csv")
    rows = list(csv.DictReader(io.StringIO(page.wait(kind("table"))["text"])))
    assert [row["step"] for row in rows] == ["0", "1", "2", "3"]
    figures = page.session._tape.state.figures
    if lab == "net":
        assert float(rows[-1]["loss"]) == figures["loss"]
        assert float(rows[-1]["gradient blocks.2"]) == figures["gradient"][2]
        assert float(rows[-1]["signal blocks.0"]) == figures["signal"][0]
        shares = {f"skip share blocks.{i}": share for i, share in enumerate(figures["share"]) if share is not None}
        assert {name: float(rows[-1][name]) for name in rows[-1] if name.startswith("skip share")} == shares != {}
    else:
        assert math.isnan(float(rows[0]["d"]))
        assert float(rows[-1]["gradient_g"]) == figures["gradient_g"]
        assert [float(rows[-1][name]) for name in ("theta", "psi")] == figures["orbit"][-1]
        assert (rows[0]["theta"], rows[0]["psi"]) == ("1.0", "0.0"), "before anybody moved"
    page.clear()
    page.say("save", what="json")
    document = json.loads(page.wait(kind("table"))["text"])
    assert document["setting"] == page.session._tape.state.setting
    assert len(document["steps"]) == 4
