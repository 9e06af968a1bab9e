"""Modules and losses against PyTorch in float64: values, gradients, gradients of gradients, state_dicts by key."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.ops import losses

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity
TOL = {"rtol": 1e-10, "atol": 1e-10}


def both(module, theirs):
    """The pair in float64 with PyTorch's weights; loading by key is part of what is tested."""
    theirs = theirs.double()
    module.to("float64").load_state_dict(theirs.state_dict())
    return module, theirs


def numbers(value):
    if isinstance(value, torch.Tensor):
        return value.numpy(force=True)
    return value.detach().numpy() if isinstance(value, tr.Tensor) else value


def orders(module, theirs, shape, seed=0):
    """Value, first and second derivatives with random cotangents, ours beside theirs."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    results = []
    for lib in ("ours", "theirs"):
        draw = np.random.default_rng(seed + 1)
        if lib == "ours":
            leaf = tr.tensor(x, requires_grad=True)
            y = module(leaf)
            make, grad = lambda a: tr.tensor(a, requires_grad=True), tr.grad
            inputs = [leaf, *module.parameters()]
        else:
            leaf = torch.tensor(x, requires_grad=True)
            y = theirs(leaf)
            make, grad = lambda a: torch.tensor(a, requires_grad=True), torch.autograd.grad
            inputs = [leaf, *theirs.parameters()]
        g = make(draw.normal(size=tuple(y.shape)))
        first = grad(y, inputs, g, create_graph=True)
        pairing = sum((f * make(draw.normal(size=tuple(f.shape)))).sum() for f in first)
        second = grad(pairing, [g, *inputs], allow_unused=True)
        results.append((y, first, [np.zeros(1) if s is None else s for s in second]))
    for ours, want in zip(*[[r[0], *r[1], *r[2]] for r in results], strict=True):
        ours, want = numbers(ours), numbers(want)
        if ours.shape != want.shape:  # one says None where the other says zeros
            assert not ours.any()
            assert not want.any()
        else:
            np.testing.assert_allclose(ours, want, **TOL)


LAYERS = {
    "linear": ("Linear", (5, 3), {}, (4, 5)),
    "linear on three axes": ("Linear", (5, 3), {"bias": False}, (2, 4, 5)),
    "conv": ("Conv2d", (4, 6, 3), {"stride": 2, "padding": 1}, (2, 4, 7, 6)),
    "conv, dilated groups": ("Conv2d", (4, 6, (3, 2)), {"padding": (2, 1), "dilation": 2, "groups": 2}, (2, 4, 7, 6)),
    "conv transpose": ("ConvTranspose2d", (4, 6, 4), {"stride": 2, "padding": 1}, (2, 4, 3, 5)),
    "conv transpose, groups": (
        "ConvTranspose2d", (4, 6, 3), {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}, (2, 4, 3, 5)
    ),
    "conv transpose, dilated": ("ConvTranspose2d", (2, 3, 3), {"dilation": 2, "bias": False}, (2, 2, 3, 4)),
    "batch norm 1d": ("BatchNorm1d", (3,), {}, (6, 3)),
    "batch norm 2d": ("BatchNorm2d", (3,), {"momentum": 0.3, "eps": 1e-3}, (4, 3, 2, 3)),
    "batch norm, plain": ("BatchNorm2d", (3,), {"affine": False, "track_running_stats": False}, (4, 3, 2, 3)),
    "max pool": ("MaxPool2d", (3,), {"stride": 2, "padding": 1}, (2, 3, 7, 6)),
    "avg pool": ("AvgPool2d", (3,), {"stride": 2, "padding": 1, "count_include_pad": False}, (2, 3, 7, 6)),
    "adaptive pool": ("AdaptiveAvgPool2d", ((3, 2),), {}, (2, 3, 7, 5)),
    "upsample": ("Upsample", (), {"scale_factor": 2}, (2, 3, 2, 3)),
    "flatten": ("Flatten", (), {}, (2, 3, 2, 2)),
    "leaky relu": ("LeakyReLU", (0.2,), {}, (3, 4)),
    "relu": ("ReLU", (), {}, (3, 4)),
    "elu": ("ELU", (0.7,), {}, (3, 4)),
    "gelu": ("GELU", (), {}, (3, 4)),
    "gelu tanh": ("GELU", (), {"approximate": "tanh"}, (3, 4)),
    "silu": ("SiLU", (), {}, (3, 4)),
    "sigmoid": ("Sigmoid", (), {}, (3, 4)),
    "tanh": ("Tanh", (), {}, (3, 4)),
    "softplus": ("Softplus", (2.0,), {}, (3, 4)),
    "log sigmoid": ("LogSigmoid", (), {}, (3, 4)),
    "softmax": ("Softmax", (), {"dim": 1}, (3, 4, 2)),
    "log softmax": ("LogSoftmax", (), {"dim": 1}, (3, 4, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    kind, args, settings, shape = LAYERS[name]
    orders(*both(getattr(nn, kind)(*args, **settings), getattr(torch.nn, kind)(*args, **settings)), shape)


@pytest.mark.parametrize(("kind", "shape"), [("BatchNorm1d", (6, 3)), ("BatchNorm2d", (4, 3, 2, 3))])
def test_batch_norm_keeps_the_same_statistics_and_uses_them(kind, shape):
    rng = np.random.default_rng(2)
    ours, theirs = both(getattr(nn, kind)(3), getattr(torch.nn, kind)(3))
    for _ in range(3):
        x = rng.normal(1, 2, shape)
        ours(tr.tensor(x))
        theirs(torch.tensor(x))
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key].numpy(), value.numpy(), **TOL, err_msg=key)
    orders(ours.eval(), theirs.eval(), shape)


def block(lib):
    return lib.Sequential(
        lib.Conv2d(3, 4, 3, padding=1, bias=False), lib.BatchNorm2d(4), lib.ReLU(), lib.Sequential(lib.Conv2d(4, 5, 1)),
        lib.BatchNorm2d(5), lib.Tanh(), lib.AvgPool2d(2), lib.Flatten(), lib.Linear(20, 3),
    )  # fmt: skip


def test_a_network_loads_by_key_and_agrees_to_second_order():
    ours, theirs = block(nn), block(torch.nn).double()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()
    }
    orders(*both(ours, theirs), (3, 3, 4, 4))
    assert repr(ours[0]) == repr(theirs[0])
    assert repr(ours).splitlines()[:2] == repr(theirs).splitlines()[:2]


LOSSES = {
    "cross_entropy": ((5, 4), "class"),
    "nll_loss": ((5, 4, 2, 3), "class"),
    "binary_cross_entropy": ((5, 4), "soft"),
    "binary_cross_entropy_with_logits": ((5, 4), "soft"),
    "mse_loss": ((5, 4), "soft"),
    "l1_loss": ((5, 4), "soft"),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_loss(name, reduction):
    shape, kind = LOSSES[name]
    rng = np.random.default_rng(3)
    target = rng.integers(0, 4, (shape[0], *shape[2:])) if kind == "class" else rng.uniform(0, 1, shape)
    squash = name == "binary_cross_entropy"  # its input must be probabilities

    def ours(z):
        return getattr(losses, name)(tr.sigmoid(z) if squash else z, target, reduction=reduction)

    def theirs(z):
        z = torch.sigmoid(z) if squash else z
        return getattr(torch.nn.functional, name)(z, torch.tensor(target), reduction=reduction)

    ours.parameters = theirs.parameters = list
    orders(ours, theirs, shape)


def test_binary_cross_entropy_limits_its_logarithms_as_pytorch_does():
    p, t = np.array([0.0, 1.0, 0.0, 1.0, 1e-60]), np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    want = torch.nn.functional.binary_cross_entropy(torch.tensor(p), torch.tensor(t), reduction="none")
    np.testing.assert_allclose(
        losses.binary_cross_entropy(tr.tensor(p), t, reduction="none").numpy(), want.numpy(), **TOL
    )


def test_default_initialisation_has_the_same_range():
    torch.manual_seed(0)
    for name, args in [("Linear", (30, 40)), ("Conv2d", (6, 8, 5)), ("ConvTranspose2d", (6, 8, 5))]:
        ours, theirs = getattr(nn, name)(*args, rng=0), getattr(torch.nn, name)(*args)
        for key, value in theirs.state_dict().items():
            mine = ours.state_dict()[key].numpy()
            assert mine.shape == tuple(value.shape)
            if key == "weight":
                assert abs(mine).max() == pytest.approx(float(value.abs().max()), rel=0.05)
                assert abs(mine.mean()) < 0.05 * abs(mine).max()
            else:
                assert abs(mine).max() <= abs(ours.weight.numpy()).max() * 1.1


def test_gains_and_fans_are_pytorchs():
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu"):
        assert nn.init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    assert nn.init.calculate_gain("leaky_relu", 0.3) == pytest.approx(torch.nn.init.calculate_gain("leaky_relu", 0.3))
    weight = torch.empty(6, 4, 3, 2)
    assert nn.init.fans("test", nn.Parameter(weight.numpy())) == torch.nn.init._calculate_fan_in_and_fan_out(weight)
