"""The page in a real browser: it shows what the engine computed, both ways, and to everybody."""

import json
import re

import numpy as np
import pytest

import tinyres as tr
from tests.viewer import cases
from tinyres import models, nn, viewer
from tinyres.viewer.page import TEMPLATE

pytestmark = pytest.mark.browser

FUSED = [cases.batch_norm, cases.penalty_with_norm]  # the tracer takes them apart, which rounds differently


def leaves_by_op(trace, lane=0):
    return {trace.ops[op].name: op for at, op in trace.grads if at == lane}


def hold_gradients(visit, trace, leaves, lane=0, rtol=0.0):
    """What the page holds as accumulated gradients at its step is what `.grad` holds."""
    ops = leaves_by_op(trace, lane)
    for name, leaf in leaves.items():
        shown = visit.js("op => tinyres.gradient(op)", ops[name])
        np.testing.assert_allclose(shown, leaf.grad.numpy().ravel(), rtol=rtol, atol=0 if rtol == 0 else 1e-12)


@pytest.mark.parametrize("case", [case for case in cases.ONE_LOSS if case is not cases.empty])
def test_at_the_end_it_shows_the_gradient(visit, case):
    loss, leaves = case()
    trace = viewer.trace(loss)
    loss().backward()
    page = visit(trace)
    assert all(page.js("op => tinyres.gradient(op)", op) is None for op in leaves_by_op(trace).values())
    page.press("End")
    assert page.step() == len(trace) - 1
    hold_gradients(page, trace, leaves, rtol=1e-9 if case in FUSED else 0.0)


def test_every_accumulation_is_written_out(visit):
    """The numbers in the cells, not those that the page keeps: before += contribution = after."""
    loss, leaves = cases.residual()
    trace = viewer.trace(loss)
    loss().backward()
    page = visit(trace)
    titles = "[...document.querySelectorAll(`.part.${part} .cell title`)]"
    cells = f"part => {titles}.map(title => +title.textContent.split('= ')[1])"
    last, twice = {}, 0
    for step, event in enumerate(trace.events):
        if event[0] != "a":
            continue
        page.go(step)
        name = trace.ops[event[4]].name
        after, added, before = (np.array(page.js(cells, part)) for part in ("after", "contribution", "before"))
        if event[6] is None:
            assert before.size == 0
            assert page.text(".part.before") == "before\nnothing yet"
            np.testing.assert_array_equal(after, added)
        elif after.size:
            twice += 1
            np.testing.assert_allclose(before + added, after, rtol=1e-14, atol=1e-300)
        if name:
            last[name] = after
    assert twice > 2
    for name, leaf in leaves.items():
        np.testing.assert_array_equal(last[name], leaf.grad.numpy().ravel(), err_msg=name)


def test_two_players_have_a_lane_each(visit):
    d_loss, g_loss, D, G = cases.players()
    trace = viewer.trace(D=d_loss, G=g_loss)
    page = visit(trace)
    for lane, (name, loss, model) in enumerate([("D", d_loss, D), ("G", g_loss, G)]):
        for player in (D, G):
            player.zero_grad()
        loss().backward()
        page.page.get_by_role("group", name="Loss").get_by_role("button", name=name).click()
        assert page.text(".tag") == "seed"
        end = max(i for i, event in enumerate(trace.events) if event[0] != "f" and event[1] == lane)
        page.go(end)
        leaves = {f"{name}.{key}": p for key, p in model.named_parameters()}
        hold_gradients(page, trace, leaves, lane)


def test_a_sentence_tells_each_step(visit):
    x = tr.tensor(3.0, requires_grad=True)
    trace = viewer.trace(lambda: x * 0.5 + x * 0.25)
    page = visit(trace)
    told = []
    for _ in trace.events:
        told.append(page.text("[role=status]"))
        page.press("ArrowRight")
    assert re.fullmatch(r"forward: mul #\d+ computes a number: 1\.5", told[0])
    assert told[3].startswith("seed: the backward pass of loss begins at add #")
    assert re.fullmatch(r"accumulate: contribution of mul #\d+ argument 0 into x: 0.25 \+ 0.5 = 0.75", told[-1])
    assert page.page.locator("[role=status]").get_attribute("aria-live") == "polite"


def test_going_back_restores_the_page(visit):
    loss, _ = cases.residual()
    trace = viewer.trace(loss)
    page = visit(trace)
    there = [page.shown()]
    for _ in range(len(trace) - 1):
        page.press("ArrowRight")
        there.append(page.shown())
    assert len(set(there)) == len(there), "each step shows something of its own"
    for step in reversed(range(len(trace) - 1)):
        page.press("ArrowLeft")
        assert page.shown() == there[step], step
    middle = len(trace) // 2
    assert visit(trace, f"#step={middle}").shown() == there[middle], "an address shows what stepping shows"


