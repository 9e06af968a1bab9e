"""The decomposition by path length agrees with walking every path by itself, and its theory with counting."""

import json
import math
from itertools import product

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn
from tinyres.autograd import Observer
from tinyres.flow.instruments.paths import paths
from tinyres.flow.theory import normalised
from tinyres.flow.theory import path_lengths as theory

BLOCKS = 8


def draw(rng, *shape):
    return tr.tensor(rng.standard_normal(shape), requires_grad=True)


def chain(rng, width=5):
    """Eight residual blocks x + W tanh(BN(x)), batch norm with the batch's statistics."""

    def branch():
        return nn.Sequential(nn.BatchNorm1d(width), nn.Tanh(), nn.Linear(width, width, rng=rng))

    return nn.Sequential(*(nn.Residual(branch()) for _ in range(BLOCKS))).to("float64")


def states(blocks, x):
    """The input of each block, cut from the others, so that a vjp through one block meets no other."""
    found = [x]
    for block in blocks:
        found.append(tr.tensor(block(found[-1]).numpy(), requires_grad=True))
    return found


def pull(function, at, g):
    (dx,) = tr.grad(function(at), at, g)
    return dx.numpy()


def by_enumeration(pulls, g):
    """Sum over all 2^L masks: each path is a product of vjps, the branch's where the mask is 1, the skip's where 0."""
    terms = [0.0 for _ in range(len(pulls) + 1)]
    for mask in product((0, 1), repeat=len(pulls)):
        path = g
        for through, both in zip(mask, reversed(pulls), strict=True):  # from the output down
            path = both[through](path)
        terms[sum(mask)] = terms[sum(mask)] + path
    return np.array(terms)


def test_eight_blocks_against_all_256_paths():
    rng = np.random.default_rng(0)
    model, x = chain(rng), draw(rng, 6, 5)
    g = rng.standard_normal((6, 5))
    at = states(model, x)
    pulls = [(lambda c: c, lambda c, b=b, h=h: pull(b.branch, h, c)) for b, h in zip(model, at[:-1], strict=True)]
    expected = by_enumeration(pulls, g)
    found = paths(model(x), x, g, keep_terms=True)
    total = tr.grad(model(x), x, g)[0].numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found["terms"], expected, rtol=0, atol=1e-10 * scale)
    np.testing.assert_allclose(found["terms"].sum(axis=0), total, rtol=0, atol=1e-10 * scale)
    norms = np.sqrt((expected**2).sum(axis=(1, 2)))
    np.testing.assert_allclose(found["norm"], norms, rtol=1e-10)
    np.testing.assert_allclose(found["share"], norms**2 / (norms**2).sum(), rtol=1e-10)
    inner = (expected * total).sum(axis=(1, 2))
    np.testing.assert_allclose(found["projection"], inner / (total**2).sum(), rtol=1e-9, atol=1e-12)
    assert found["projection"].sum() == pytest.approx(1, abs=1e-12)
    assert found["gradient_norm"] == pytest.approx(np.linalg.norm(total), rel=1e-12)
    assert found["mean_length"] == pytest.approx((found["share"] * np.arange(9)).sum(), rel=1e-12)
    np.testing.assert_array_equal(found["count"], [math.comb(8, k) for k in range(9)])
    np.testing.assert_allclose(found["count_share"], theory.binomial(8), rtol=1e-15)


@pytest.mark.parametrize("shortcut", ["A", "B"])
@pytest.mark.slow
def test_blocks_with_a_projection_and_a_fused_batch_norm(shortcut):
    """He's blocks relu(F(x) + shortcut(x)): the sum and the ReLU are inside the batch norm's operation."""
    model = models.resnet(20, width=3, in_channels=1, shortcut=shortcut, rng=0).to("float64")
    rng = np.random.default_rng(1)
    x = draw(rng, 3, 1, 6, 6)
    at = states(model.blocks, model.stem(x))

    def routes(block, h):
        open_ = block(h).numpy() > 0
        skip = block.body.shortcut or (lambda v: v * 1.0)
        return tuple(lambda c, way=way: pull(way, h, c * open_) for way in (skip, block.body.branch))

    at[0] = tr.tensor(at[0].numpy(), requires_grad=True)
    pulls = [routes(block, h) for block, h in zip(model.blocks, at[:-1], strict=True)]
    g = rng.standard_normal(at[-1].shape)
    state = model.stem(x)
    found = paths(model.blocks(state), state, g, keep_terms=True)
    expected = by_enumeration(pulls, g)
    np.testing.assert_allclose(found["terms"], expected, rtol=0, atol=1e-10 * np.abs(expected).max())


def test_what_is_fused_is_counted_as_what_is_not():
    """Watched, the sum is an operation of its own. The last batch norm's own weight is inside the branch either way."""
    model = models.resnet(8, width=3, in_channels=1, rng=0).to("float64")
    images, target = draw(np.random.default_rng(0), 3, 1, 6, 6), np.array([1, 2, 3])
    inputs = [images, *model.parameters()]
    fused = paths(tr.cross_entropy(model(images), target), inputs, keep_terms=True)
    with Observer():
        loss = tr.cross_entropy(model(images), target)
    np.testing.assert_allclose(paths(loss, inputs, keep_terms=True)["terms"], fused["terms"], atol=1e-13)
    found = paths(loss, model.blocks[2].body.branch[4].weight)
    np.testing.assert_array_equal(found["count"], [0, 1])


