"""A page of two thousand nodes: within three times of what it takes on a laptop, since the machine may be busy."""

import pytest

import tinyres as tr
from tests.viewer.cases import tensor
from tinyres import nn, viewer

pytestmark = pytest.mark.browser

SLACK = 3
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


def took(page, action):
    """Milliseconds until it is on the screen."""
    before, after = "const start = performance.now()", "return performance.now() - start"
    return page.js(f"async () => {{ {before}; {action}; await {DRAWN}; {after} }}")


def test_two_thousand_nodes(visit, ladder):
    opened = []
    for _ in range(3):
        page = visit(ladder)
        opened.append(page.js("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"))
    assert min(opened) <= 300 * SLACK
    assert page.js("tinyres.state().nodes") < 200
    button = "[...document.querySelectorAll('.top button')].find(b => b.textContent === 'Open all').click()"
    assert took(page, button) <= 2500 * SLACK
    assert page.js("tinyres.state().nodes") == len(ladder.ops)
    middle = len(ladder) // 2
    page.go(middle)
    steps = sorted(took(page, f"tinyres.go({middle + i})") for i in range(1, 16))
    assert steps[len(steps) // 2] <= 50 * SLACK


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
