"""Documents that are damaged, in a browser: the page shows a sentence or the recording, never half of it."""

import random

import pytest

from tests.readers import mutated as campaign
from tests.readers.mutate import mutated
from tests.readers.pages import document, reader

pytestmark = pytest.mark.browser


@pytest.fixture
def opened(browser):
    page = browser.new_page()
    yield page
    page.close()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"inputs":[1,0]', '"inputs":[1,7]', "is damaged (Error: operation 2 has invalid inputs)"),
        ('"value":1', '"value":99', "operation 1 has invalid value"),
        ('"s":[3,4]', '"s":[3,4000000000]', "array 1 does not have the size of its shape"),
        ('["f",2]', '["f",2e9]', "event 0 is invalid"),
        ('"0:0":', '"0:77":', "a gradient belongs to no operation"),
        ('"version":1', '"version":2', "This page shows version 1 of tinyres-trace, but its recording has version 2"),
        ('"trace":{', '"trace":[],"tace":{', "trace is not an object"),
        ('"title":"', '"title":"', ""),
        ('{"format"', '{"format', "The recording in this page cannot be read"),
    ],
)
def test_what_is_wrong_is_said(opened, tmp_path, old, new, says):
    content = document().decode()
    assert old in content
    path = tmp_path / "document"
    path.write_text(content.replace(old, new, 1))
    outcome, said = campaign.tried(reader(opened), path.read_bytes(), tmp_path)
    assert outcome == ("refused" if says else "accepted")
    assert says in said


def test_damaged_documents_end_in_a_sentence_or_are_shown(opened, tmp_path):
    outcomes = [
        campaign.tried(reader(opened), mutated(document(), random.Random(f"page {k}")), tmp_path) for k in range(20)
    ]
    assert [outcome for outcome in outcomes if outcome[0] == "FAULT"] == []
    assert {outcome for outcome, _ in outcomes} == {"refused", "accepted"}
