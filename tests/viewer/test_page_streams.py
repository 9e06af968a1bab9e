"""The page draws a residual stream as a straight line, with what hangs on it on the right."""

import numpy as np
import pytest

from tests.viewer.cases import tensor
from tinyres import models, nn, viewer
from tinyres.nn.transformer import NORMS
from tinyres.ops import cross_entropy

pytestmark = pytest.mark.browser
PIXEL = 1.0
BOXES = """() => [...document.querySelectorAll('.node')].map(node => {
    const { left, right, top, bottom } = node.querySelector('.box').getBoundingClientRect();
    return { key: node.getAttribute('data-key'), left, right, top, bottom };
})"""
LABELS = """() => [...document.querySelectorAll('.frame-label')].map(label => {
    const { left, right, top, bottom } = label.getBoundingClientRect();
    return { key: label.getAttribute('data-key'), left, right, top, bottom };
})"""


def gpt(norm="pre", layers=2, **options):
    model = models.gpt(layers, 16, 2, symbols=11, context=8, norm=norm, rng=0, **options)
    rng = np.random.default_rng(0)
    index, following = rng.integers(0, 11, (2, 8)), rng.integers(0, 11, 16)
    return viewer.trace(lambda: cross_entropy(model(index).reshape(16, 11), following))


def net(name, *arguments, **options):
    model = getattr(models, name)(*arguments, in_channels=1, classes=3, rng=0, **options)
    x = tensor(2, 1, 8, 8).astype("float32")
    return viewer.trace(lambda: (model(x) ** 2).sum())


TRACES = {
    **{norm: lambda norm=norm: gpt(norm) for norm in NORMS},
    "streams": lambda: gpt(streams=3),
    "dynamic streams": lambda: gpt(streams=3, dynamic=True),
    "rotary": lambda: gpt(positions="rotary"),
    "vit": lambda: net("vit", 2, 8, size=8),
    "resnet": lambda: net("resnet", 14, width=4),
    "projections": lambda: net("resnet", 8, width=4, shortcut="conv"),
    "preact": lambda: net("preact", 8, width=4),
    "senet": lambda: net("senet", 8, width=4),
    "highway": lambda: net("highway_mlp", 5, 4, size=8),
}


def stream(trace):
    """The operations on the line, found from its end: skip connections, and what the block before has given."""
    (last,) = [i for i, op in enumerate(trace.ops) if op.roles and "skip" in op.roles][-1:]
    line = [last]
    while True:
        op = trace.ops[line[-1]]
        if op.roles and "skip" in op.roles:
            source = op.inputs[op.roles.index("skip")]
        else:
            inner = [i for i in op.inputs if i is not None and trace.ops[i].kind not in ("leaf", "constant")]
            same = [i for i in inner if trace.ops[i].shape == op.shape]
            source = (same or inner or [None])[0]
        if source is None:
            return line
        line.append(source)


def open_all(page):
    while page.page.get_by_role("button", name="Open all").count():
        page.page.get_by_role("button", name="Open all").click()


def middles(page):
    return {box["key"]: (box["left"] + box["right"]) / 2 for box in page.js(BOXES)}


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", TRACES)
def test_the_nodes_of_the_stream_stand_below_each_other(name, width, visit):
    trace = TRACES[name]()
    page = visit(trace, size=(width, 800))
    open_all(page)
    x = middles(page)
    line = [x[f"o{op}"] for op in stream(trace)]
    assert len(line) > 4
    assert max(line) - min(line) < PIXEL
    sums = sum(bool(op.roles and "skip" in op.roles and "branch" in op.roles) for op in trace.ops)
    assert sum(f"o{op}" in x and bool(trace.ops[op].roles) for op in stream(trace)) >= sums


@pytest.mark.parametrize("name", TRACES)
def test_what_hangs_on_the_stream_is_on_its_right_and_nothing_covers_anything(name, visit):
    trace = TRACES[name]()
    page = visit(trace)
    open_all(page)
    boxes, x = page.js(BOXES), middles(page)
    line = {f"o{op}" for op in stream(trace)}
    first, last = min(stream(trace)), max(stream(trace))
    inside = {f"o{op}" for op in range(first, last) if trace.ops[op].kind not in ("leaf", "constant")}
    middle = x[f"o{last}"]
    assert all(x[key] > middle + PIXEL for key in inside - line)
    for shown in (boxes, page.js(LABELS)):
        for i, a in enumerate(shown):
            for b in shown[:i]:
                apart = a["left"] >= b["right"] or b["left"] >= a["right"] or a["top"] >= b["bottom"]
                assert apart or b["top"] >= a["bottom"], (a, b)


def test_closed_blocks_stand_on_the_line_too(visit):
    page = visit(gpt(layers=3))
    open_all(page)
    page.page.get_by_role("button", name="Close all").click()
    page.page.locator("[data-key^='blocks@']").click()
    x = middles(page)
    blocks = [x[key] for key in x if key.startswith("blocks.")]
    assert len(blocks) == 3
    assert max(blocks) - min(blocks) < PIXEL
    page.page.locator("[data-key^='blocks.1@']").click()
    x = middles(page)
    line = [x[key] for key in x if key.startswith(("blocks.0@", "blocks.1.attention@", "blocks.1.mlp@", "blocks.2@"))]
    assert len(line) == 4
    assert max(line) - min(line) < PIXEL


def test_a_deep_net_that_is_laid_out_in_pieces_has_one_line(visit):
    trace = gpt(layers=12)
    page = visit(trace)
    open_all(page)
    x = middles(page)
    assert len(x) > 300, "more than one piece"
    line = [x[f"o{op}"] for op in stream(trace)]
    assert max(line) - min(line) < PIXEL


def test_a_block_within_a_block_has_a_line_in_its_branch(visit):
    inner = lambda k: nn.Residual(nn.Sequential(nn.Linear(3, 3, rng=k), nn.Tanh(), nn.Linear(3, 3, rng=k + 1)))
    model = nn.Sequential(nn.Residual(nn.Sequential(inner(0), nn.Tanh(), inner(2))), inner(4))
    x = tensor(2, 3).astype("float32")
    trace = viewer.trace(lambda: (model(x) ** 2).sum())
    page = visit(trace)
    open_all(page)
    place = middles(page)
    inside, outside = np.split(np.array([place[f"o{i}"] for i, op in enumerate(trace.ops) if op.roles]), 2)
    assert np.ptp(inside) < PIXEL
    assert np.ptp(outside) < PIXEL
    assert inside[0] > outside[0] + 20


@pytest.mark.parametrize("streams", [1, 3])
def test_several_streams_are_several_lines(streams, visit):
    page = visit(gpt(streams=streams))
    open_all(page)
    skips = page.page.locator(".scroll svg .edge.skip").evaluate_all("all => all.map(e => e.getAttribute('d'))")
    assert len(skips) >= 4
    assert {path.count("M") for path in skips} == {streams}
    starts = [float(part.split()[0]) for part in skips[0].split("M")[1:]]
    assert len({round(start, 1) for start in starts}) == streams
