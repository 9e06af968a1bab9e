"""A run that diverges names the first layer that did: forward or backward, of which player, at which step."""

import re

import numpy as np
import pytest

import tinyres as tr
from tinyres import gan, nn, training
from tinyres.training.divergence import all_finite, first_failure

HUGE = np.float32(3e38)


def run_to(run, step):
    for _ in run.steps():
        if run.step == step:
            return run
    raise AssertionError(f"the run has no step {step}")


def plant(module, path, value=HUGE):
    """Make the weights of one layer so large that its sums overflow in float32."""
    layer = dict(module.named_modules())[path]
    name = "weight_orig" if hasattr(layer, "weight_orig") else "weight"
    weight = getattr(layer, name)
    assert weight.dtype == np.float32
    weight.data = np.full_like(weight.data, value)


def state(run):
    found = {f"{m}.{k}": v.numpy().copy() for m, module in run.modules.items() for k, v in module.state_dict().items()}
    return found | {"generators": [g.bit_generator.state for _, _, g in run.generators()]}


def assert_as_before(run, before):
    now = state(run)
    assert now["generators"] == before["generators"]
    for name in before.keys() - {"generators"}:
        np.testing.assert_array_equal(now[name], before[name], err_msg=name)


def resnet(arch="resnet", **changed):
    return training.prepare(training.Recipe(arch=arch, **{"depth": 8, "width": 4, "steps": 20} | changed))


@pytest.mark.parametrize(("path", "kind"), [
    ("stem.0", "Conv2d"), ("blocks.1.body.branch.0", "Conv2d"), ("blocks.2.body.branch.3", "Conv2d"),
    ("head.2", "Linear"),
])  # fmt: skip
@pytest.mark.parametrize("step", [0, 3])
def test_each_layer_of_a_residual_net_is_named(path, kind, step):
    run = resnet() if not step else run_to(resnet(), step)
    plant(run.model, path)
    before = state(run)
    said = rf"at step {step} the loss is nan: first in the forward pass of layer '{re.escape(path)}' \({kind}\): "
    with pytest.raises(training.Diverged, match=said):
        next(run.steps())
    assert (run.step, len(run.losses)) == (step, step)
    assert_as_before(run, before)
    assert all(p.grad is None for p in run.model.parameters())


PLAYERS = [("discriminator", "0", "Conv2d"), ("discriminator", "2", "Conv2d"), ("discriminator", "5", "Linear"),
           ("generator", "0", "Linear"), ("generator", "4", "ConvTranspose2d")]  # fmt: skip


@pytest.mark.parametrize(("player", "path", "kind"), PLAYERS)
@pytest.mark.parametrize("step", [1, 4])
def test_each_layer_of_a_player_is_named(player, path, kind, step):
    recipe = gan.GANRecipe.of("r1", "digits", width=4, batch_size=16, steps=9)
    trainer = run_to(gan.prepare(recipe), step)
    plant(trainer.modules[player], path)
    before = state(trainer)
    said = rf"at step {step} .*: first in the forward pass of layer '{path}' \({kind}\) of the {player}: "
    with pytest.raises(training.Diverged, match=said):
        next(trainer.steps())
    assert (trainer.step, len(trainer.history)) == (step, step)
    assert_as_before(trainer, before)


class Steep(nn.Module):
    """The identity, whose rule overflows from one step on: finite forward, infinite backward."""

    calls = 0

    def __init__(self, after):
        self.after = after

    def forward(self, x):
        if self.calls < self.after:
            return x
        return x + tr.sqrt(x * np.float32(0))  # 0, with an infinite slope


@pytest.mark.parametrize("step", [0, 2])
def test_a_gradient_that_is_not_finite_is_named_with_its_layer(step):
    """The loss stays finite, so without a look at the weights the next step would be the first to notice."""
    run = resnet("mlp", depth=3)
    model, steep = run.model, Steep(step)
    model.blocks[0].append(steep)
    path = next(name for name, module in model.named_modules() if module is steep)
    steps = run.steps()
    for _ in range(step):
        next(steps)
        steep.calls += 1
    said = rf"at step {step} a weight would no longer be finite: first in the backward pass of layer '{path}' \(Steep\)"
    with pytest.raises(training.Diverged, match=said):
        next(steps)
    assert all_finite(p.data for p in model.parameters())


def slopes(first, second, factor):
    """Two linear layers with these weights, and a step that differentiates factor * dy/dx at 0 with respect to them."""
    layers = [nn.Linear(2, 2, bias=False, rng=0), nn.Linear(2, 1, bias=False, rng=0)]
    for layer, value in zip(layers, (first, second), strict=True):
        layer.weight.data = np.full_like(layer.weight.data, value)
    model = nn.Sequential(layers[0], nn.Tanh(), layers[1])

    def take():
        x = tr.tensor(np.zeros((3, 2), "f"), requires_grad=True)
        (slope,) = tr.grad(model(x).sum(), x, create_graph=True)
        with np.errstate(over="ignore", invalid="ignore"):
            (slope * np.float32(factor)).sum().backward()

    return model, take


@pytest.mark.parametrize(("sizes", "said"), [
    ((10, HUGE, 1), r"backward pass of layer '0' \(Linear\)"),  # the slope overflows on its way back
    ((1e-10, 1e20, 1e25), r"backward pass of layer '0' \(Linear\)"),  # only the slope's own derivative does
    ((1, 1e20, 1e25), r"forward pass outside of all layers: mul made Inf"),  # the factor is no layer's
])  # fmt: skip
def test_slopes_and_their_derivatives_are_named_with_the_layer_whose_rule_overflows(sizes, said):
    model, take = slopes(*sizes)
    with np.errstate(over="ignore", invalid="ignore"):
        assert re.match(f"first in the {said}", first_failure({"model": model}, take))
        found = first_failure({"G": nn.Linear(1, 1, rng=0), "D": model}, take)
    assert ("of the D" in found) == ("layer '" in found)
    assert [module._name for module in (model, *model.children())] == ["", "0", "1", "2"]


def test_a_finite_step_has_no_failure():
    model, take = slopes(1, 1, 1)
    assert first_failure({"model": model}, take) is None


def test_a_step_of_the_optimiser_is_told_from_the_operations():
    run = resnet("mlp", depth=3, lr=3e38)
    with pytest.raises(training.Diverged, match=r"at step 0 a weight would no longer be finite: every operation was "):
        next(run.steps())


def test_all_finite():
    assert all_finite([])
    assert all_finite([np.ones(3, "f"), np.ones((2, 2))])
    assert not all_finite([np.ones(3, "f"), np.array([1.0, np.inf])])
    assert not all_finite([np.array([np.nan], "f")])
