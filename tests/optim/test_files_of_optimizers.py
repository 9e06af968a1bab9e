"""Optimiser states in files: training goes on with the same bits."""

import json

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn, optim

ALL = {
    "SGD": lambda p: optim.SGD(p, lr=0.01),
    "momentum": lambda p: optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda p: optim.Adam(p, lr=0.01, betas=(0.85, 0.99)),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
}
EACH = pytest.mark.parametrize("make", ALL.values(), ids=ALL)


def net(seed, dtype="float32"):
    """A convolution (whose memory is in another order than its shape), a batch norm, and a number by itself."""
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, rng=seed), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 2, rng=1)
    )
    model.temperature = nn.Parameter(np.array(1.5, np.float32))
    model.unused = nn.Parameter(np.ones(2, np.float32))  # never gets a gradient, nor a state
    return model.to(dtype)


def train(model, optimizer, steps, first=0):
    for k in range(first, first + steps):
        x = np.random.default_rng(k).standard_normal((3, 2, 4, 4)).astype(model[0].weight.dtype)
        model.zero_grad()
        ((model(tr.tensor(x)) * model.temperature) ** 2).mean().backward()
        optimizer.step()


def same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        assert left[name].dtype == right[name].dtype
        assert left[name].numpy().tobytes() == right[name].numpy().tobytes(), name


@EACH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stop", [0, 4])
def test_a_run_that_is_saved_and_loaded_goes_on_with_the_same_bits(make, dtype, stop, tmp_path):
    whole = net(0, dtype)
    train(whole, make(whole.parameters()), 9)

    first = net(0, dtype)
    optimizer = make(first.parameters())
    train(first, optimizer, stop)
    arrays, texts = optim.flat(optimizer.state_dict())
    tr.save(first, tmp_path / "model.safetensors")
    tr.save(arrays, tmp_path / "optimizer.safetensors", texts)
    optimizer.lr = 7.0  # what is done after a snapshot does not reach it

    second = net(5, dtype)
    tr.load(tmp_path / "model.safetensors", into=second)
    again = type(optimizer)(second.parameters(), lr=0.5)
    path = tmp_path / "optimizer.safetensors"
    again.load_state_dict(optim.nested(tr.load(path), tr.load_metadata(path)))  # the file's settings count
    train(second, again, 9 - stop, first=stop)
    same(second.state_dict(), whole.state_dict())
    assert np.isfinite(whole[0].weight.numpy()).all()


@EACH
def test_the_round_trip_without_a_file(make):
    model = net(0)
    optimizer = make(model.parameters())
    train(model, optimizer, 3)
    state = optimizer.state_dict()
    again = optim.nested(*optim.flat(state))
    assert again["param_groups"] == state["param_groups"]
    assert again["state"].keys() == state["state"].keys()
    for i, old in state["state"].items():
        new = again["state"][i]
        assert old.keys() == new.keys()
        for name, value in old.items():
            assert type(new[name]) is type(value)
            np.testing.assert_array_equal(new[name], value)
    unused = [name for name, _ in model.named_parameters()].index("unused")
    assert again["param_groups"][0]["params"] == list(range(len(list(model.parameters()))))
    assert unused not in again["state"]


def test_names_and_texts():
    model = net(0)
    optimizer = optim.Adam(model.parameters(), lr=np.float32(0.1))  # as a schedule computed with NumPy would have it
    train(model, optimizer, 2)
    arrays, texts = optim.flat(optimizer.state_dict())
    where = [name for name, _ in model.named_parameters()].index("0.weight")
    assert {name for name in arrays if name.startswith(f"{where}.")} == {
        f"{where}.{kind}" for kind in ("step", "exp_avg", "exp_avg_sq")
    }
    assert arrays[f"{where}.step"] == 2
    about = json.loads(texts["optimizer"])
    (group,) = about["param_groups"]
    assert group["params"] == 8
    assert group["betas"] == [0.9, 0.999]
    assert optim.nested(arrays, texts)["param_groups"][0]["betas"] == (0.9, 0.999)


def test_errors():
    arrays, texts = optim.flat(optim.Adam([nn.Parameter([1.0])]).state_dict())
    assert arrays == {}
    with pytest.raises(ValueError, match=r"nested: needs the text 'optimizer' that flat made, got \['note'\]"):
        optim.nested(arrays, {"note": "x"})
    for name in ("1.step", "conv.weight", "0", "0.", "-1.step", "²x.y", "².y"):
        with pytest.raises(ValueError, match=r"arrays must be called 'i.name' with i below 1"):
            optim.nested({name: np.zeros(1)}, texts)


def test_the_state_takes_its_parameters_dtype_and_layout():
    images = np.asfortranarray(np.ones((3, 4)))
    parameter = nn.Parameter(images.astype(np.float32, order="F"))
    optimizer = optim.Adam([parameter])
    moments = {name: np.arange(12.0).reshape(3, 4) for name in ("exp_avg", "exp_avg_sq")}
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"param_groups": groups, "state": {0: {"step": 3, **moments}}})
    (state,) = optimizer.state
    assert state["step"] == 3
    for name, given in moments.items():
        assert state[name].dtype == np.float32
        assert state[name].strides == parameter.data.strides
        np.testing.assert_array_equal(state[name], given)
    parameter.grad = tr.tensor(np.ones((3, 4), np.float32))
    optimizer.step()
    assert parameter.dtype == np.float32