def test_one_element_is_written_out(visit):
    a, b = (tr.tensor(values, requires_grad=True) for values in ([2.0, 3.0], [-4.0, 5.0]))
    trace = viewer.trace(lambda: (a * b * tr.tensor([0.5, 0.25])).sum())
    page = visit(trace)
    shown = lambda: page.text(".written").replace("\n", " ").replace("−", "-").split("› ")[1]
    step = next(i for i, e in enumerate(trace.events) if e[0] == "r" and trace.ops[e[4]].name == "a")
    page.go(step)
    assert shown() == "0.5 · (-4) = -2", "the largest"
    page.page.get_by_role("button", name="Next element").click()
    assert shown() == "0.25 · 5 = 1.25"
    page.press("ArrowRight", "ArrowLeft")
    assert shown() == "0.5 · (-4) = -2", "a step shows the same however one came to it"
    page.page.locator(".part.contribution .cell").nth(1).click()
    assert shown() == "0.25 · 5 = 1.25"


@pytest.mark.parametrize("side", ["x", "w"])
def test_one_element_of_a_matrix_product(visit, side):
    x, w = cases.tensor(3, 2, requires_grad=True), cases.tensor(2, 4, seed=1, requires_grad=True)
    trace = viewer.trace(lambda: (x @ w * cases.tensor(3, 4, seed=2)).sum())
    page = visit(trace)
    page.go(next(i for i, e in enumerate(trace.events) if e[0] == "r" and trace.ops[e[4]].name == side))
    terms, result = page.text(".product").replace("−", "-").split(" = ")
    assert terms.count(" + ") == {"x": 3, "w": 2}[side]
    value = sum(float(p) * float(q) for p, q in (term.split(" · ") for term in re.sub("[()]", "", terms).split(" + ")))
    assert value == pytest.approx(float(result), rel=5e-3)


def test_where_the_routes_rejoin(visit):
    loss, _ = cases.residual()
    trace = viewer.trace(loss)
    page = visit(trace)
    assert trace.joins
    for join in trace.joins:
        page.go(max(route["event"] for route in join["routes"]))
        bar = page.page.locator(".rejoin .bar").get_attribute("aria-label")
        told = dict(re.findall(r"(\w+): norm ([\d.e−]+)", bar))
        for route in join["routes"]:
            assert float(told[route["role"]].replace("−", "-")) == pytest.approx(route["norm"], rel=1e-3)
    assert page.page.locator(".edge.skip").count() >= 1
    dashes = "kind => getComputedStyle(document.querySelector(`.edge.${kind}`)).strokeDasharray"
    assert len({page.js(dashes, kind) for kind in ("skip", "branch")} | {"none"}) == 3, "told apart without colour"


def test_a_frame_says_which_block_it_is(visit):
    """Where no frame fits round a block, that of its body has the whole name."""
    model = models.resnet(8, width=4, in_channels=1, rng=0)
    x = cases.tensor(2, 1, 8, 8).astype("float32")
    page = visit(viewer.trace(lambda: (model(x) ** 2).sum()))
    labels = page.page.locator(".frame-label").evaluate_all("labels => labels.map(l => l.firstChild.textContent)")
    paths = page.page.locator(".frame-label title").evaluate_all("titles => titles.map(t => t.textContent)")
    assert "− blocks.0.body.branch.0" in labels
    assert len(set(paths)) == len(paths) > 3
    drawn = {path.removeprefix("Close ") for path in paths}
    for label, path in zip(labels, paths, strict=True):
        around = path.removeprefix("Close ").removesuffix(label.removeprefix("− "))
        assert around == "" or around.removesuffix(".") in drawn


def test_routes_that_bring_nothing_have_no_shares(visit):
    block = nn.Residual(nn.Linear(2, 2, rng=0)).to("float64")
    x = cases.tensor(3, 2, requires_grad=True)
    trace = viewer.trace(lambda: (block(x) * 0.0).sum())
    page = visit(trace)
    page.go(max(route["event"] for route in trace.joins[0]["routes"]))
    assert "skip ‖0‖" in page.text(".rejoin")
    assert "%" not in page.text(".rejoin")


