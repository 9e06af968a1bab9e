"""Where a search, a node or a row leads, and what is said of it; what the graph's nodes say by ear."""

import pytest

from tests.viewer import cases
from tinyres import viewer

pytestmark = pytest.mark.browser


def searched(page, name):
    page.press("/")
    page.page.locator("input[type=search]").fill(name)
    page.press("Enter")
    return page.text("#said")


def uses(document, op):
    """The event that first computes something of an op."""
    ops, events = document["trace"]["ops"], document["trace"]["events"]
    return next(i for i, e in enumerate(events) if e[0] == "f" and op in ops[e[1]].get("inputs", ()))


def arrival(document, op):
    """The event that first adds to an op's gradient; None if none does."""
    return next((i for i, e in enumerate(document["trace"]["events"]) if e[0] == "a" and e[4] == op), None)


@pytest.fixture
def traced():
    return viewer.trace(cases.residual()[0])


def inputs(document):
    return [i for i, op in enumerate(document["trace"]["ops"]) if op["kind"] in ("leaf", "constant")]


def named(document, op):
    raw = document["trace"]["ops"][op]
    return raw.get("name") or f"{raw['kind']} #{op}"


@pytest.mark.parametrize("way", ["search", "row"])
@pytest.mark.parametrize("backward", [False, True])
def test_every_parameter_and_constant_leads_to_its_first_use_or_to_its_gradient(visit, traced, backward, way):
    document = traced.to_json()
    last = len(document["trace"]["events"]) - 1
    page, found = visit(traced), inputs(document)
    assert {document["trace"]["ops"][op]["kind"] for op in found} == {"leaf", "constant"}
    if way == "row":
        page.press("t")
    for op in found:
        page.go(last if backward else 0)
        if way == "row":
            page.page.locator(".twin tbody tr").nth(op).locator("button").click()
            said = page.text("#said")
        else:
            said = searched(page, f"#{op}")
        name, brought = named(document, op), arrival(document, op) if backward else None
        assert page.step() == (uses(document, op) if brought is None else brought), name
        if brought is None:
            none = ", no gradient" if backward else ""
            assert said.removeprefix("Found: ") == f"{name}{none}, first used here"
        else:
            assert said == (f"Found: {name}" if way == "search" else "")
            assert f"{name} receives its first contribution" in page.text(".sentence")


def test_an_operation_without_a_gradient_leads_to_where_it_is_computed(visit):
    """In G's backward pass nothing comes to what D says of the real samples, nor to its mean."""
    d_loss, g_loss, _, _ = cases.players()
    traced = viewer.trace(D=d_loss, G=g_loss)
    document = traced.to_json()
    events, ops = document["trace"]["events"], document["trace"]["ops"]
    reached = {event[4] for event in events if event[0] == "a" and event[1] == 1}
    silent = [e[1] for e in events if e[0] == "f" and e[1] not in reached and ops[e[1]]["kind"] == "neg"]
    page = visit(traced)
    for op in silent[:1]:
        page.go(len(events) - 1)
        assert searched(page, f"#{op}") == f"Found: neg #{op}, no gradient"
        assert events[page.step()] == ["f", op]
    assert silent


def labels(page):
    found = page.page.locator(".node").evaluate_all(
        "all => all.map(e => [e.getAttribute('aria-label'), e.querySelector('.name').textContent,"
        " e.querySelector('.note').textContent, e.querySelector('.norm').textContent])"
    )
    assert found
    return found


@pytest.mark.parametrize("opened", [False, True])
def test_a_node_says_all_that_it_shows(visit, traced, opened):
    """The kind: whatever stands in a node is in its name by ear, at every event."""
    page = visit(traced)
    page.page.get_by_role("button", name="Close all").click()
    if opened:
        page.page.get_by_role("button", name="Open all").click()
    spoken = set()
    for step in range(len(traced.to_json()["trace"]["events"])):
        page.go(step)
        for label, name, note, norm in labels(page):
            for shown in (name.removeprefix("▸ "), note, norm.replace("‖g‖", "gradient norm")):
                assert shown in label, (step, label)
            assert norm != "" or "gradient norm" not in label, "going back, it is gone again"
            spoken.add(label)
    assert ("module 1 Residual, 7 nodes" in spoken) is not opened
    assert any(", gradient norm " in label for label in spoken)
    page.go(0)
    assert not any("gradient norm" in label for label, *_ in labels(page))


def test_the_graph_s_name_leads_to_the_table(visit, traced):
    page = visit(traced)
    assert "T shows a table" in page.page.locator(".scroll > svg").get_attribute("aria-label")
    page.press("t")
    assert page.page.get_by_role("region", name="Operations as a table").count() == 1
