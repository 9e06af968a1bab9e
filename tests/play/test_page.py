"""The playground's page in a real browser, fed with messages in place of a server: what it shows."""

from __future__ import annotations

import math
import re
import struct

import pytest

from tests.play import page_messages as m
from tests.play.pages import game, net

pytestmark = pytest.mark.browser


def test_it_says_hello_with_its_token_and_draws_what_comes(visit):
    page = net(visit)
    assert page.js("wire.addresses")[0].endswith("/ws?token=secret")
    assert page.sent()[0] == {"type": "hello"}
    assert "step 30" in page.text(".transport .step")
    for panel in ("net", "depth", "loss", "accuracy", "heat", "boundary"):
        assert page.page.locator(f"[data-panel={panel}]").count() == 1, panel
    assert page.page.locator(".block").count() == 8


def test_the_numbers_pass_bit_for_bit(visit):
    gradient = [0.1 + 0.2, 5e-324, math.nan, math.inf, 1.7976931348623157e308, 1 / 3, 0.0, 1e-45]
    words = {math.inf: "Infinity"}
    sent = ["NaN" if g != g else words.get(g, g) for g in gradient]
    page = visit().push(m.hello(), m.start(8), m.frame(0, 8, gradient=sent))
    bits_of = "g => new BigUint64Array(new Float64Array([g]).buffer)[0].toString()"
    held = page.js(f"tinyresPlay.state().seen.frame.gradient.map({bits_of})")
    bits = [struct.unpack("<Q", struct.pack("<d", g))[0] for g in gradient]
    assert [int(h) for i, h in enumerate(held) if i != 2] == [b for i, b in enumerate(bits) if i != 2]
    assert page.js("Number.isNaN(tinyresPlay.state().seen.frame.gradient[2])")
    assert page.page.locator(".gradient .bad-dots").get_attribute("d").count("M") == 3, "NaN, infinity and zero"


def test_the_chart_over_depth_has_each_norm_at_its_place(visit):
    """The heights of the points are the logarithms of the norms, and the law's line begins where it is anchored."""
    frame = m.frame(30, 8, since=-1)
    page = visit().push(m.hello(), m.start(8), frame)
    for which, anchor in (("gradient", -1), ("signal", 0)):
        points = path_of(page, f".depth .{which} .measured")
        logs = [math.log10(value) for value in frame[which]]
        slope = (points[-1][1] - points[0][1]) / (logs[-1] - logs[0])
        for (_, y), log in zip(points, logs, strict=True):
            assert y - points[0][1] == pytest.approx(slope * (log - logs[0]), abs=0.2)
        law = path_of(page, f".depth .{which} .law")
        assert law[anchor] == points[anchor]
        predicted = [math.log10(value) for value in m.start(8)["law"][which]]
        assert law[-1][1] - law[0][1] == pytest.approx(slope * (predicted[-1] - predicted[0]), abs=0.2)


def path_of(page, selector):
    path = page.page.locator(selector).get_attribute("d")
    return [tuple(float(part) for part in pair.split(",")) for pair in re.split("[ML]", path.replace(" ", ","))[1:]]


def test_the_finding_in_a_sentence(visit):
    frame = m.frame(0, 8, kind="plain", gradient=[1e-6, *[1e-3] * 6, 2e-3], law_gap=0.301)
    page = visit().push(m.hello(), m.start(8, kind="plain"), frame)
    law = m.start(8, kind="plain")["law"]["gradient"]
    told = page.text(".depth .finding")
    assert told.startswith("At block 1 the gradient is 1/2000 of what it is at block 8.")
    assert f"The law says 1/{1 / (law[0] / law[-1]):.3g}" in told
    assert "at most a factor of 2 apart. A law is a mean over many nets" in told
    for step in (1, 39):
        page.push(m.frame(step, 8, kind="plain", law_gap=6.89))
        told = page.text(".depth .finding")
        assert "The law, for the weights one starts from, says" in told
        assert told.endswith("apart. Training has changed the weights since."), "scatter is of nets that nobody trained"
        assert page.page.locator(".depth svg.chart").get_attribute("aria-label").endswith(told)
        assert "what the law predicts for the start" in page.text(".depth .legend")
    page.push(frame)
    assert "A law is a mean over many nets" in page.text(".depth .finding"), "back at step 0"
    assert "for the start" not in page.text(".depth .legend")
    page.push(m.start(8, kind="plain", run=2) | {"law": None}, m.frame(0, 8, run=2, kind="plain", law_gap=None))
    assert page.text(".depth .finding").endswith("No closed form is known for this net.")


