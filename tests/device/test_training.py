"""Optimisers, whole training steps and runs on the other device: the same numbers, and nothing copied but the loss."""

import numpy as np
import pytest

import tinyres as tr
from tests.device.double import no_copies
from tests.device.twins import VECTOR, close, linear, twins
from tinyres import data, models, optim, training
from tinyres.arrays import device_of

OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "SGD, nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.01),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01),
    "RMSprop, centered": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
}


def step(net, optimizer, x, classes):
    loss = tr.cross_entropy(net(x), classes)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_three_steps_of_an_optimizer_and_a_fourth_from_its_file(name, gpu, tmp_path):
    rng = np.random.default_rng(0)
    x, classes = tr.tensor(rng.standard_normal(VECTOR)), tr.tensor(rng.integers(0, 4, 3))
    nets = twins(linear)
    optimizers = [OPTIMIZERS[name](net.parameters()) for net in nets]
    x_there, classes_there = x.to("cuda"), classes.to("cuda")
    for _ in range(3):
        step(nets[0], optimizers[0], x, classes)
        with no_copies():
            step(nets[1], optimizers[1], x_there, classes_there)
    tr.save(nets[1], tmp_path / "net.safetensors")
    moments, texts = optim.flat(optimizers[1].state_dict())
    tr.save(moments, tmp_path / "optimizer.safetensors", texts)
    again = linear(9).to("float64").to("cuda")
    optimizer = OPTIMIZERS[name](again.parameters())
    tr.load(tmp_path / "net.safetensors", into=again)
    file = tmp_path / "optimizer.safetensors"
    optimizer.load_state_dict(optim.nested(tr.load(file), tr.load_metadata(file)))
    step(nets[0], optimizers[0], x, classes)
    step(again, optimizer, x_there, classes_there)
    for here, there in zip(nets[0].parameters(), again.parameters(), strict=True):
        close(there, here)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_groups_of_parameters(name, gpu):
    rng = np.random.default_rng(0)
    x, classes = tr.tensor(rng.standard_normal(VECTOR)), tr.tensor(rng.integers(0, 4, 3))
    nets = twins(linear)
    for net in nets:
        optimizer = OPTIMIZERS[name]([{"params": net.weight}, {"params": net.bias, "lr": 0.5}])
        schedule = optim.StepLR(optimizer, 1, 0.5)
        for _ in range(3):
            optimizer.zero_grad(set_to_none=False)
            tr.cross_entropy(net(x.to(net.weight.device)), classes.to(net.weight.device)).backward()
            with no_copies():
                optimizer.step()
            schedule.step()
    for here, there in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        close(there, here)


def test_gradients_are_clipped_where_they_are(gpu):
    here, there = twins(linear)
    norms = []
    for net in (here, there):
        (net(tr.tensor(np.ones(VECTOR)).to(net.weight.device)) ** 2).sum().backward()
        norms.append(optim.clip_grad_norm_(net.parameters(), 0.5))
        optim.clip_grad_value_(net.parameters(), 0.1)
    assert norms[0] == pytest.approx(norms[1], rel=1e-12)
    close(there.weight.grad, here.weight.grad)


# -- whole steps ----------------------------------------------------------------------------------------------------
def classifier_step(device):
    rng = np.random.default_rng(0)
    net = models.resnet(8, 4, classes=3, shortcut="B", rng=rng).to("float64").to(device)
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    x, classes = tr.tensor(rng.standard_normal((4, 3, 8, 8))).to(device), tr.tensor(rng.integers(0, 3, 4)).to(device)
    losses = []
    for _ in range(2):
        with no_copies("item"):
            losses.append(step(net, optimizer, x, classes).item())
    return losses, list(net.state_dict().values())


def gan_step(device):
    rng = np.random.default_rng(0)
    players = [
        models.dcgan.generator(6, 4, 1, size=8, rng=rng),
        models.dcgan.discriminator(4, 1, size=8, rng=rng),
    ]
    generator, discriminator = (player.to("float64").to(device) for player in players)
    optimizers = [optim.Adam(p.parameters(), lr=2e-4, betas=(0.5, 0.999)) for p in (generator, discriminator)]
    real = tr.tensor(rng.standard_normal((4, 1, 8, 8))).to(device)
    noise = tr.tensor(rng.standard_normal((4, 6))).to(device)
    losses = []
    with no_copies("item"):
        for player, optimizer in ((discriminator, optimizers[1]), (generator, optimizers[0])):
            fake = generator(noise)
            if player is discriminator:
                loss = tr.softplus(-discriminator(real)).mean() + tr.softplus(discriminator(fake.detach())).mean()
            else:
                loss = tr.softplus(-discriminator(fake)).mean()
            found = tr.grad(loss, list(player.parameters()))
            for p, g in zip(player.parameters(), found, strict=True):
                p.grad = g
            optimizer.step()
            losses.append(loss.item())
    return losses, [*generator.state_dict().values(), *discriminator.state_dict().values()]


def penalty_step(device):
    """A gradient of a gradient through a whole critic, as WGAN-GP's."""
    rng = np.random.default_rng(0)
    critic = models.dcgan.discriminator(4, 1, size=8, norm="layer", rng=rng).to("float64").to(device)
    x = tr.tensor(rng.standard_normal((4, 1, 8, 8))).to(device).requires_grad_()
    with no_copies("item"):
        (slope,) = tr.grad(critic(x).sum(), [x], create_graph=True)
        loss = ((tr.sqrt((slope**2).sum((1, 2, 3))) - 1) ** 2).mean()
        found = tr.grad(loss, list(critic.parameters()), allow_unused=True)
        return [loss.item()], [g for g in found if g is not None]


@pytest.mark.parametrize("whole", [classifier_step, gan_step, penalty_step])
def test_a_whole_training_step_is_the_same_and_copies_nothing_but_the_loss(whole, gpu):
    (here, state), (there, moved) = whole("cpu"), whole("cuda")
    np.testing.assert_allclose(there, here, rtol=1e-9)
    for expected, found in zip(state, moved, strict=True):
        close(found, expected, 1e-7)


def test_a_run_trains_scores_and_resumes_on_the_gpu(gpu, tmp_path):
    recipe = training.Recipe(arch="resnet", depth=8, width=4, steps=4, batch_size=8)
    split = data.Split(*(data.Dataset(part.inputs[:64], part.targets[:64], part.name, part.classes)
                         for part in data.load("digits")))  # fmt: skip
    here, there = training.prepare(recipe, split), training.prepare(recipe, split, device="cuda")
    expected = list(here.steps())
    steps = there.steps()
    found = [next(steps), next(steps)]
    training.save(there, tmp_path / "run.safetensors")
    again = training.resume(training.prepare(recipe, split, device="cuda"), tmp_path / "run.safetensors")
    assert again.device == "cuda"
    with no_copies("item"):
        found += list(again.steps())
        score = again.score()
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert score.accuracy == pytest.approx(here.score().accuracy, abs=0.04)
    assert {device_of(v) for state in again.optimizer.state for v in state.values()} == {"cuda"}
