"""What a module holds, under which names and paths, its modes, containers and repr."""

import copy

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.context import current


class Net(nn.Module):
    def __init__(self, rng=0):
        rng = np.random.default_rng(rng)
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1, rng=rng)
        self.scale = nn.Parameter([1.0])
        self.norm = nn.BatchNorm2d(4)
        self.blocks = nn.ModuleList([nn.Conv2d(4, 4, 1, rng=rng)])
        self.blocks.append(nn.Sequential(nn.ReLU(), nn.Dropout(0.5, rng=rng)))
        self.register_buffer("seen", tr.tensor([0.0]))
        self.head = nn.Linear(4, 3, rng=rng)

    def forward(self, x):
        x = self.norm(self.conv1(x)) * self.scale
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


KEYS = [
    "scale", "seen", "conv1.weight", "conv1.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var",
    "norm.num_batches_tracked", "blocks.0.weight", "blocks.0.bias", "head.weight", "head.bias",
]  # fmt: skip


def images(seed=0, shape=(3, 2, 4, 4)):
    return tr.tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def test_names_come_in_the_order_of_assignment_own_ones_first():
    net = Net()
    assert list(net.state_dict()) == KEYS
    state = {"seen", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}
    assert [k for k, _ in net.named_parameters()] == [k for k in KEYS if k not in state]
    assert [k for k, _ in net.named_buffers()] == [k for k in KEYS if k in state]
    assert [k for k, _ in net.named_children()] == ["conv1", "norm", "blocks", "head"]
    assert [k for k, _ in net.named_modules()] == [
        "", "conv1", "norm", "blocks", "blocks.0", "blocks.1", "blocks.1.0", "blocks.1.1", "head"
    ]  # fmt: skip
    assert [k for k, _ in net.named_parameters(recurse=False)] == ["scale"]
    assert net.parameter_count() == sum(p.size for p in net.parameters()) == 1 + 76 + 8 + 20 + 15


def test_what_is_shared_is_listed_once_but_saved_under_both_names():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    assert [k for k, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    twin = copy.deepcopy(net)
    assert twin[0].weight is twin[1].weight
    assert twin[0].weight is not net[0].weight


def test_a_parameter_is_a_leaf_that_wants_a_gradient():
    p = nn.Parameter([1.0, 2.0])
    assert p.requires_grad
    assert p.is_leaf
    with pytest.raises(TypeError, match="cannot require a gradient"):
        nn.Parameter([1, 2])
    module = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"Linear\.weight is a Parameter and cannot become a Tensor"):
        module.weight = tr.tensor([1.0])
    module.bias = None
    assert list(module.state_dict()) == ["weight"]
    with pytest.raises(ValueError, match=r"'a\.b' must not contain a dot"):
        setattr(module, "a.b", nn.ReLU())


# -- paths ----------------------------------------------------------------------------------------------------------
class Spy(nn.Module):
    def forward(self, x):
        Spy.seen.append(current().path)
        return x


class Outer(nn.Module):
    def forward(self, x):
        return Spy()(x)  # no attribute holds it, so it has no name of its own


def test_the_path_names_the_running_module():
    class Model(nn.Module):
        def __init__(self):
            self.first = Spy()
            self.stages = nn.ModuleList([nn.Sequential(Spy(), Spy())])
            self.stages.append(Spy())
            self.stages[0].append(nn.Residual(Spy()))
            self.last = Outer()

        def forward(self, x):
            Spy.seen.append(current().path)
            for module in (self.first, *self.stages, Spy(), self.last):
                x = module(x)
            return x

    Spy.seen = []
    model = Model()
    model(images())
    assert Spy.seen == ["", "first", "stages.0.0", "stages.0.1", "stages.0.2.branch", "stages.1", "", "last"]
    Spy.seen = []
    model.stages[0][1](images())
    assert Spy.seen == ["1"], "a child that is called on its own starts from its own name"
    assert current().path is None


def test_nodes_carry_the_path():
    y = Net()(images())
    assert y.node.path == "head"
    with pytest.raises(ZeroDivisionError), tr.no_grad():
        nn.Sequential(nn.Identity())(1 / 0)
    assert current().path is None


# -- modes ----------------------------------------------------------------------------------------------------------
def test_train_eval_freeze_and_zero_grad():
    net = Net()
    assert all(m.training for m in net.modules())
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    net(images()).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    y = net(images())
    net.requires_grad_()  # nothing changes, so the graph above still leads to these leaves
    tr.grad(y.sum(), net.parameters())
    assert not net.requires_grad_(False)(images()).requires_grad
    assert net.requires_grad_(True)(images()).requires_grad


def test_apply_visits_children_first():
    seen = []
    net = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh()))
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["ReLU", "Tanh", "Sequential", "Sequential"]


# -- containers, repr -----------------------------------------------------------------------------------------------
def test_containers():
    row = nn.Sequential({"a": nn.ReLU(), "b": nn.Tanh()})
    assert [k for k, _ in row.named_children()] == ["a", "b"]
    assert len(row) == 2
    assert isinstance(row[-1], nn.Tanh)
    assert [type(m) for m in row] == [nn.ReLU, nn.Tanh]
    assert row.append(nn.ELU()) is row
    assert isinstance(row[2], nn.ELU)
    with pytest.raises(IndexError, match="index 3 is out of range for 3 modules"):
        row[3]
    with pytest.raises(TypeError, match=r"Sequential: '1' must be a Module.*nn\.ReLU\(\) for tr\.relu"):
        nn.Sequential(nn.ReLU(), tr.relu)
    with pytest.raises(TypeError, match="ModuleList: it has no forward"):
        nn.ModuleList([nn.ReLU()])(images())


def test_repr_is_nested():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.Residual(nn.Sequential(nn.LeakyReLU(0.2))))
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), bias=False)\n"
        "  (1): Residual(\n"
        "    (branch): Sequential(\n"
        "      (0): LeakyReLU(negative_slope=0.2)\n"
        "    )\n"
        "  )\n"
        ")"
    )
