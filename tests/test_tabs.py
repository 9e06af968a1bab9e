"""A tab that a test had before is as a new one."""

import pytest

pytestmark = pytest.mark.browser
SCRIPT = "window.scripted = (window.scripted || 0) + 1"


def test_a_tab_that_is_used_again_has_forgotten_what_was_in_it(tabs, tmp_path):
    file = tmp_path / "page.html"
    file.write_text("<p style='height: 100vh'>all</p>")
    first = tabs.take((300, 200), "dark", script=SCRIPT)
    first.goto(file.as_uri())
    first.evaluate("localStorage.kept = sessionStorage.kept = 'something'")
    tabs.give(first, script=SCRIPT)
    again = tabs.take((400, 300), "light", script=SCRIPT)
    assert again is first
    again.goto(file.as_uri())
    seen = again.evaluate("""[localStorage.length, sessionStorage.length, innerWidth, innerHeight, scripted,
        matchMedia('(prefers-color-scheme: dark)').matches, document.querySelectorAll('p:hover').length]""")
    assert seen == [0, 0, 400, 300, 1, False, 0]
    assert tabs.take((300, 200), "dark") is not first, "its pages begin with no script"
