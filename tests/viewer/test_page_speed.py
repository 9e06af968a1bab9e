"""A page of two thousand nodes beside one of four hundred, in the same browser: how much longer it takes."""

import pytest

import tinyres as tr
from tests.viewer.cases import tensor
from tinyres import nn, viewer

pytestmark = pytest.mark.browser

MOST = (8, 8, 4)  # times as long, to open, to unfold, to take a step
DRAWN = "new Promise(done => requestAnimationFrame(() => setTimeout(done)))"


class Rung(nn.Module):
    def forward(self, x):
        h = x
        for _ in range(9):
            h = tr.tanh(h) + x
        return h


@pytest.fixture(scope="module")
def ladder():
    model = nn.Sequential(*[nn.Residual(nn.Sequential(Rung())) for _ in range(106)])
    x = tensor(4, 4, requires_grad=True)
    trace = viewer.trace(lambda: model(x * 0.1).sum())
    assert len(trace.ops) >= 2000
    return trace


@pytest.fixture(scope="module")
def short():
    model = nn.Sequential(*[nn.Residual(nn.Sequential(Rung())) for _ in range(20)])
    x = tensor(4, 4, requires_grad=True)
    return viewer.trace(lambda: model(x * 0.1).sum())


def took(page, action):
    """Milliseconds until it is on the screen."""
    before, after = "const start = performance.now()", "return performance.now() - start"
    return page.js(f"async () => {{ {before}; {action}; await {DRAWN}; {after} }}")


def times(visit, trace):
    """Milliseconds: the best of three openings, to unfold everything, and the median of 15 steps in the middle."""
    opened = []
    for _ in range(3):
        page = visit(trace)
        opened.append(page.js("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"))
    folded = page.js("tinyres.state().nodes")
    button = "[...document.querySelectorAll('.top button')].find(b => b.textContent === 'Open all').click()"
    unfolded = took(page, button)
    assert page.js("tinyres.state().nodes") == len(trace.ops)
    middle = len(trace) // 2
    page.go(middle)
    steps = sorted(took(page, f"tinyres.go({middle + i})") for i in range(1, 16))
    return folded, (min(opened), unfolded, steps[len(steps) // 2])


def test_two_thousand_nodes(visit, ladder, short):
    """Five times the nodes: what grew faster than they do would show as a factor of 25 or more."""
    folded, many = times(visit, ladder)
    _, few = times(visit, short)
    assert folded < 200
    opening, unfolding, stepping = (a / b for a, b in zip(many, few, strict=True))
    assert opening <= MOST[0]
    assert unfolding <= MOST[1]
    assert stepping <= MOST[2]


def test_two_thousand_layers_deep(visit):
    """A chain has nothing to fold: it is drawn at once, and no recursion is too deep for it."""
    w = tensor(3, 3, requires_grad=True)

    def loss():
        h = tensor(2, 3, seed=1)
        for _ in range(1000):
            h = tr.tanh(h @ w)
        return h.sum()

    trace = viewer.trace(loss)
    page = visit(trace)
    page.press("End")
    assert page.js("tinyres.state().nodes") == len(trace.ops)
    assert page.page.locator(".scroll svg").bounding_box()["height"] > 1000 * 40
