"""The playground's page when its connection begins, ends and begins anew."""

import pytest

from tests.play import page_messages as m
from tests.play.pages import net

pytestmark = pytest.mark.browser


def test_a_new_connection_has_the_speed_that_was_chosen(visit):
    page = net(visit)
    page.page.get_by_label("Speed").select_option(label="2 steps/s")
    page.js("wire.made.close()")
    page.drawn()
    page.sent()
    page.click("Connect again")
    assert page.sent()[1:] == [{"type": "speed", "steps_per_second": 2}]
    page.push(m.hello(), m.start(8, run=2), m.frame(0, 8, run=2))
    assert page.page.get_by_label("Speed").input_value() == "2"


def test_one_page_too_many_is_told_what_helps(visit):
    page = visit()
    page.until("wire.made?.readyState === 1")
    page.push({"type": "notice", "level": "error", "text": "4 pages are open already: close one of them."})
    page.js("wire.made.onclose({code: 1013})")
    page.drawn()
    told = page.text(".notice.error >> nth=0")
    assert told.startswith("The server has no room for another page. Close one of the others, then")
    assert "tinyres play" not in told
    assert page.button("Connect again").is_visible()


def test_before_anything_was_measured_no_chart_says_that_it_failed(visit):
    page = visit()
    page.push(m.hello(), m.start(8), m.frame(0, 8) | {"history": None})
    assert "NaN" not in page.text("main")
    assert not any(
        "NaN" in label for label in page.js("[...document.querySelectorAll('[aria-label]')].map(e => e.ariaLabel)")
    )