def test_routes_are_as_wide_as_what_they_carry(visit):
    page = visit().push(m.hello(), m.start(2), m.frame(0, 2, skip=[3.0, None], branch=[1.0, None]))
    widths = page.js("""() => ['.branch-route', '.stream'].map(which =>
        document.querySelector(which).getBBox().height)""")
    arc = page.page.locator(".skip-route").get_attribute("d")
    starts = [float(x) for x in re.findall(r"[M|L]([\d.]+) ", arc)]
    foot = re.search(r"M([\d.]+) .*L([\d.]+) .* ([\d.]+) \d+Z", arc)
    thickness = float(foot[3]) - float(foot[1])
    assert thickness == pytest.approx(3 * widths[0], rel=0.02), starts
    page.push(m.frame(1, 2, skip=[1.0, None], branch=[1.0, None]))
    assert page.js("document.querySelector('.branch-route').getBBox().height") == pytest.approx(2 * widths[0], rel=0.02)


@pytest.mark.parametrize("blocks", [2, 50, 200])
def test_any_depth_fits(visit, blocks):
    page = net(visit, blocks)
    assert page.page.locator(".block").count() == blocks
    right = page.js("Math.max(...[...document.querySelectorAll('.block')].map(b => b.getBoundingClientRect().right))")
    assert right <= page.js("document.querySelector('.net svg.chart').getBoundingClientRect().right")
    assert page.page.locator(".skip-route").get_attribute("d")
    net_, depth = (
        page.js(f"document.querySelector('.{p} svg.chart').getBoundingClientRect().left") for p in ("net", "depth")
    )
    assert net_ == depth, "a block stands over its point"


def test_blocks_are_read_by_pointer_and_by_keys(visit):
    page = net(visit)
    box = page.page.locator(".net svg.chart").bounding_box()
    page.page.mouse.move(box["x"] + 60, box["y"] + 100)
    page.drawn()
    assert page.text(".chooser").startswith("Block 1 of 8: blocks.0, residual, signal ")
    page.page.get_by_role("slider", name="Block").focus()
    page.press("End")
    assert page.text(".chooser").startswith("Block 8 of 8: head")
    page.press("ArrowLeft")
    frame = m.frame(30, 8)
    assert f"{100 * frame['share'][6]:.3g} % of the gradient comes by the skip" in page.text(".chooser")
    assert page.sent() == [{"type": "hello"}], "the arrows moved along the blocks alone"


def test_colours_by_view(visit):
    page = net(visit)
    parts = lambda: page.page.locator(".block").first.locator("rect:not(.outline)").count()
    assert parts() == 2
    for key, view in (("i", "Signal →"), ("g", "← Gradient"), ("d", "Dead units"), ("b", "Both")):
        page.press(key)
        assert page.button(view).get_attribute("aria-pressed") == "true"
        assert parts() == (2 if view in ("Both", "Dead units") else 1)
    page.click("Dead units")
    heights = (
        page.page.locator(".block")
        .nth(6)
        .locator("rect:not(.outline)")
        .evaluate_all("r => r.map(e => +e.getAttribute('height'))")
    )
    assert heights[1] / sum(heights) == pytest.approx(0.12), "the share that is dead"


def test_the_boundary_is_the_right_way_up(visit):
    grid = [[0, 0, 0], [255, 0, 0]]  # row 1 is above, its first cell says class 1
    page = visit().push(m.hello(), m.start(8), m.frame(0, 8, boundary=m.packed(grid, "u1")))
    pixels = page.js("[...document.querySelector('.boundary canvas').getContext('2d').getImageData(0, 0, 3, 2).data]")
    colours = [tuple(pixels[4 * i : 4 * i + 3]) for i in range(6)]
    close = lambda a, b: max(abs(x - y) for x, y in zip(a, b, strict=True)) <= 2  # alpha rounds colours
    assert close(colours[0], (68, 170, 153))
    assert all(close(colour, (136, 34, 85)) for colour in colours[1:])
    page.push(m.frame(1, 8) | {"boundary": None} | {})
    page.push({key: value for key, value in m.frame(2, 8).items() if key != "boundary"})
    assert page.page.locator(".boundary canvas").count() == 0


