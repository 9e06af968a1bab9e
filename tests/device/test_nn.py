"""Modules, optimisers and whole training steps on the other device: the same numbers, and nothing copied back."""

import numpy as np
import pytest

import tinyres as tr
from tests.device.double import no_copies
from tinyres import data, models, nn, optim, training
from tinyres.arrays import device_of
from tinyres.utils.data import DataLoader, TensorDataset

IMAGE, VECTOR = (3, 4, 6, 6), (3, 5)
MODULES = {
    "Linear": (lambda rng: nn.Linear(5, 4, rng=rng), VECTOR),
    "Conv2d": (lambda rng: nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, rng=rng), IMAGE),
    "ConvTranspose2d": (lambda rng: nn.ConvTranspose2d(4, 2, 4, stride=2, padding=1, rng=rng), IMAGE),
    "BatchNorm1d": (lambda rng: nn.BatchNorm1d(5), VECTOR),
    "BatchNorm2d": (lambda rng: nn.BatchNorm2d(4), IMAGE),
    "BatchNorm2d, evaluating": (lambda rng: nn.BatchNorm2d(4).eval(), IMAGE),
    "LayerNorm": (lambda rng: nn.LayerNorm((4, 6, 6)), IMAGE),
    "LayerNorm of rows": (lambda rng: nn.LayerNorm(6), IMAGE),
    "RMSNorm": (lambda rng: nn.RMSNorm(6), IMAGE),
    "SwiGLU": (lambda rng: nn.SwiGLU(), IMAGE),
    "Rotary": (lambda rng: nn.Rotary(6), IMAGE),
    "TransformerEncoderLayer": (
        lambda rng: nn.TransformerEncoderLayer(6, 2, 5, 0.0, causal=True, batch_first=True, rng=rng), (3, 4, 6)
    ),
    "HyperConnections": (
        lambda rng: nn.HyperConnections(nn.Linear(6, 6, rng=rng), 4, "doubly stochastic"), (3, 4, 6)
    ),
    "Dropout": (lambda rng: nn.Dropout(0.4, rng=rng), IMAGE),
    "StochasticDepth": (lambda rng: nn.StochasticDepth(nn.Conv2d(4, 4, 1, rng=rng), survival=0.7, rng=rng), IMAGE),
    "Residual": (lambda rng: nn.Residual(nn.Conv2d(4, 4, 3, padding=1, rng=rng)), IMAGE),
    "Highway": (lambda rng: nn.Highway(nn.Linear(5, 5, rng=rng), nn.Linear(5, 5, rng=rng)), VECTOR),
    "SqueezeExcite": (lambda rng: nn.SqueezeExcite(4, 2, rng=rng), IMAGE),
    "RNNCell": (lambda rng: nn.RNNCell(5, 3, rng=rng), VECTOR),
    "spectral norm": (lambda rng: nn.spectral_norm(nn.Conv2d(4, 3, 3, rng=rng), rng=rng), IMAGE),
    "Upsample": (lambda rng: nn.Upsample(scale_factor=2), IMAGE),
    "MaxPool2d": (lambda rng: nn.MaxPool2d(3, 2, 1), IMAGE),
    "AvgPool2d": (lambda rng: nn.AvgPool2d(2, padding=1, count_include_pad=False), IMAGE),
    "AdaptiveAvgPool2d": (lambda rng: nn.AdaptiveAvgPool2d((2, 4)), IMAGE),
    "Conv1d": (lambda rng: nn.Conv1d(4, 6, 3, padding="same", rng=rng), (3, 4, 7)),
    "Conv2d, reflected": (lambda rng: nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect", rng=rng), IMAGE),
    "ConvTranspose1d": (lambda rng: nn.ConvTranspose1d(4, 6, 3, stride=2, rng=rng), (3, 4, 7)),
    "BatchNorm1d of signals": (lambda rng: nn.BatchNorm1d(4), (3, 4, 7)),
    "GroupNorm": (lambda rng: nn.GroupNorm(2, 4), IMAGE),
    "InstanceNorm2d": (lambda rng: nn.InstanceNorm2d(4, affine=True, track_running_stats=True), IMAGE),
    "GRUCell": (lambda rng: nn.GRUCell(5, 3, rng=rng), VECTOR),
    "Dropout2d": (lambda rng: nn.Dropout2d(0.4, rng=rng), IMAGE),
    "PReLU": (lambda rng: nn.PReLU(4), IMAGE),
    "Upsample, bilinear": (lambda rng: nn.Upsample(scale_factor=1.5, mode="bilinear"), IMAGE),
    "MaxPool2d, ceil": (lambda rng: nn.MaxPool2d(3, 2, 1, ceil_mode=True), IMAGE),
    "AvgPool2d, ceil": (lambda rng: nn.AvgPool2d(3, 2, 1, ceil_mode=True), IMAGE),
    "Scale and Shift": (lambda rng: nn.Sequential(nn.Scale(0.5), nn.Shift(0.25)), VECTOR),
    **{kind.__name__: (lambda rng, kind=kind: kind(), VECTOR)
       for kind in (nn.ELU, nn.GELU, nn.LeakyReLU, nn.LogSigmoid, nn.ReLU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Tanh)},
}  # fmt: skip