def test_parameters_inside_a_branch():
    rng = np.random.default_rng(0)
    model, x = chain(rng), draw(rng, 6, 5)
    g = rng.standard_normal((6, 5))
    weight = model[5].branch[2].weight
    at = states(model, x)
    above = [(lambda c: c, lambda c, b=model[i], h=at[i]: pull(b.branch, h, c)) for i in (6, 7)]
    by_length = by_enumeration(above, g)
    expected = [tr.grad(model[5].branch(at[5]), weight, c)[0].numpy() for c in by_length]
    found = paths(model(x), weight, g, keep_terms=True)
    np.testing.assert_allclose(found["terms"], [np.zeros((5, 5)), *expected], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found["count"], [0, 1, 2, 1])


def test_several_inputs_are_one_vector_and_a_scalar_needs_no_cotangent():
    rng = np.random.default_rng(0)
    model, x = chain(rng), draw(rng, 6, 5)
    weight = model[0].branch[2].weight
    loss = (model(x) ** 2).sum()
    both = paths(loss, [x, weight], keep_terms=True)
    alone = [paths(loss, t, keep_terms=True)["terms"].reshape(9, -1) for t in (x, weight)]
    np.testing.assert_array_equal(both["terms"], np.concatenate(alone, axis=1))
    total = np.concatenate([g.numpy().ravel() for g in tr.grad(loss, [x, weight])])  # and the graph is still there
    np.testing.assert_allclose(both["terms"].sum(axis=0), total, rtol=0, atol=1e-12)


def test_a_connection_inside_a_branch_is_counted_by_its_own():
    inner = nn.Residual(nn.Linear(3, 3, bias=False, rng=1))
    outer = nn.Residual(nn.Sequential(nn.Linear(3, 3, bias=False, rng=0), inner)).to("float64")
    x = draw(np.random.default_rng(0), 2, 3)
    g = np.random.default_rng(1).standard_normal((2, 3))
    a, b = outer.branch[0].weight.numpy(), inner.branch.weight.numpy()
    found = paths(outer(x), x, g, keep_terms=True)
    np.testing.assert_allclose(found["terms"], [g, g @ a, g @ b @ a], rtol=1e-14)


def test_the_way_through_a_gate_counts_as_one_through_a_branch():
    """Highway layers T H(x) + (1 - T) x: without a branch the gradient meets the closed gates only."""
    rng = np.random.default_rng(0)
    layers = nn.Sequential(*(nn.Highway(nn.Linear(3, 3, rng=rng), nn.Linear(3, 3, rng=rng)) for _ in range(2)))
    model, x, g = layers.to("float64"), draw(rng, 2, 3), rng.standard_normal((2, 3))
    found = paths(model(x), x, g, keep_terms=True)
    closed = [1 - 1 / (1 + np.exp(-layer.gate(h).numpy())) for layer, h in zip(model, states(model, x), strict=False)]
    np.testing.assert_allclose(found["terms"][0], g * closed[0] * closed[1], rtol=1e-12)
    np.testing.assert_allclose(found["terms"].sum(axis=0), tr.grad(model(x), x, g)[0].numpy(), rtol=0, atol=1e-14)
    np.testing.assert_array_equal(found["count"], [1, 6, 9])  # by H, by T and by 1 - T


def test_an_exploding_gradient_does_not_overflow():
    x = draw(np.random.default_rng(0), 4)
    h = x
    for _ in range(4):
        branch = h * 1e45
        h = branch + h
        h.node.roles = ("branch", "skip")
    g = np.array([3.0, 4.0, 0.0, 0.0])
    found = paths(h, x, g)
    np.testing.assert_allclose(found["norm"], [5 * math.comb(4, k) * 10.0 ** (45 * k) for k in range(5)], rtol=1e-12)
    assert found["share"][4] == pytest.approx(1)


def test_a_gradient_of_zeros_has_no_shares():
    rng = np.random.default_rng(0)
    model, x = chain(rng), draw(rng, 6, 5)
    found = paths(model(x), x, np.zeros((6, 5)))
    assert not found["norm"].any()
    assert np.isnan(found["share"]).all()
    json.dumps(found.to_json(), allow_nan=False)


def test_nobody_who_watches_meets_a_polynomial():
    seen = []

    class Watching(Observer):
        def on_cotangent(self, node, total):
            seen.append(type(total))

    rng = np.random.default_rng(0)
    model, x = chain(rng), draw(rng, 6, 5)
    y = model(x)
    with Watching(), tr.detect_anomaly():
        found = paths(y, x, np.ones((6, 5)))
    assert set(seen) <= {np.ndarray}
    assert len(found["norm"]) == 9