def test_dear_pictures_stay_until_others_come(visit):
    page = net(visit)
    frame = m.frame(31, 8)
    del frame["boundary"]
    page.push(frame)
    assert page.page.locator(".boundary canvas").count() == 1
    assert page.state("seen.frame.step") == 31
    page.push(m.start(8, run=2), {key: value for key, value in m.frame(0, 8, run=2).items() if key != "boundary"})
    assert page.page.locator(".boundary canvas").count() == 0, "but not those of another run"


def test_going_back_shows_exactly_what_was_there(visit):
    page = net(visit, step=0)
    shown = lambda: (
        page.js("""() => [...document.querySelectorAll('.transport .step, main')].map(e => e.outerHTML).join('')
        + [...document.querySelectorAll('canvas')].map(c => c.toDataURL()).join('')""")
    )
    there = [shown()]
    for step in range(1, 5):
        page.push(m.frame(step, 8))
        there.append(shown())
    assert len(set(there)) == 5
    without = lambda step: m.frame(step, 8) | {"history": None}
    for step in (3, 1, 0, 4):
        page.push(without(step))
        assert shown() == there[step], step
    page.push(without(1), m.frame(2, 8, loss=9.0) | {"history": m.frame(2, 8)["history"] | {"loss": [9.0]}})
    assert page.js("tinyresPlay.state().seen.history.step") == [0, 1, 2], "what came after is another future"
    assert page.js("tinyresPlay.state().seen.history.columns.loss.at(-1)") == 9.0


def test_two_players(visit):
    page = game(visit)
    page.push(m.game_frame(2, fake=[[0.1, 0.2], [1.7, -1.7], [1.9, 0.0]], pull=[[0, 0]] * 3))
    for panel in ("plane", "losses", "probe", "orbit", "gradients"):
        assert page.page.locator(f"[data-panel={panel}]").count() == 1, panel
    assert page.text(".modes").startswith("5 of 8 modes found")
    assert page.page.locator(".levels path").count() == 9
    assert page.page.locator("svg .fake").get_attribute("d").count("M") == 2
    assert "1 of them outside" in page.text(".plane .legend")
    assert len(path_of(page, ".orbit-path")) == 3
    assert page.js("tinyresPlay.state().seen.history.columns.d").__len__() == 3


def test_arrows_point_where_the_loss_pulls(visit):
    frame = m.game_frame(0, fake=[[0.0, 0.0], [1.0, 1.0]], pull=[[0.0, 2.0], [-1.0, 0.0]])
    page = visit().push(m.hello("game"), m.game_start(), frame)
    first, second = re.findall(r"M[-\d.]+ [-\d.]+l([-\d.]+) ([-\d.]+)", page.page.locator(".pull").get_attribute("d"))
    assert (float(first[0]), float(first[1])) == (0.0, -34.0), "upwards on the screen, the longest"
    assert (float(second[0]), float(second[1])) == (-17.0, 0.0)


def test_images_and_one_dimension(visit):
    images = m.packed([[[0, 255]], [[255, 0]]], "u1")
    page = visit().push(m.hello("game"), m.game_start(), m.game_frame(0, images=images, level=None, modes=None))
    pixels = page.js("[...document.querySelector('.images canvas').getContext('2d').getImageData(0, 0, 5, 1).data]")
    assert [pixels[4 * i] for i in (0, 1, 3, 4)] == [255, 0, 0, 255]
    level = m.packed([[0.1, 0.5, 0.9]] * 2, "f4")
    page.push(m.game_frame(1, level=level, box=[-4.0, 8.0, -1.0, 1.0]))
    plane, levels = (page.page.locator(where).first.bounding_box() for where in (".plane svg.chart", ".levels"))
    assert levels["x"] >= plane["x"] - 1
    assert levels["y"] >= plane["y"] - 1
    assert levels["height"] <= plane["height"] < 300


def test_before_the_first_step_of_a_game_nothing_is_called_nan(visit):
    """Later, a loss that is not finite is told."""
    nothing = {"losses": {"d": "NaN", "g": "NaN"}, "gradient_g": "NaN", "gradient_d": "NaN"}
    page = visit().push(m.hello("game"), m.game_start(), m.game_frame(0, **nothing))
    assert "NaN" not in page.text("main")
    assert "Nobody has taken a step yet" in page.text("main")
    page.push(m.game_frame(1, **nothing))
    assert "NaN" in page.text("[data-panel=losses]")
