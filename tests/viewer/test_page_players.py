"""A GAN's step in the page: its first view fits an ordinary screen, and what is out of view is counted."""

import re

import numpy as np
import pytest

import tinyres as tr
from tests.viewer.test_page import frames
from tests.viewer.test_page_streams import BOXES, open_all
from tinyres import nn, viewer
from tinyres.models import dcgan

pytestmark = pytest.mark.browser
LEGIBLE = 0.7
SCROLLED = """() => {
    const pane = document.querySelector('.scroll'), svg = pane.querySelector('svg');
    const { left, right, top, bottom } = pane.getBoundingClientRect();
    const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    return { left, right, top, bottom, scale, wide: pane.scrollWidth - pane.clientWidth };
}"""


@pytest.fixture(scope="module")
def step():
    """D's loss and G's: D has three uses, G two, one of them without a graph."""
    G, D = dcgan.generator(8, 4, 1, size=32, rng=0), dcgan.discriminator(4, 1, size=32, rng=1)
    rng = np.random.default_rng(0)
    z, real = (tr.tensor(rng.standard_normal(shape).astype("float32")) for shape in ((4, 8), (4, 1, 32, 32)))
    return viewer.trace(
        D=lambda: tr.softplus(-D(real)).mean() + tr.softplus(D(G(z).detach())).mean(),
        G=lambda: tr.softplus(-D(G(z))).mean(),
    )


def test_the_first_view_of_a_dcgan_fits_at_a_scale_that_can_be_read(step, visit):
    page = visit(step)
    seen = page.js(SCROLLED)
    assert seen["scale"] >= LEGIBLE
    assert seen["wide"] <= 1
    assert page.page.locator(".minimap").count() == 0


def test_weights_that_closed_uses_share_stand_together(step, visit):
    page = visit(step)
    shared = page.page.locator(".node.leaf", has_text="weights")
    weights = [op for op in step.ops if op.kind == "leaf" and op.path.startswith("D.")]
    assert shared.count() == 1
    assert shared.locator(".name").text_content() == f"D: {len(weights)} weights"
    assert shared.get_attribute("aria-label").startswith(f"leaf {len(weights)} weights of D")
    page.page.locator("[data-key^='D@']").first.click()
    names = page.page.locator(".node.leaf .name").all_text_contents()
    assert sum(name.startswith("D.") for name in names) == len(weights), "one use is open: each weight is shown"


def test_a_weight_of_one_use_keeps_its_place(visit):
    net = nn.Linear(3, 3, rng=0)
    x = tr.tensor(np.ones((2, 3), "float32"))
    page = visit(viewer.trace(lambda: net(x).sum()))
    assert page.page.locator(".node", has_text="weights").count() == 0


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)])
def test_what_is_out_of_view_is_counted(size, step, visit):
    page = visit(step, size=size)
    open_all(page)
    text = page.page.locator(".minimap text").text_content()
    told = {side: int(n) for side, n in re.findall(r"([←→↑↓]) (\d+)", text)}
    pane, sides = page.js(SCROLLED), {}
    for box in page.js(BOXES):
        if box["right"] < pane["left"] - 1:
            side = "←"
        elif box["left"] > pane["right"] + 1:
            side = "→"
        elif box["bottom"] < pane["top"] - 1:
            side = "↑"
        elif box["top"] > pane["bottom"] + 1:
            side = "↓"
        else:
            continue
        sides[side] = sides.get(side, 0) + 1
    assert sides
    assert told == sides
    page.press("0")
    assert page.js("tinyres.state().zoom") == 0.5, "what is out of view then is still on the small map"
    assert page.page.locator(".minimap").count() == 1


def test_each_use_of_a_player_has_a_frame_of_its_own(visit):
    G, D = (nn.Sequential(nn.Linear(2, 3, rng=k), nn.ReLU(), nn.Linear(3, n, rng=9)) for k, n in ((0, 2), (1, 1)))
    z, real = tr.tensor(np.ones((4, 2), "f4")), tr.tensor(np.zeros((4, 2), "f4"))
    page = visit(viewer.trace(D=lambda: (D(G(z)) - D(real)).mean(), G=lambda: -D(G(z)).mean()))
    while page.page.get_by_role("button", name="Open all").count():
        page.page.get_by_role("button", name="Open all").click()
    uses = [path for path, _ in frames(page)]
    assert (uses.count("D"), uses.count("G")) == (3, 2)
