"""Files and notebooks."""

import json
import re
from html import unescape

import numpy as np
import pytest

import tinyres as tr
from tinyres import viewer
from tinyres.viewer import page, picture

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


def test_the_still_picture_tells_norms(trace):
    from xml.etree import ElementTree

    root = ElementTree.fromstring(picture.draw(trace))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[1:] == ["mul #1", f"{np.log10(np.sqrt(3)):.2f}"]
    many = {f"<b>layer & {i}": float(-i) for i in range(100)} | {"none": None}
    root = ElementTree.fromstring(picture.bars(many))
    labels = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")][1::2]
    assert len(labels) == 40
    assert (labels[0], labels[-1]) == ("<b>layer & 0", "none")
