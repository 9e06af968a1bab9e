"""Stochastic depth: which branches are there, and what that does to values, gradients and statistics."""

import copy

import numpy as np
import pytest

import tinyres as tr
from tinyres import flow, models, nn


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def connection(survival, rng=0, shortcut=None):
    branch = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, bias=False, rng=1), nn.BatchNorm2d(3))
    return nn.StochasticDepth(branch, shortcut=shortcut, survival=survival, rng=rng)


def test_survival_falls_linearly_with_depth():
    model = models.stochastic_depth(14, width=4, survival=0.4, rng=0)
    found = [m.survival for m in model.modules() if isinstance(m, nn.StochasticDepth)]
    np.testing.assert_allclose(found, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    # Huang et al. 2016 [huang2016deep], section 3: of the 54 blocks of ResNet-110, (3 L - 1) / 4, about 40, are there
    # on average.
    deep = models.stochastic_depth(110, width=1, rng=0)
    expected = sum(m.survival for m in deep.modules() if isinstance(m, nn.StochasticDepth))
    assert expected == pytest.approx((3 * 54 - 1) / 4)


def test_parameter_count():
    # He et al. 2016 [he2016deep], table 6: 1.7 M; nothing is learned besides.
    ours, theirs = models.stochastic_depth(110, rng=0), models.resnet(110, rng=0)
    assert ours.parameter_count() == theirs.parameter_count()
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_a_branch_is_there_as_often_as_it_should():
    module = connection(0.7)
    x = tr.tensor(normal(2, 3, 4, 4))
    there = [module(x) is not x for _ in range(1000)]
    assert abs(np.mean(there) - 0.7) < 0.05  # 3.5 standard deviations
    again = connection(0.7)
    assert [again(x) is not x for _ in range(1000)] == there


@pytest.mark.parametrize("watched", [False, True])
def test_without_its_branch_a_connection_is_its_shortcut(watched):
    x = tr.tensor(normal(2, 3, 4, 4), requires_grad=True)
    gone = connection(0.0)
    with tr.Observer() if watched else tr.enable_grad():
        assert gone(x) is x
        np.testing.assert_array_equal(gone(x, relu=True).numpy(), np.maximum(x.numpy(), 0))
        np.testing.assert_array_equal(connection(0.0, shortcut=nn.Tanh())(x).numpy(), np.tanh(x.numpy()))
    assert gone.branch[1].num_batches_tracked.item() == 0
    (g, *rest) = tr.grad(gone(x).sum() + x.sum(), [x, *gone.parameters()], allow_unused=True)
    np.testing.assert_array_equal(g.numpy(), 2)
    assert rest == [None] * 3


@pytest.mark.parametrize("relu", [False, True])
def test_with_its_branch_it_is_a_residual_connection(relu):
    x = normal(2, 3, 4, 4)
    module = connection(1.0)
    plain = nn.Residual(copy.deepcopy(module.branch))
    np.testing.assert_array_equal(module(tr.tensor(x), relu=relu).numpy(), plain(tr.tensor(x), relu=relu).numpy())


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("watched", [False, True])
def test_evaluation_takes_the_mean_over_the_draws(relu, watched):
    module = connection(0.25).eval()
    x = tr.tensor(normal(2, 3, 4, 4))
    expected = x.numpy() + 0.25 * module.branch(x).numpy()
    with tr.Observer() if watched else tr.enable_grad():
        y = module(x, relu=relu)
    np.testing.assert_allclose(y.numpy(), np.maximum(expected, 0) if relu else expected, rtol=1e-6)
    assert module(x).numpy().tolist() == module(x).numpy().tolist()  # nothing is drawn


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"survival must be a number from 0 to 1, got 1.5"):
        connection(1.5)
    for training in (True, False):
        with pytest.raises(ValueError, match="residual"):
            nn.StochasticDepth(nn.Conv2d(3, 4, 1, rng=0), survival=1.0).train(training)(tr.tensor(normal(2, 3, 4, 4)))


@pytest.mark.parametrize("training", [True, False])
def test_where_no_branch_is_left_out_it_is_the_residual_net(training):
    ours = models.stochastic_depth(14, width=4, survival=1.0, rng=0).train(training)
    theirs = models.resnet(14, width=4, rng=0).train(training)
    x = normal(2, 3, 8, 8)
    # (in evaluation the sum with a weighted branch is not fused: a rounding apart)
    np.testing.assert_allclose(ours(tr.tensor(x)).numpy(), theirs(tr.tensor(x)).numpy(), rtol=1e-4, atol=1e-5)


def test_where_every_branch_is_left_out_blocks_are_the_identity_up_to_their_shape():
    model = models.stochastic_depth(14, width=4, rng=0)
    for module in model.modules():
        if isinstance(module, nn.StochasticDepth):
            module.survival = 0.0
    x = np.abs(normal(2, 4, 8, 8))
    y = model.blocks(tr.tensor(x)).numpy()
    np.testing.assert_array_equal(y[:, :4], x[:, :, ::4, ::4])
    assert not y[:, 4:].any()


def test_what_is_left_out_gets_no_gradient_and_the_rest_gets_one():
    model = models.stochastic_depth(56, width=4, in_channels=1, rng=0)
    with flow.record(model) as recording:
        (model(tr.tensor(normal(4, 1, 8, 8))) * normal(4, 10, seed=1)).sum().backward()
    there = {name.removesuffix(".body") for name in recording.skip_share()}
    assert 0 < len(there) < 27
    assert np.isfinite(recording.gradient_norms()).all()  # the way around is open everywhere
    for name, parameter in model.named_parameters():
        block = ".".join(name.split(".")[:2])
        assert (parameter.grad is not None) == (not name.startswith("blocks") or block in there), name


def test_a_checkpoint_leaves_out_the_same_branches():
    results = []
    for keep in (True, False):
        model = models.stochastic_depth(26, width=4, in_channels=1, rng=0)
        x = tr.tensor(normal(4, 1, 8, 8), requires_grad=True)
        y = model(x) if keep else tr.checkpoint(model, x)
        grads = tr.grad(y, [x, model.stem[0].weight], normal(4, 10, seed=1))
        results.append([y.detach().numpy(), *(g.numpy() for g in grads), model.blocks[0].body.rng.random()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
