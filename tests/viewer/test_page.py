"""The page in a real browser: it shows what the engine computed, both ways, and to everybody."""

import re

import numpy as np
import pytest

import tinyres as tr
from tests.viewer import cases
from tinyres import models, nn, viewer

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
    assert re.fullmatch(
        r"accumulate: x receives a further contribution, from mul #\d+ \(a\): 0.25 \+ 0.5 = 0.75", told[-1]
    )
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


def frames(page):
    """The paths of the calls that have a frame, in the order of the forward pass, and how they are labelled."""
    texts = page.page.locator(".frame-label").evaluate_all(
        "all => all.map(e => [e.lastChild.textContent, e.childNodes[1].textContent])"
    )
    return [(path.removeprefix("Close "), label) for path, label in texts]


def test_a_frame_says_which_block_it_is(visit):
    """Within another frame, a frame needs no more of its name than what is new."""
    model = models.resnet(8, width=4, in_channels=1, rng=0)
    x = cases.tensor(2, 1, 8, 8).astype("float32")
    page = visit(viewer.trace(lambda: (model(x) ** 2).sum()))
    drawn = dict(frames(page))
    assert len(drawn) > 3
    for path, label in drawn.items():
        around = path.removesuffix(label.split(" ")[0])
        assert around == "" or around.removesuffix(".") in drawn


RESIDUAL = {
    "resnet": lambda: models.resnet(8, width=4, in_channels=1, classes=3, rng=0),
    "preact": lambda: models.preact(8, width=4, in_channels=1, classes=3, rng=0),
    "senet": lambda: models.senet(8, width=4, in_channels=1, classes=3, rng=0),
    "highway_mlp": lambda: models.highway_mlp(5, 4, in_channels=1, classes=3, size=8, rng=0),
    "residual mlp": lambda: models.mlp(6, 4, in_channels=1, classes=3, size=8, residual=True, rng=0),
}


@pytest.mark.parametrize("name", RESIDUAL)
def test_every_open_residual_block_has_a_frame_and_nothing_else_lies_in_it(name, visit):
    model = RESIDUAL[name]()
    x = cases.tensor(2, 1, 8, 8, requires_grad=True).astype("float32")
    page = visit(viewer.trace(lambda: (model(x) ** 2).sum()))
    blocks = {path for path, module in model.named_modules() if type(module).__name__ in ("Residual", "Highway")}
    if page.page.get_by_role("button", name="Open all").count():
        page.page.get_by_role("button", name="Open all").click()
    drawn = dict(frames(page))
    assert blocks
    assert blocks <= set(drawn)
    outside = page.page.evaluate("""() => [...document.querySelectorAll("rect.frame")].map(frame => {
        const a = frame.getBoundingClientRect();
        const boxes = [...document.querySelectorAll(".node .box")].map(e => e.getBoundingClientRect());
        return boxes.filter(b => b.left < a.right && b.right > a.left && b.top < a.bottom && b.bottom > a.top
            && !(b.left >= a.left && b.right <= a.right && b.top >= a.top && b.bottom <= a.bottom)).length;
    })""")
    assert set(outside) == {0}, "no node lies across the line of a frame"


def test_routes_that_bring_nothing_have_no_shares(visit):
    block = nn.Residual(nn.Linear(2, 2, rng=0)).to("float64")
    x = cases.tensor(3, 2, requires_grad=True)
    trace = viewer.trace(lambda: (block(x) * 0.0).sum())
    page = visit(trace)
    page.go(max(route["event"] for route in trace.joins[0]["routes"]))
    assert "skip norm 0" in page.text(".rejoin")
    assert "%" not in page.text(".rejoin")


def test_a_route_without_gradient_is_dim_and_says_why(visit):
    net = nn.Sequential(nn.Residual(nn.Linear(3, 3, rng=0)), nn.Residual(nn.Linear(3, 3, rng=1)))
    x = cases.tensor(2, 3).astype("float32")
    trace = viewer.trace(lambda: net(x).sum())
    page = visit(trace)
    (silent,) = trace.silent
    step = next(i for i, e in enumerate(trace.events) if e[0] == "r" and e[2] == silent["op"])
    page.go(step)
    assert page.text(".step .silent") == silent["text"]
    assert page.page.locator(".scroll svg .edge.skip.silent").count() == 1
    assert page.page.locator(".scroll svg .edge.skip:not(.silent)").count() == 1
    page.go(step - 2)
    assert page.page.locator(".step .silent").count() == 0


def test_it_says_where_to_look_first_and_goes_there(visit):
    loss, _ = cases.residual()
    trace = viewer.trace(loss)
    page = visit(trace)
    assert page.text(".first span") == trace.first["text"]
    assert page.text(".first button") == f"Look first at event {trace.first['event'] + 1}"
    page.page.locator(".first button").click()
    assert page.step() == trace.first["event"]
    assert page.page.locator(".first").count() == 0
    assert page.page.locator(".rejoin").count() == 1


def test_modules_have_names_and_classes_and_routes_are_found(visit):
    net = nn.Sequential(nn.Linear(3, 3, rng=0), nn.Residual(nn.Linear(3, 3, rng=1)))
    x = cases.tensor(2, 3).astype("float32")
    page = visit(viewer.trace(lambda: net(x).sum()))
    page.page.get_by_role("button", name="Close all").click()
    names = page.page.locator(".node.module .name").evaluate_all("all => all.map(n => n.textContent)")
    assert names == ["▸ 0 Linear", "▸ 1 Residual"]
    page.press("e")
    path = page.page.get_by_role("toolbar", name="Modules of the current event").get_by_role("button")
    assert path.all_inner_texts() == ["▾ 0 Linear"]
    for hidden in page.page.locator(".path button > span, .frame-label > tspan, .module .name > tspan").all():
        assert hidden.get_attribute("aria-hidden") == "true", "the sign is no part of the name"
    assert page.page.get_by_role("button", name="0 Linear", exact=True).count() == 1
    page.press("/")
    page.page.keyboard.type("skip")
    assert page.page.locator("#found li").all_inner_texts() == ["add #7\n1 branch + skip\n2×3"]


def test_every_open_module_is_named_in_the_graph_and_closes_there(visit):
    """Those whose weights stand elsewhere, or whose frame would hold what is not theirs, as well."""
    d_loss, g_loss, *_ = cases.players()
    page = visit(viewer.trace(D=d_loss, G=g_loss))
    keys = page.page.locator(".frame-label").evaluate_all("all => all.map(e => e.dataset.key)")
    assert sorted(keys) == page.js("tinyres.state().opened")
    assert page.page.locator("rect.frame").count() < len(keys), "this picture has one without a frame"
    page.js("key => document.querySelector(`.frame-label[data-key='${key}']`).dispatchEvent("
            "new MouseEvent('click', { bubbles: true }))", keys[-1])  # fmt: skip
    assert keys[-1] not in page.js("tinyres.state().opened")
