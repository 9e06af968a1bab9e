"""Modules on the other device, and moved there: the same numbers, and nothing copied back."""

import numpy as np
import pytest

import tinyres as tr
from tests.device.double import no_copies
from tests.device.twins import VECTOR, close, linear, twins
from tinyres import data, models, nn, optim
from tinyres.utils.data import DataLoader, TensorDataset

IMAGE = (3, 4, 6, 6)
MODULES = {
    "Linear": (linear, VECTOR),
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


def test_hooks_see_and_replace_what_is_there(gpu):
    here, there = twins(linear)
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
