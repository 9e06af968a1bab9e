"""What PyTorch's users write about modules besides: holders, access by name, conversions, utilities, initialisers."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn, optim
from tinyres.nn import init, utils


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleDict({"fc": nn.Linear(3, 3, rng=0), "act": nn.Tanh()})
        self.scales = nn.ParameterList([nn.Parameter(np.ones(3, "f")), tr.tensor([2.0, 2.0, 2.0])])
        self.named = nn.ParameterDict({"shift": tr.tensor([0.5])})
        self.register_parameter("none", None)
        self.register_buffer("count", tr.tensor([1.0]))
        self.add_module("last", nn.BatchNorm1d(3))

    def forward(self, x):
        for name in self.layers:
            x = self.layers[name](x)
        for scale in self.scales:
            x = x * scale
        return self.last(x + self.named["shift"])


def test_holders_are_found_saved_and_trained():
    net = Net()
    assert list(net.state_dict()) == [
        "count", "layers.fc.weight", "layers.fc.bias", "scales.0", "scales.1", "named.shift", "last.weight",
        "last.bias", "last.running_mean", "last.running_var", "last.num_batches_tracked",
    ]  # fmt: skip
    net(tr.tensor(np.random.default_rng(0).normal(size=(4, 3)).astype("f"))).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    optim.SGD(net.parameters(), lr=0.1).step()
    twin = Net()
    twin.load_state_dict(net.state_dict())
    assert (twin.scales[1].numpy() == net.scales[1].numpy()).all()


def test_dictionaries_and_lists_of_modules():
    found = nn.ModuleDict({"a": nn.ReLU()})
    found["b"] = nn.Tanh()
    found.update({"c": nn.Identity()})
    assert list(found) == list(found.keys()) == ["a", "b", "c"]
    assert [type(m).__name__ for m in found.values()] == ["ReLU", "Tanh", "Identity"]
    assert "b" in found
    assert isinstance(found.pop("b"), nn.Tanh)
    del found["c"]
    assert len(found) == 1
    assert dict(found.items()) == {"a": found["a"]}
    with pytest.raises(TypeError, match="ModuleDict: 'f' must be a Module"):
        found["f"] = tr.relu
    with pytest.raises(KeyError, match="'keys' is the name of a method"):
        found["keys"] = nn.ReLU()
    with pytest.raises(TypeError, match="it has no forward"):
        found(1)
    row = nn.Sequential(nn.Linear(2, 3, rng=0), nn.ReLU(), nn.Linear(3, 1, rng=0))
    assert type(row[:2]) is nn.Sequential
    assert row[:2][0] is row[0]
    row[1] = nn.Tanh()
    row.insert(1, nn.Identity()).extend([nn.Sigmoid()])
    assert [type(m).__name__ for m in row] == ["Linear", "Identity", "Tanh", "Linear", "Sigmoid"]
    assert list(dict(row.named_children())) == ["0", "1", "2", "3", "4"]
    listed = nn.ModuleList([nn.ReLU(), nn.Tanh()]).insert(0, nn.Identity())
    assert [type(m).__name__ for m in listed[1:]] == ["ReLU", "Tanh"]
    parameters = nn.ParameterList([tr.tensor([1.0]), tr.tensor([2.0])])
    parameters[0] = nn.Parameter(np.full(1, 3.0, "f"))
    assert [p.item() for p in parameters] == [3.0, 2.0]
    with pytest.raises(TypeError, match="ParameterList: needs parameters or tensors, got float"):
        parameters.append(1.0)


def test_a_module_in_a_dictionary_knows_its_path():
    class Outer(nn.Module):
        def __init__(self):
            self.parts = nn.ModuleDict({"fc": nn.Linear(3, 3, rng=0)})

        def forward(self, x):
            return self.parts["fc"](x)

    with pytest.raises(ValueError, match=r"at 'parts\.fc'"):
        Outer()(tr.tensor(np.ones((1, 2), "f")))


def test_parts_by_name():
    net = Net()
    assert net.get_submodule("layers.fc") is net.layers["fc"]
    assert net.get_submodule("") is net
    assert net.get_parameter("layers.fc.bias") is net.layers["fc"].bias
    assert net.get_buffer("last.running_mean") is net.last.running_mean
    for get, name in ((net.get_parameter, "last.running_mean"), (net.get_buffer, "last.weight"),
                      (net.get_submodule, "last.weight"), (net.get_submodule, "first")):  # fmt: skip
        with pytest.raises(AttributeError):
            get(name)
    assert [name for name, _ in net.last.named_parameters("norm")] == ["norm.weight", "norm.bias"]
    assert next(net.last.named_buffers(prefix="n"))[0] == "n.running_mean"
    assert [name for name, _ in net.layers.named_modules("m")] == ["m", "m.fc", "m.act"]


def test_conversions():
    net = nn.Linear(2, 2, rng=0)
    assert net.double().weight.dtype == np.float64
    assert net.float().weight.dtype == np.float32
    assert net.to("cpu", "float64").weight.dtype == np.float64
    assert net.to(dtype="float32", device="cpu").cpu() is net
    assert net.weight.dtype == np.float32
    net(tr.tensor(np.ones((1, 2), "f"))).sum().backward()
    net.zero_grad(set_to_none=False)
    assert not net.weight.grad.numpy().any()
    net.zero_grad()
    assert net.weight.grad is None


def test_utilities():
    net = nn.Linear(3, 2, rng=0)
    vector = utils.parameters_to_vector(net.parameters())
    assert vector.shape == (8,)
    utils.vector_to_parameters(vector * 0 + np.arange(8, dtype="f"), net.parameters())
    np.testing.assert_array_equal(net.weight.numpy(), np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(net.bias.numpy(), [6, 7])
    with pytest.raises(ValueError, match=r"vec must have shape \(8,\), got \(7,\)"):
        utils.vector_to_parameters(vector[1:], net.parameters())
    net(tr.tensor(np.ones((4, 3), "f"))).sum().backward()
    assert utils.clip_grad_norm_(net.parameters(), 1.0) > 1
    assert utils.clip_grad_norm_ is optim.clip_grad_norm_
    assert utils.spectral_norm is nn.spectral_norm
    assert nn.spectral_norm(nn.Conv1d(2, 3, 2, rng=0))(tr.tensor(np.ones((1, 2, 4), "f"))).shape == (1, 3, 3)
    layer = nn.spectral_norm(nn.ConvTranspose1d(2, 3, 2, rng=0)).eval()
    assert layer.weight_u.shape == (3,)


def test_initialisers():
    weight = nn.Parameter(np.empty((3, 4), "f"))
    np.testing.assert_array_equal(init.eye_(weight).numpy(), np.eye(3, 4))
    conv = nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False, rng=0)
    init.dirac_(conv.weight, groups=2)
    x = tr.tensor(np.random.default_rng(0).normal(size=(1, 4, 5, 5)).astype("f"))
    np.testing.assert_array_equal(conv(x).numpy(), x.numpy())
    draws = init.trunc_normal_(nn.Parameter(np.empty(20000)), 0.5, 1.0, 0.0, 1.5, rng=0).numpy()
    assert 0 <= draws.min() < 0.01
    assert 1.49 < draws.max() <= 1.5
    cut, phi = 0.19146246127401312, 0.35206532676429952  # the normal distribution from 0 to 1/2, its density there
    tail = 0.34134474606854293, 0.24197072451914337
    expected = 0.5 + (phi - tail[1]) / (cut + tail[0])
    assert draws.mean() == pytest.approx(expected, abs=0.01)
    with pytest.raises(ValueError, match=r"trunc_normal_: \[5.0, 6.0\] holds next to nothing"):
        init.trunc_normal_(weight, a=5.0, b=6.0)
    with pytest.raises(TypeError, match=r"pass the parameter itself, layer\.weight, and not its \.data"):
        init.normal_(weight.data, 0.0, 0.02)
    with pytest.raises(ValueError, match="eye_: needs a matrix"):
        init.eye_(conv.weight)
    with pytest.raises(ValueError, match="dirac_: needs"):
        init.dirac_(weight)