def test_picture_and_json(tmp_path):
    rng = np.random.default_rng(0)
    model, x = chain(rng), draw(rng, 6, 5)
    found = paths(model(x), x, rng.standard_normal((6, 5)))
    found.plot().savefig(tmp_path / "paths.png")
    assert (tmp_path / "paths.png").read_bytes().startswith(b"\x89PNG")
    document = json.loads(json.dumps(found.to_json(tmp_path / "paths.json")))
    assert document["axes"]["norm"] == ["length"]
    assert document["axes"]["mean_length"] == []
    assert document["arrays"]["norm"] == found["norm"].tolist()
    assert "at most 9" in found.cost


# -- bad input -------------------------------------------------------------------------------------------------------
def test_a_net_without_residual_connections_says_so():
    model = models.plain(8, width=2, in_channels=1, rng=0)
    x = tr.tensor(np.ones((2, 1, 8, 8), np.float32), requires_grad=True)
    with pytest.raises(ValueError, match=r"no residual connection between inputs and output.*nn\.Residual"):
        paths(model(x), x, np.ones((2, 10)))
    model = models.resnet(8, width=2, in_channels=1, rng=0)
    with pytest.raises(ValueError, match="no residual connection"):
        paths(model(x), model.head[2].weight, np.ones((2, 10)))  # above all blocks


def test_nan_weights_say_so():
    rng = np.random.default_rng(0)
    model, x = chain(rng), draw(rng, 6, 5)
    weight = model[3].branch[2].weight
    weight.data = np.where(np.eye(5) > 0, np.nan, weight.data)
    with pytest.raises(FloatingPointError, match=r"through 1 branches holds NaN.*detect_anomaly"):
        paths(model(x), x, np.ones((6, 5)))


def test_arguments_are_checked_as_in_grad():
    rng = np.random.default_rng(0)
    model, x = chain(rng), draw(rng, 6, 5)
    y = model(x)
    with pytest.raises(RuntimeError, match="only an output of one element needs no gradient of its own"):
        paths(y, x)
    with pytest.raises(ValueError, match=r"grad_outputs\[0\] has shape \(5, 6\)"):
        paths(y, x, np.ones((5, 6)))
    with pytest.raises(RuntimeError, match=r"does not depend on inputs\[1\]"):
        paths(y, [x, draw(rng, 3)], np.ones((6, 5)))
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        paths(y, tr.tensor(np.ones(3)), np.ones((6, 5)))


# -- theory ----------------------------------------------------------------------------------------------------------
def test_the_poisson_binomial_is_what_enumeration_gives():
    gains = np.random.default_rng(0).uniform(0.1, 3, 6)
    expected = np.zeros(7)
    for mask in product((0, 1), repeat=6):
        expected[sum(mask)] += np.prod(gains ** np.array(mask))
    expected /= expected.sum()
    np.testing.assert_allclose(theory.poisson_binomial(gains), expected, rtol=1e-13)
    assert theory.mean_length(gains) == pytest.approx((expected * np.arange(7)).sum(), rel=1e-13)
    np.testing.assert_allclose(theory.poisson_binomial(np.ones(54)), theory.binomial(54), rtol=1e-12)


def test_published_and_derived_figures():
    p = theory.binomial(54)
    assert p[5:18].sum() == pytest.approx(0.00454, abs=5e-6)  # Veit et al.: 0.45 %
    assert p[19:36].sum() == pytest.approx(0.980, abs=5e-4)
    assert theory.mean_length(normalised.module_gains(54, 1)) == pytest.approx(4.60, abs=0.005)
    assert theory.mean_length(normalised.module_gains(54, 2)) == pytest.approx(6.25, abs=0.005)


def test_tilting_the_binomial_gives_a_binomial():
    count = [math.comb(20, k) for k in range(21)]
    expected = [math.comb(20, k) * 0.3**k * 0.7 ** (20 - k) for k in range(21)]
    np.testing.assert_allclose(theory.tilted(count, 6.0), expected, rtol=1e-9)
    np.testing.assert_allclose(theory.tilted([0, 2, 0, 2], 1.0), [0, 1, 0, 0], atol=1e-12)
    assert theory.tilted([math.comb(1100, k) for k in range(1101)], 4.0) @ np.arange(1101) == pytest.approx(4)
    with pytest.raises(ValueError, match=r"from 1 to 3; their mean cannot be 0\.5"):
        theory.tilted([0, 2, 0, 2], 0.5)


@pytest.mark.slow
def test_more_ways_than_a_float_can_count():
    depth = 1030
    x = tr.tensor(np.ones(1), requires_grad=True)
    y = x
    for _ in range(depth):
        y = y + y * 0.001
        y.node.roles = ("skip", "branch")
    found = paths(y, x)
    assert found["count"][depth // 2] == np.inf
    assert found["count"][1] == depth
    assert found["count_share"].sum() == pytest.approx(1)


def test_nothing_to_differentiate_by():
    with pytest.raises(ValueError, match="paths: inputs is empty"):
        paths(tr.tensor(np.ones(1), requires_grad=True) * 2, [])
