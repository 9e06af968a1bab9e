"""The playground's page in small windows, and with the larger letters that a reader has asked the browser for."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from tests.play import page_messages as m
from tests.play.pages import FOLDER

pytestmark = pytest.mark.browser

CUT = """() => {
  const found = document.documentElement.scrollWidth > innerWidth ? ['the page is wider than its window'] : [];
  const boxes = new Map();
  for (const e of document.querySelectorAll('button:not(.jump), select, summary, .step, .knob label')) {
    const box = e.getBoundingClientRect();
    if (!box.width || e.closest('details:not([open]) > div')) continue;
    const cut = e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 2;
    if (cut || box.left < -0.5 || box.right > innerWidth + 0.5) found.push('cut off: ' + e.textContent.trim());
  }
  for (const text of document.querySelectorAll('svg.chart text')) {
    const box = text.getBoundingClientRect(), panel = text.closest('.panel').getBoundingClientRect();
    if (box.width && (box.left < panel.left || box.right > panel.right || box.bottom > panel.bottom))
      found.push('beyond its panel: ' + text.textContent);
    for (const [other, its] of boxes) {
      const [w, h] = [Math.min(box.right, its.right) - Math.max(box.left, its.left),
                      Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top)];
      if (w > 2 && h > 5) found.push(`one over the other: ${text.textContent}, ${other.textContent}`);
    }
    boxes.set(text, box);
  }
  return found;
}"""
SIZES = """['#play', 'h1', 'button', '.panel h2', 'svg.chart text'].map((e) =>
  parseFloat(getComputedStyle(document.querySelector(e)).fontSize))"""


def messages(lab):
    if lab == "net":
        return [m.hello(), m.start(8), *(m.frame(step, 8) for step in range(3))]
    return [m.hello("game"), m.game_start(), *(m.game_frame(step) for step in range(3))]


def opened(visit, tmp_path, lab, width, letters=16, kept=False):
    """With the browser's letters of this size, from the server or as the page that was kept."""
    text = (FOLDER / "play.html").read_text(encoding="utf-8")
    text = text.replace("<html ", f'<html style="font-size: {letters}px" ', 1)
    if kept:
        data = json.dumps(messages(lab)).replace("<", "\\u003c")
        element = f'<script type="application/json" id="tinyres-play-data">{data}</script>'
        text = text.replace("<!--tinyres-play-data-->", element)
    (path := tmp_path / f"{width}-{letters}.html").write_text(text, encoding="utf-8")
    address = path.as_uri() + ("" if kept else "?token=secret")
    page = visit(path=SimpleNamespace(as_uri=lambda: address), size=(width, 844))
    return page if kept else page.push(*messages(lab))


@pytest.mark.parametrize("width", [260, 288, 300, 320])
@pytest.mark.parametrize(("lab", "kept"), [("net", False), ("net", True), ("game", False)])
def test_rows_of_buttons_wrap(visit, tmp_path, lab, kept, width):
    page = opened(visit, tmp_path, lab, width, kept=kept)
    page.page.locator(".menu summary").click()
    assert page.js(CUT) == []


@pytest.mark.parametrize("letters", [16, 20, 24])
@pytest.mark.parametrize("width", [360, 390, 1280])
@pytest.mark.parametrize("lab", ["net", "game"])
def test_larger_letters_are_larger_and_nothing_is_cut(visit, tmp_path, lab, width, letters):
    page = opened(visit, tmp_path, lab, width, letters)
    assert page.js(SIZES) == [pytest.approx(letters / 16 * size, abs=0.01) for size in (14, 16, 13, 13, 11)]
    page.page.locator(".menu summary").click()
    assert page.js(CUT) == []


@pytest.mark.parametrize(("step", "losses"), [(0, [2.30259]), (0, [2.30259, 2.30261]), (12_345, [0.5, 0.4, 0.3])])
def test_no_two_ticks_of_an_axis_have_the_same_text(visit, step, losses):
    page = visit().push(m.hello(), m.start(8))
    for k, loss in enumerate(losses):
        history = {"step": [step + k], "loss": [loss], "accuracy": [0.5], "heat": [[-1.0] * 8]}
        page.push(m.frame(step + k, 8) | {"history": history})
    read = lambda which: page.js(
        f"[...document.querySelectorAll('[data-panel=loss] {which}')].map((e) => e.textContent)"
    )
    for ticks in (read(".axes g text"), read(".axes > text:not(.name)")):
        assert len(ticks) == len(set(ticks)) >= 2