def test_the_keyboard_alone_goes_everywhere(visit):
    page = visit(viewer.trace(cases.residual()[0]))
    state = lambda: page.js("tinyres.state()")
    page.press("ArrowRight", "ArrowRight", "ArrowLeft")
    assert page.step() == 1
    page.press("b")
    assert page.text(".tag") == "accumulate", "the same operation, in the other pass"
    page.press("f")
    assert page.step() == 1
    page.press("Shift+ArrowRight")
    assert page.step() > 1
    page.press("Shift+ArrowLeft", "End")
    many = state()["nodes"]
    page.press("Shift+E")
    if state()["nodes"] >= many:
        page.press("Shift+E")
    closed = state()["nodes"]
    assert closed < many
    page.press("e")
    assert state()["nodes"] > closed
    page.press("Home", " ")
    assert state()["playing"]
    page.until("tinyres.step() > 0")
    page.press(" ")
    assert not state()["playing"]
    page.press("t")
    assert page.page.locator("tr[aria-current]").count() == 1
    page.press("t", "/")
    page.page.keyboard.type("tanh")
    page.press("Enter")
    assert "tanh" in page.text("[role=status]")
    page.press("?")
    assert page.page.get_by_role("dialog").is_visible()
    page.press("Escape")
    assert page.page.get_by_role("dialog").count() == 0


def test_the_tab_key_reaches_the_graph_and_opens_a_module(visit):
    page = visit(viewer.trace(cases.residual()[0]))
    page.press("Shift+E", "Shift+E")
    if page.page.locator("[data-key][aria-expanded]").count() == 0:
        page.press("Shift+E")
    nodes = page.js("tinyres.state().nodes")
    for _ in range(40):
        page.press("Tab")
        if page.js("document.activeElement.hasAttribute('data-key')"):
            break
    focused = "document.activeElement.getAttribute('data-key')"
    first = page.js(focused)
    page.press("ArrowDown")
    assert page.js(focused) != first
    page.press("ArrowUp")
    assert page.js(focused) == first
    for _ in range(nodes):
        if page.js("document.activeElement.hasAttribute('aria-expanded')"):
            break
        page.press("ArrowDown")
    page.press("Enter")
    assert page.js("tinyres.state().nodes") > nodes
    assert page.js("document.activeElement.hasAttribute('data-key')"), "the focus stays in the graph"


def test_the_address_keeps_the_step(visit):
    trace = viewer.trace(cases.residual()[0])
    page = visit(trace, "#step=7")
    assert page.step() == 7
    page.press("ArrowRight")
    assert "#step=8&lane=0&pass=f" in page.page.url
    page.js("location.hash = 'step=3'")
    page.until("tinyres.step() === 3")
    assert visit(trace, "#step=999999").step() == len(trace) - 1
    assert visit(trace, "#step=nonsense").step() == 0
    assert visit(trace, "#pass=b").text(".tag") == "seed"


def test_names_are_text(visit):
    bad = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    w = tr.tensor([1.0, 2.0], requires_grad=True)

    class Hostile(nn.Module):
        def forward(self, x):
            return x * w  # </script><script>alert(3)</script>

    class Net(nn.Module):
        def __init__(self):
            setattr(self, bad, Hostile())

        def forward(self, x):
            return getattr(self, bad)(x)

    model = Net()
    trace = viewer.trace(**{bad: lambda: model(tr.tensor([3.0, 4.0])).sum()})
    page = visit(trace)
    for key in ("End", "t", "t", "?", "Escape", "/"):
        page.press(key)
    page.page.keyboard.type("img")
    inside = "['script', 'img', 'iframe'].map(tag => document.querySelectorAll(`#page ${tag}`).length)"
    assert page.js(inside) == [0, 0, 0]
    assert bad in page.page.locator("#page").inner_html().replace("&lt;", "<").replace("&gt;", ">")


def test_what_is_not_finite_says_so(visit):
    x = tr.tensor([1.0, 0.0, -1.0], requires_grad=True)
    with np.errstate(all="ignore"):
        trace = viewer.trace(lambda: (tr.log(x) * 1.0).sum() + tr.sqrt(x * tr.tensor(np.ones((40, 3)))).sum())
    page = visit(trace)
    words = set()
    for step in range(len(trace)):
        page.go(step)
        words |= set(re.findall(r"NaN|−?∞|\d+ not finite", page.text(".step")))
    assert {"NaN", "−∞", "∞"} <= words
    assert any(word.endswith("not finite") for word in words)


def test_a_contribution_that_is_summed_says_so(visit):
    a, b = tr.tensor(np.ones((3, 2)), requires_grad=True), tr.tensor(np.ones(2), requires_grad=True)
    trace = viewer.trace(lambda: (a + b).sum())
    page = visit(trace)
    told = {}
    for step, event in enumerate(trace.events):
        if event[0] == "r":
            page.go(step)
            told[trace.ops[event[2]].kind, event[3]] = "summed over the axes" in page.text(".derivation")
    assert told == {("sum", 0): False, ("add", 0): False, ("add", 1): True}