def close(found, expected, rtol=1e-9):
    assert found.device == "cuda"
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=rtol, atol=rtol)


def twins(make, seed=0):
    """The same module here and there, in float64."""
    return make(np.random.default_rng(seed)).to("float64"), make(np.random.default_rng(seed)).to("float64").to("cuda")


@pytest.mark.parametrize("name", MODULES)
def test_a_module_and_its_gradients_are_the_same(name, gpu):
    make, shape = MODULES[name]
    rng = np.random.default_rng(3)
    x, g = rng.standard_normal(shape), None
    found = []
    for module in twins(make):
        device = "cuda" if found else "cpu"
        input = tr.tensor(x).to(device).requires_grad_()
        with no_copies():
            y = module(input)
            if g is None:
                g = rng.standard_normal(y.shape)
            y.backward(tr.tensor(g).to(device))
        found.append([y, input.grad, *(p.grad for p in module.parameters()), *module.buffers()])
    for here, there in zip(*found, strict=True):
        close(there, here)


def test_an_embedding_takes_indices_from_the_gpu(gpu):
    rows = np.array([[0, 2], [2, 5]])
    here, there = twins(lambda rng: nn.Embedding(6, 3, rng=rng))
    here(tr.tensor(rows)).sum().backward()
    with no_copies():
        there(tr.tensor(rows).to("cuda")).sum().backward()
    close(there.weight.grad, here.weight.grad)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_sequence_and_its_gradients_are_the_same(kind, gpu):
    x = np.random.default_rng(1).standard_normal((4, 2, 5))
    found = []
    for module, device in zip(
        twins(lambda rng: kind(5, 3, 2, bidirectional=True, rng=rng)), ("cpu", "cuda"), strict=True
    ):
        with no_copies():
            y, _ = module(tr.tensor(x).to(device))
            (y**2).sum().backward()
        found.append([y, *(p.grad for p in module.parameters())])
    for here, there in zip(*found, strict=True):
        close(there, here)


def test_winners_places_and_weighted_losses_are_the_same(gpu):
    rng = np.random.default_rng(2)
    x, weight, classes = rng.standard_normal(IMAGE), rng.random(4) + 0.5, rng.integers(0, 4, (3, 6, 6))
    found = []
    for device in ("cpu", "cuda"):
        image, target = tr.tensor(x).to(device), tr.tensor(classes).to(device)
        loss = nn.CrossEntropyLoss(tr.tensor(weight), ignore_index=1, label_smoothing=0.1).to(device)
        with no_copies():
            _, places = nn.functional.max_pool2d(image, 3, 2, 1, return_indices=True)
            value = loss(image, target)
        found.append([places, value])
    for here, there in zip(*found, strict=True):
        close(there, here)


def test_an_lstm_begins_with_a_state_on_its_inputs_device(gpu):
    x = np.random.default_rng(1).standard_normal((2, 5))
    here, there = twins(lambda rng: nn.LSTMCell(5, 3, rng=rng))
    for expected, found in zip(here(tr.tensor(x)), there(tr.tensor(x).to("cuda")), strict=True):
        close(found, expected)


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
    nets = twins(MODULES["Linear"][0])
    optimizers = [OPTIMIZERS[name](net.parameters()) for net in nets]
    x_there, classes_there = x.to("cuda"), classes.to("cuda")
    for _ in range(3):
        step(nets[0], optimizers[0], x, classes)
        with no_copies():
            step(nets[1], optimizers[1], x_there, classes_there)
    tr.save(nets[1], tmp_path / "net.safetensors")
    moments, texts = optim.flat(optimizers[1].state_dict())
    tr.save(moments, tmp_path / "optimizer.safetensors", texts)
    again = MODULES["Linear"][0](9).to("float64").to("cuda")
    optimizer = OPTIMIZERS[name](again.parameters())
    tr.load(tmp_path / "net.safetensors", into=again)
    file = tmp_path / "optimizer.safetensors"
    optimizer.load_state_dict(optim.nested(tr.load(file), tr.load_metadata(file)))
    step(nets[0], optimizers[0], x, classes)
    step(again, optimizer, x_there, classes_there)
    for here, there in zip(nets[0].parameters(), again.parameters(), strict=True):
        close(there, here)


