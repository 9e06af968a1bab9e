"""The report on paper."""

import re

import pytest

from tests.lab.test_report import WIDE, save
from tinyres.lab import report

pytestmark = pytest.mark.browser


def test_a_report_is_printed_wide_with_what_is_folded(browser, tmp_path):
    save(tmp_path, "E13", tables=[WIDE])
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(report.write_page(tmp_path).as_uri())
    cell = page.get_by_role("cell", name="-0.000701", include_hidden=True)
    page.emulate_media(media="print")
    printed = page.pdf(prefer_css_page_size=True)
    width, height = (float(side) for side in re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", printed)[0])
    assert width > height, "pictures and tables are wide"
    assert cell.bounding_box()["height"] > 5, "nobody can unfold it on paper"
    page.close()
