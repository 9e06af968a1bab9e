"""How a module is saved, loaded, copied and moved."""

import copy
import gc
import weakref

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.optim import SGD


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


def images(seed=0, shape=(3, 2, 4, 4)):
    return tr.tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def train_step(net):
    SGD(net.parameters(), lr=1.0, weight_decay=0.1).step()


def test_loading_gives_the_same_outputs():
    a, b = Net(0), Net(1)
    a(images())
    assert b.load_state_dict(a.state_dict()) == ([], [])
    np.testing.assert_array_equal(a.eval()(images()).detach().numpy(), b.eval()(images()).detach().numpy())
    assert b.norm.num_batches_tracked.item() == 1
    assert b.norm.num_batches_tracked.dtype == np.int64


def test_a_state_dict_is_a_snapshot():
    net = Net()
    saved = net.state_dict()
    before = {k: v.numpy().copy() for k, v in saved.items()}
    net(images()).sum().backward()
    train_step(net)
    for key, value in saved.items():
        np.testing.assert_array_equal(value.numpy(), before[key], err_msg=key)
        assert not value.requires_grad


def test_a_wrong_state_dict_is_refused_whole_and_in_one_message():
    net = Net()
    state = {k: v.numpy() + 1 for k, v in net.state_dict().items()}
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    del state["norm.bias"], state["seen"]
    state["head.extra"] = np.zeros(1)
    state["conv1.weight"] = np.zeros((4, 3, 3, 3))
    state["head.bias"] = np.zeros(4)
    state["head.weight"] = np.zeros((4, 3))  # of the right size
    with pytest.raises(RuntimeError) as error:
        net.load_state_dict(state)
    for line in [
        "load_state_dict of Net",
        "missing: norm.bias",
        "missing: seen",
        "unexpected: head.extra",
        "wrong shape: conv1.weight is (4, 2, 3, 3) here, (4, 3, 3, 3) in the state_dict",
        "wrong shape: head.weight is (3, 4) here, (4, 3) in the state_dict",
        "wrong shape: head.bias is (3,) here, (4,) in the state_dict",
    ]:
        assert line in str(error.value)
    with pytest.raises(RuntimeError, match="wrong shape"):
        net.load_state_dict(state, strict=False)
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key], err_msg=key)
    del state["conv1.weight"], state["head.bias"], state["head.weight"]
    keys = net.load_state_dict(state, strict=False)
    assert keys.missing_keys == ["seen", "conv1.weight", "norm.bias", "head.weight", "head.bias"]
    assert keys.unexpected_keys == ["head.extra"]
    np.testing.assert_array_equal(net.scale.detach().numpy(), before["scale"] + 1)


def test_a_value_that_cannot_be_read_leaves_the_module_as_it_was():
    net = Net()
    before = net.state_dict()
    state = {k: v.numpy() + 1 for k, v in before.items()}
    state["head.bias"] = np.array(["a", "b", "c"])
    with pytest.raises(ValueError, match="could not convert"):
        net.load_state_dict(state)
    assert all(net.state_dict()[k]._data is v._data for k, v in before.items())


def layouts(net):
    return {k: np.argsort(v.data.strides, kind="stable").tolist() for k, v in net.state_dict().items() if v.ndim == 4}


def test_weights_keep_their_memory_layout():
    net = nn.Sequential(nn.Conv2d(4, 6, (3, 2), groups=2), nn.ConvTranspose2d(6, 4, (2, 5), groups=2))
    for conv, memory in [(net[0], (3, 2, 2, 6)), (net[1], (2, 5, 2, 6))]:
        in_memory = conv.weight.data.transpose(2, 3, 1, 0)
        assert in_memory.shape == memory
        assert in_memory.flags.c_contiguous
    want = layouts(net)
    net.load_state_dict({k: np.ascontiguousarray(v.numpy()) for k, v in net.state_dict().items()})
    assert layouts(net) == want
    assert layouts(copy.deepcopy(net)) == want
    assert layouts(net.to("float64")) == want
    assert layouts(net.to("cpu")) == want
    for p in net.parameters():
        p.grad = tr.tensor(np.ones(p.shape))  # row-major, unlike the weights
    train_step(net)
    assert layouts(net) == want
    nn.init.kaiming_normal_(net[0].weight)
    assert layouts(net) == want


