"""The weights of attention are kept head by head, and the page draws the heads side by side."""

import base64

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.viewer.summaries import thumbnail


def traced(length=12, heads=4, batch=2):
    layer = nn.TransformerEncoderLayer(8, heads, 8, 0.0, batch_first=True, norm="pre", causal=True, rng=0)
    x = tr.tensor(np.random.default_rng(0).standard_normal((batch, length, 8)).astype("f"), requires_grad=True)
    return tr.trace(lambda: (layer(x) ** 2).sum())


def decoded(found):
    span = (found["hhi"] - found["hlo"]) / 254
    return [found["hlo"] + span * np.frombuffer(base64.b64decode(h), "u1").reshape(8, 8) for h in found["h"]]


@pytest.mark.parametrize(("length", "heads"), [(16, 4), (9, 2), (5, 8)])
def test_pictures_are_the_means_of_blocks_of_the_first_sample(length, heads):
    value = np.random.default_rng(0).random((3, heads, length, 2 * length))
    found = thumbnail(value, heads=True).to_json()
    assert len(found["h"]) == heads
    rows, columns = ([range(i * n // 8, max((i + 1) * n // 8, i * n // 8 + 1)) for i in range(8)]
                     for n in (length, 2 * length))  # fmt: skip
    for picture, head in zip(decoded(found), value[0], strict=True):
        want = [[head[np.ix_(r, c)].mean() for c in columns] for r in rows]
        np.testing.assert_allclose(picture, want, atol=1 / 254)
    assert "h" not in thumbnail(value).to_json()
    assert len(thumbnail(np.ones((1, 12, 9, 9)), heads=True).heads) == 8  # no more than can be taken in


def test_a_trace_keeps_heads_of_attention_and_of_its_gradient():
    trace = traced()
    (place,) = [i for i, op in enumerate(trace.ops) if op.kind == "softmax"]
    assert trace.ops[place].path == "attention.branch.self_attn"
    weights = decoded(trace.summaries[trace.ops[place].value].to_json())
    assert len(weights) == 4
    for head in weights:
        assert not np.triu(head.round(3), 1).any()  # causal
        assert head.diagonal().min() > 0
    kept = [trace.summaries[e[-1]] for e in trace.events if e[0] == "s" and e[2] == place]
    kept += [trace.summaries[e[-1]] for e in trace.events if e[0] == "r" and e[4] == place]
    assert kept
    assert all(len(summary.heads) == 4 for summary in kept)


@pytest.mark.browser
def test_the_page_draws_them_side_by_side(visit):
    trace = traced()
    place = next(i for i, op in enumerate(trace.ops) if op.kind == "softmax")
    event = next(i for i, e in enumerate(trace.events) if e[0] == "f" and e[1] == place)
    page = visit(trace)
    page.js(f"() => {{ location.hash = '#step={event}&lane=0&pass=f' }}")
    page.page.wait_for_selector(".heads")
    heads = page.page.locator(".heads").first
    assert heads.locator("svg").count() == 4
    assert "head 4" in heads.inner_text()
    assert "head 2" in heads.locator("svg").nth(1).get_attribute("aria-label")
