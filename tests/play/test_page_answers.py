"""When a story's answer comes, and what it calls measured: nothing that this run has not shown yet."""

from __future__ import annotations

import math

import pytest

from tests.play import page_messages as m
from tinyres.play.messages import full
from tinyres.play.stories import STORIES

pytestmark = pytest.mark.browser

HEARD = "document.querySelector('.story [role=status]').textContent"
LATE = [name for name, story in STORIES.items() if story.lab == "game"]


def begun(visit, name):
    """The page at a story of its own list, before the guess."""
    story = STORIES[name]
    row = story.to_json() | {"setting": full(story.lab, story.setting)}
    page = visit(fragment=f"#lab={story.lab}&story={name}")
    start = m.game_start() if story.lab == "game" else m.start(50, kind="plain")
    return page.push(m.hello(story.lab) | {"stories": [row]}, start | {"setting": row["setting"]})


def lines(page):
    return [each for each in page.text(".answer").split("\n") if each]


def turned(count, shrink=1.0):
    """A path that goes round (0, 0) once in 126 steps."""
    return [[shrink**k * math.cos(k / 20), shrink**k * math.sin(k / 20)] for k in range(count + 1)]


@pytest.mark.parametrize("name", LATE)
def test_before_the_steps_that_a_story_names_nothing_is_answered(visit, name):
    """The kind: every story about two players, whose first picture nobody has moved in."""
    story, page = STORIES[name], begun(visit, name)
    assert story.steps > 0
    page.push(m.game_frame(0, losses={"d": "NaN", "g": "NaN"}, gradient_g="NaN"))
    page.click("Show it without a guess")
    (said,) = lines(page)
    assert said.startswith(f"It is now to be measured: press Play. {story.watch}")
    assert said.endswith(f"The answer comes at step {story.steps:,}.")
    assert page.js(HEARD) == ""
    assert story.paper not in page.text(".story .source"), "its title may tell the answer"
    page.push(m.game_frame(story.steps - 1, playing=True, orbit=turned(3)))
    assert page.text(".answer") == said, "a step too early"


@pytest.mark.parametrize(
    ("name", "frame", "said"),
    [
        ("circling", {"orbit": turned(300)}, "Measured at step 300 they circle round it: distance 1, after 1"),
        ("circling", {"orbit": turned(300, 0.98)}, "Measured at step 300 at (0, 0): distance 0.00233, after"),
        ("circling", {"orbit": turned(300, 1.01)}, "Measured at step 300 they fly apart: distance 19.8, after 1"),
        ("circling", {"orbit": [[1, 0.001 * k] for k in range(301)]}, "Measured at step 300 distance 1.04, after 1"),
        ("damped", {"orbit": turned(300, 0.975)}, "Measured at step 300 at (0, 0): distance 5·10⁻⁴, after 1"),
        ("collapse", {"modes": {"found": 6, "of": 8}}, "Measured at step 600 no: 6 of 8 modes"),
        ("collapse", {"modes": {"found": 8, "of": 8}}, "Measured at step 600 yes: 8 of 8 modes"),
        ("cured", {"modes": {"found": 7, "of": 8}}, "In this run, at step 1000 7 of 8 modes Known from several"),
        ("saturating", {"gradient_g": 0.151}, "Measured at step 1 0.151"),
    ],
)  # fmt: skip
def test_the_answer_is_that_of_the_run(visit, name, frame, said):
    story, page = STORIES[name], begun(visit, name)
    page.push(m.game_frame(0))
    page.click("Show it without a guess")
    page.press(" ")
    page.push(m.game_frame(story.steps, playing=True, **frame))
    shown = " ".join(lines(page))
    assert shown.startswith(said)
    assert shown.endswith(story.answer)
    heard = page.js(HEARD)
    assert heard.startswith("The answer has come. "), "by ear, whatever has the focus"
    assert story.answer in heard
    assert "Known" in heard or "Measured at step" in heard
    page.push(m.game_frame(story.steps + 50, modes={"found": 1, "of": 8}, orbit=turned(9), gradient_g=9.0))
    assert " ".join(lines(page)) == shown, "it stays what it was"


def test_an_answer_that_is_there_at_once_is_read_with_the_focus_alone(visit):
    page = begun(visit, "collapse")
    page.push(m.game_frame(700))
    page.click("no")
    assert lines(page)[:3] == ["You said", "no", "Measured at step 700"]
    assert page.js("document.activeElement.className") == "answer"
    assert page.js(HEARD) == "", "not twice"


def test_the_two_digits_scatter_as_their_picture_says(visit):
    """One net is not the mean that the law is of: the answer has this net's own figure."""
    page = begun(visit, "shattered")
    page.push(m.frame(0, 50, kind="plain", gradient=[7.29e-3, *[2e-3] * 48, 1e-3]))
    page.click("Show it without a guess")
    said = "the gradient at block 1 is 7.29 times what it is at block 50"
    assert f"in this one, at step 0, {said}" in page.text(".answer")
    assert said.replace("the gradient at block 1 is", "At block 1 the gradient is") in page.text(".depth .finding")
    assert "{" not in page.text(".answer")


def test_where_the_two_are_is_said(visit):
    page = visit().push(m.hello("game"), m.game_start())
    page.push(m.game_frame(0, orbit=[[1, 0]], gradient_g="NaN"))
    heard = "document.querySelector('#play > [role=status]').textContent"
    page.until(f"{heard} === 'Step 0: θ = 1, ψ = 0, nobody has moved yet.'")
    page.page.wait_for_timeout(800)
    page.push(m.game_frame(2, orbit=[[1, 0], [0.99, 0.05], [0.97, 0.098]]))
    label = page.page.locator(".orbit svg.chart").get_attribute("aria-label")
    assert label.endswith("At step 2 they are at θ = 0.97, ψ = 0.098.")
    assert page.text(".orbit .finding") == "At step 2 they are at θ = 0.97, ψ = 0.098."
    page.until(f"{heard}.startsWith('Step 2: θ = 0.97, ψ = 0.098, ')")