def test_to_a_dtype_takes_gradients_along_and_leaves_integers():
    net = Net()
    net(images()).sum().backward()
    assert net.to(np.float64) is net
    assert {p.dtype for p in net.parameters()} == {np.dtype("float64")}
    assert {p.grad.dtype for p in net.parameters()} == {np.dtype("float64")}
    assert net.norm.running_mean.dtype == np.float64
    assert net.norm.num_batches_tracked.dtype == np.int64
    net(tr.tensor(np.ones((2, 2, 4, 4)))).sum().backward()  # a new graph reaches the converted leaves
    with pytest.raises(TypeError, match="'gpu' is neither a device"):
        net.to("gpu")
    with pytest.raises(TypeError, match="floating dtype, got int32"):
        net.to("int32")


def test_a_deep_copy_shares_nothing():
    net = Net()
    net(images()).sum().backward()
    twin = copy.deepcopy(net)
    assert isinstance(twin.conv1.weight, nn.Parameter)
    assert all(p.requires_grad and p.grad is None for p in twin.parameters())
    train_step(net)
    assert not np.array_equal(net.head.bias.detach().numpy(), twin.head.bias.detach().numpy())
    np.testing.assert_array_equal(twin.norm.running_mean.numpy(), net.norm.running_mean.numpy())
    assert twin.norm.running_mean is not net.norm.running_mean
    assert twin.blocks[1][1].rng is not net.blocks[1][1].rng
    frozen = copy.deepcopy(net.requires_grad_(False))
    assert not any(p.requires_grad for p in frozen.parameters())


def test_modules_make_no_reference_cycles():
    gc.disable()
    try:
        net = Net()
        loss = net(images()).sum()
        loss.backward()
        gone = weakref.ref(net)
        del net, loss
        assert gone() is None
    finally:
        gc.enable()


def test_a_buffer_that_is_not_persistent_moves_with_the_module_and_is_not_saved():
    class Owner(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("kept", tr.tensor([1.0]), persistent=True)
            self.register_buffer("mask", tensor=tr.tensor([2.0]), persistent=False)

    outer = nn.Sequential(Owner(), Owner())
    assert list(outer.state_dict()) == ["0.kept", "1.kept"]
    assert [name for name, _ in outer.named_buffers()] == ["0.kept", "0.mask", "1.kept", "1.mask"]
    outer.load_state_dict({"0.kept": tr.tensor([5.0]), "1.kept": tr.tensor([6.0])})
    with pytest.raises(RuntimeError, match=r"unexpected: 0\.mask"):
        outer.load_state_dict({**outer.state_dict(), "0.mask": tr.tensor([5.0])})
    assert outer.to("float64")[0].mask.dtype == tr.float64
    outer[0].register_buffer("mask", tr.tensor([3.0]))
    assert "0.mask" in outer.state_dict()


def test_arguments_of_pytorch_that_change_no_number():
    x, layer = tr.ones(2, 3), nn.Linear(3, 1, rng=0)
    assert x.to("cpu", non_blocking=True).tolist() == x.to(tr.float64, copy=True).tolist() == x.tolist()
    for kind in (tr.optim.SGD, tr.optim.Adam, tr.optim.AdamW, tr.optim.RMSprop):
        kind(layer.parameters(), lr=0.1, foreach=True, fused=False)
    layer(x).sum().backward()
    assert nn.utils.clip_grad_norm_(layer.parameters(), 1.0, norm_type=2, foreach=True) > 1
    with pytest.raises(ValueError, match="norm_type must be 2, got 1"):
        nn.utils.clip_grad_norm_(layer.parameters(), 1.0, norm_type=1)
    layer.weight.grad = tr.tensor([[float("inf")] * 3])
    with pytest.raises(RuntimeError, match="the norm of the gradients is inf"):
        nn.utils.clip_grad_norm_(layer.parameters(), 1.0, error_if_nonfinite=True)
    loader = tr.utils.data.DataLoader(
        tr.utils.data.TensorDataset(x), num_workers=2, timeout=3, worker_init_fn=print, prefetch_factor=2
    )
    assert len(loader) == 2