def test_gradients_are_clipped_where_they_are(gpu):
    here, there = twins(MODULES["Linear"][0])
    norms = []
    for net in (here, there):
        (net(tr.tensor(np.ones(VECTOR)).to(net.weight.device)) ** 2).sum().backward()
        norms.append(optim.clip_grad_norm_(net.parameters(), 0.5))
        optim.clip_grad_value_(net.parameters(), 0.1)
    assert norms[0] == pytest.approx(norms[1], rel=1e-12)
    close(there.weight.grad, here.weight.grad)


def test_hooks_see_and_replace_what_is_there(gpu):
    here, there = twins(MODULES["Linear"][0])
    inputs = []
    for net in (here, there):
        device = net.weight.device
        x = tr.tensor(np.ones(VECTOR)).to(device).requires_grad_()
        net.register_forward_hook(lambda m, args, y: y * 2)
        net.register_full_backward_hook(lambda m, gi, go: (gi[0] * go[0].sum(),))
        net.weight.register_hook(lambda g: g * g)
        x.register_hook(lambda g: g + 1)
        with no_copies():
            (net(x) ** 2).sum().backward()
        inputs.append(x)
    close(inputs[1].grad, inputs[0].grad)
    close(there.weight.grad, here.weight.grad)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_groups_of_parameters(name, gpu):
    rng = np.random.default_rng(0)
    x, classes = tr.tensor(rng.standard_normal(VECTOR)), tr.tensor(rng.integers(0, 4, 3))
    nets = twins(MODULES["Linear"][0])
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


# -- moving ---------------------------------------------------------------------------------------------------------
def test_a_model_goes_there_and_back_with_every_bit_and_its_layout(gpu):
    net = models.resnet(8, 4, rng=0)
    net(tr.tensor(np.ones((2, 3, 8, 8), np.float32))).sum().backward()
    before = {k: (v.numpy(), v.data.strides) for k, v in net.state_dict().items()}
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    assert net.to("cuda") is net
    assert {t.device for t in (*net.parameters(), *net.buffers())} == {"cuda"}
    assert {p.grad.device for p in net.parameters()} == {"cuda"}
    assert {k: v.data.strides for k, v in net.state_dict().items()} == {k: s for k, (_, s) in before.items()}
    assert optimizer.params[0] is next(net.parameters())  # the optimiser need not be made anew
    net.to("cpu")
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name][0])
        assert value.data.strides == before[name][1]


def test_a_saved_model_is_the_same_file_from_either_device(gpu, tmp_path):
    here, there = twins(MODULES["Conv2d"][0])
    tr.save(here, tmp_path / "here")
    tr.save(there, tmp_path / "there")
    assert (tmp_path / "here").read_bytes() == (tmp_path / "there").read_bytes()


def test_batches_travel_in_their_layout(gpu):
    images = data.Dataset(np.random.default_rng(0).random((5, 3, 4, 4), np.float32), np.arange(5), "five", 5)
    for x, target in data.DataLoader(images, 2, shuffle=True):
        there = x.to("cuda")
        assert there.data.strides == x.data.strides  # channels last: nothing is copied before the first convolution
        np.testing.assert_array_equal(there.numpy(), x.numpy())
        np.testing.assert_array_equal(target.to("cuda").numpy(), target.numpy())


def test_a_move_carries_gradients_across(gpu):
    x = tr.tensor(np.arange(3.0), requires_grad=True)
    (g,) = tr.grad((x.to("cuda") ** 2).sum(), [x])
    assert g.device == "cpu"
    np.testing.assert_array_equal(g.numpy(), [0, 2, 4])


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


def test_batches_and_counts_stay_on_the_device_of_the_tensors(gpu):
    x, y = np.arange(10.0).reshape(5, 2), np.array([2, 0, 2, 1, 4])
    found = []
    for device in ("cpu", "cuda"):
        tensors = [tr.tensor(a).to(device) for a in (x, y)]
        batches = list(DataLoader(TensorDataset(*tensors), 2, shuffle=True, generator=3))
        assert {t.device for batch in batches for t in batch} == {device}
        found.append([*(t for batch in batches for t in batch), tr.bincount(tensors[1])])
    for here, there in zip(*found, strict=True):
        close(there, here)
