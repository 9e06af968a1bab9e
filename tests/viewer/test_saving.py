"""Files and notebooks."""

import functools
import json
import re
from base64 import b64decode
from html import unescape
from xml.etree import ElementTree

import numpy as np
import pytest

import tinyres as tr
from tests.viewer import cases
from tinyres import flow, nn, viewer
from tinyres.files import write_figure
from tinyres.viewer import page, picture

SVG = "{http://www.w3.org/2000/svg}"
TEMPLATE = "<title><!--tinyres-title--></title><body><!--tinyres-data--></body>"


@pytest.fixture(autouse=True)
def template(tmp_path, monkeypatch):
    """The page itself is tested in a browser."""
    path = tmp_path / "template.html"
    path.write_text(TEMPLATE)
    monkeypatch.setattr(page, "TEMPLATE", path)


@pytest.fixture
def trace():
    x = tr.tensor(np.arange(3.0), requires_grad=True)
    return viewer.trace(**{"<script>": lambda: (x * x).sum()})


def data(html):
    return json.loads(re.search(r'id="tinyres-data">(.*?)</script>', html)[1])


def test_a_file_holds_the_document(trace, tmp_path):
    target = tmp_path / "step.html"
    target.write_text("an older one")
    trace.save(target, title="</title><b>")
    html = target.read_text()
    assert data(html) == trace.to_json() | {"title": "</title><b>"}
    assert "<title>&lt;/title&gt;&lt;b&gt;</title>" in html
    assert "<!--tinyres" not in html
    assert html.count("<script") == html.count("</script") == 1  # names are no elements
    assert "<noscript><img" in html


def test_json(trace, tmp_path):
    assert json.loads((trace.to_json(tmp_path / "t.json"), (tmp_path / "t.json").read_text())[1]) == trace.to_json()


def test_where_nothing_can_be_written(trace, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"save: there is no folder .*nowhere to write step.html into; make it"):
        trace.save(tmp_path / "nowhere" / "step.html")
    with pytest.raises(IsADirectoryError, match="is a folder; name a file in it"):
        trace.save(tmp_path)


def test_a_notebook_shows_the_page_in_a_closed_frame(trace):
    html = trace._repr_html_()
    assert 'sandbox="allow-scripts"' in html
    assert "allow-same-origin" not in html
    assert html.count("<script") == 0  # all of the page is in an attribute
    inside = unescape(re.search(r'srcdoc="([^"]*)"', html)[1])
    assert data(inside) == trace.to_json()
    assert html.index("<img") < html.index("<iframe")


def texts(svg):
    root = ElementTree.fromstring(svg)
    return [element.text for element in root.iter(f"{SVG}text")]


def test_the_still_picture_of_a_small_pass_is_a_drawing(trace):
    assert texts(picture.draw(trace))[1:] == ["sum #2", "1", "mul #1", f"{np.sqrt(3):.4g}", "x", f"{np.sqrt(20):.4g}"]
    loss, _ = cases.residual()
    traced = viewer.trace(loss)
    root = ElementTree.fromstring(picture.draw(traced))
    lines = [line.get("stroke-dasharray") for line in root.iter(f"{SVG}polyline")]
    assert len(lines) == sum(event[0] == "r" for event in traced.events)
    assert (lines.count("7 4"), lines.count("2 3")) == (2, 2), "two skips, two branches"
    boxes = [
        [float(box.get(k)) for k in ("x", "y", "width", "height")] for box in root.iter(f"{SVG}rect") if box.get("x")
    ]
    width, height = float(root.get("width")), float(root.get("height"))
    for i, (x, y, w, h) in enumerate(boxes):
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height
        assert all(abs(x - other[0]) >= w or abs(y - other[1]) >= h for other in boxes[:i]), "one over another"


def test_the_still_picture_of_a_larger_pass_is_bars():
    w = tr.tensor(np.ones(3), requires_grad=True)
    chain = lambda n: viewer.trace(lambda: functools.reduce(lambda h, _: h * 0.1, range(n), w).sum())
    assert len(texts(picture.draw(chain(28)))) == 1 + 2 * 30
    told = texts(picture.draw(chain(29)))
    assert told[0] == "log10 of the norm of the gradient"
    assert told[1].startswith("mul #")
    assert told[2] == f"{np.log10(np.sqrt(3)) - 28:.2f}"
    many = {f"<b>layer & {i}": float(-i) for i in range(100)} | {"none": -np.inf}
    labels = texts(picture.bars(many))[1::2]
    assert len(labels) == 40
    assert (labels[0], labels[-1]) == ("<b>layer & 0", "none")
    assert texts(picture.bars({"a": np.nan, "b": np.inf, "c": -np.inf}))[2::2] == ["nan", "inf", "none"]


def test_a_title_that_is_no_text_leaves_no_empty_file(trace, tmp_path):
    target = tmp_path / "step.html"
    trace.save(target, title="of \udcff.py")  # a file name that is not UTF-8
    assert "<title>of ?.py</title>" in target.read_text()


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
@pytest.mark.parametrize("name", ["a\udc80b", "\ud800", "$\\wrong$", "a\0b\x1f\uffff", "</script><b>"])
def test_a_module_of_any_name_is_traced_recorded_and_drawn(name, tmp_path):
    """setattr takes any name but one with a dot; a page, a document and a picture have to."""

    class Net(nn.Module):
        def __init__(self):
            setattr(self, name, nn.Linear(2, 2, rng=0))

        def forward(self, x):
            return getattr(self, name)(x)

    net = Net()
    net._be_called(name)
    x = tr.tensor(np.ones((1, 2), "f"), requires_grad=True)
    trace = tr.trace(lambda: net(x).sum())
    trace.save(tmp_path / "step.html")
    document = json.loads(re.search(r'id="tinyres-data">(.*?)</script>', (tmp_path / "step.html").read_text())[1])
    assert name in {part for op in document["trace"]["ops"] for part in op.get("path", "").split(".")}
    for source in re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", (tmp_path / "step.html").read_text()):
        ElementTree.fromstring(b64decode(source))
    trace._repr_html_().encode()
    trace.to_json(tmp_path / "trace.json")
    with flow.record(net, [name]) as recording:
        net(x).sum().backward()
    viewer.save(recording, tmp_path / "run.html")
    found = recording.history()
    found.to_json(tmp_path / "history.json")
    assert name in json.loads((tmp_path / "history.json").read_text())["labels"]["block"]
    write_figure(found.plot(), tmp_path / "history.png")