def test_what_the_tape_did_not_keep_is_explained(visit):
    x = cases.tensor(3, requires_grad=True)
    page = visit(viewer.trace(((x + 1.0) * 2.0).sum()))
    assert "Trace a function" in page.text("[aria-label=Value]")
    page = visit(viewer.trace(lambda: ((x + 1.0) * 2.0).sum()))
    assert "Trace a function" not in page.text("[aria-label=Value]")


@pytest.mark.parametrize("size", [(1280, 800), (800, 600)])
def test_numbers_stay_in_their_cells(visit, size):
    x = tr.tensor(np.array([[-0.00926, -0.0004372, 12345.6], [-1.5e-20, -0.01234, -98765.4]]), requires_grad=True)
    page = visit(viewer.trace(lambda: (x * 1.0).sum()), size=size)
    out = page.js(
        "[...document.querySelectorAll('.cell')].filter(c => c.querySelector('text').getBoundingClientRect().width"
        " > c.querySelector('rect').getBoundingClientRect().width).map(c => c.textContent)"
    )
    assert out == []
    assert page.page.locator(".cell text").count() >= 12


def test_a_pane_that_changes_its_size_keeps_the_event_in_view(visit):
    trace = viewer.trace(cases.residual()[0])
    page = visit(trace)
    page.go(next(i for i, event in enumerate(trace.events) if event[0] == "s"))  # at the bottom
    for size in ((1280, 420), (700, 900), (1280, 800)):
        page.page.set_viewport_size({"width": size[0], "height": size[1]})
        page.until(
            "(() => { const [n, p] = ['.node.current', '.graph-pane .scroll'].map(s => document.querySelector(s)"
            ".getBoundingClientRect()); return n.top >= p.top && n.bottom <= p.bottom && n.left >= p.left"
            " && n.right <= p.right })()"
        )


def test_an_empty_array_is_no_error(visit):
    page = visit(viewer.trace(cases.empty()[0]))
    page.press("End", "Home")
    assert "0×3" in page.shown()


RUN = {
    "lanes": [
        {
            "name": name,
            "layers": [f"blocks.{i}" for i in range(5)],
            "steps": [0, 10, 20, 30],
            "log10": [[-i - scale, -i - 0.5, "NaN", None] for i in range(5)],
            "skip_share": [[0.75 if i == 1 else None] * 4 for i in range(5)],
            "loss": [2.0, 1.5, 1.0, 0.5],
        }
        for name, scale in (("D", 0.1), ("G", 0.3))
    ]
}


def document(tmp_path, run, trace=None):
    """A page with a training in it."""
    data = {"format": "tinyres-trace", "version": 1, "title": "t", "tinyres": "0", "trace": trace, "run": run}
    element = f'<script type="application/json" id="tinyres-data">{json.dumps(data)}</script>'
    path = tmp_path / "run.html"
    path.write_text(TEMPLATE.read_text(encoding="utf-8").replace("<!--tinyres-data-->", element), encoding="utf-8")
    return path


def test_a_training_has_a_heat_map(visit, tmp_path):
    page = visit(document(tmp_path, RUN))
    assert page.page.locator(".lane").count() == 2
    assert page.page.locator(".trace").count() == 0
    slider = page.page.get_by_role("slider", name="Step of the training")
    slider.focus()
    page.press("Home")
    assert "Step 0" in page.text(".scrub")
    assert page.page.locator(".column .value").all_inner_texts()[:2] == ["−0.1", "−1.1"]
    assert page.page.locator(".lane").first.locator(".share").all_inner_texts() == ["", "skip 75 %", "", "", ""]
    page.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "step 10"
    assert "loss 1.5" in page.text(".lane >> nth=0")
    page.press("ArrowRight")
    assert set(page.page.locator(".column .value").all_inner_texts()) == {"NaN"}
    pixels = page.js("[...document.querySelector('canvas').getContext('2d').getImageData(0, 0, 4, 1).data]")
    finite, unknown, nothing = (pixels[4 * column : 4 * column + 3] for column in (0, 2, 3))
    assert nothing == [0, 0, 0]
    assert unknown not in (finite, nothing)


def test_an_empty_or_foreign_document_says_so(browser, tmp_path):
    path = document(tmp_path, None)
    page = browser.new_page()
    page.goto(path.as_uri())
    assert "neither a step nor a training" in page.inner_text("main")
    path.write_text(path.read_text(encoding="utf-8").replace('"version": 1', '"version": 9'), encoding="utf-8")
    page.reload()
    assert "holds version 9" in page.inner_text("main")
    page.goto(TEMPLATE.as_uri())
    assert "holds no recording" in page.inner_text("main")
    page.close()
