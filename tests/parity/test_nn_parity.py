"""Modules against PyTorch in float64: values, gradients, gradients of gradients, state_dicts by key."""

import numpy as np
import pytest

import tinyres as tr
from tests.parity.derivatives import TOL, both, orders
from tinyres import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity


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
    "conv 1d": ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}, (2, 4, 9)),
    "conv 1d, one signal": ("Conv1d", (4, 6, 3), {"padding": "same"}, (4, 9)),
    "conv 1d, reflected": ("Conv1d", (2, 3, 3), {"padding": 2, "padding_mode": "reflect"}, (2, 2, 5)),
    "conv transpose 1d": (
        "ConvTranspose1d", (4, 6, 3), {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}, (2, 4, 5)
    ),
    "conv, one image": ("Conv2d", (4, 6, 3), {"padding": "valid"}, (4, 7, 6)),
    "conv, same": ("Conv2d", (2, 3, (3, 5)), {"padding": "same", "dilation": (2, 1)}, (2, 2, 7, 6)),
    "conv, circular": ("Conv2d", (2, 3, 3), {"padding": (1, 2), "padding_mode": "circular"}, (2, 2, 4, 3)),
    "conv, reflected, same": ("Conv2d", (2, 3, (2, 3)), {"padding": "same", "padding_mode": "reflect"}, (2, 2, 4, 3)),
    "conv, replicated": ("Conv2d", (2, 3, 3), {"padding": 1, "stride": 2, "padding_mode": "replicate"}, (2, 2, 4, 3)),
    "batch norm 1d, signals": ("BatchNorm1d", (3,), {}, (2, 3, 4)),
    "group norm": ("GroupNorm", (2, 4), {"eps": 1e-3}, (3, 4, 2, 3)),
    "group norm, vectors": ("GroupNorm", (2, 6), {"affine": False}, (3, 6)),
    "instance norm 1d": ("InstanceNorm1d", (3,), {"affine": True}, (2, 3, 5)),
    "instance norm, one image": ("InstanceNorm2d", (3,), {"affine": True}, (3, 2, 4)),
    "instance norm": ("InstanceNorm2d", (3,), {}, (2, 3, 2, 4)),
    "layer norm without bias": ("LayerNorm", ((3, 4),), {"bias": False}, (2, 3, 4)),
    "max pool 1d": ("MaxPool1d", (3,), {"stride": 2, "padding": 1, "ceil_mode": True}, (2, 3, 8)),
    "avg pool 1d": ("AvgPool1d", (3,), {"stride": 2, "padding": 1, "ceil_mode": True}, (2, 3, 8)),
    "max pool, one image, ceil": ("MaxPool2d", (2,), {"ceil_mode": True}, (3, 5, 7)),
    "avg pool, ceil": (
        "AvgPool2d", (3, 2), {"padding": 1, "ceil_mode": True, "count_include_pad": False}, (2, 3, 6, 5)
    ),
    "avg pool, divisor": ("AvgPool2d", (2,), {"divisor_override": 3}, (2, 3, 4, 5)),
    "adaptive pool 1d": ("AdaptiveAvgPool1d", (3,), {}, (2, 3, 7)),
    "adaptive pool, None": ("AdaptiveAvgPool2d", ((None, 2),), {}, (2, 3, 4, 5)),
    "rms norm": ("RMSNorm", ((3, 4),), {}, (2, 3, 4)),
    "pixel shuffle": ("PixelShuffle", (2,), {}, (2, 8, 2, 3)),
    "zero pad": ("ZeroPad2d", ((1, 0, 2, -1),), {}, (2, 3, 4, 3)),
    "constant pad": ("ConstantPad1d", (2, 0.5), {}, (2, 3, 4)),
    "reflection pad": ("ReflectionPad2d", (2,), {}, (2, 3, 4, 3)),
    "replication pad": ("ReplicationPad1d", ((1, 3),), {}, (2, 3, 4)),
    "circular pad": ("CircularPad2d", ((1, 2, 0, 1),), {}, (2, 3, 4, 3)),
    "upsample": ("Upsample", (), {"scale_factor": 2}, (2, 3, 2, 3)),
    "upsample, size": ("Upsample", ((5, 4),), {}, (2, 3, 2, 3)),
    "upsample, a fraction": ("Upsample", (), {"scale_factor": 1.7, "mode": "bilinear"}, (2, 3, 3, 4)),
    "upsample, corners": (
        "Upsample", (), {"scale_factor": (2, 1.5), "mode": "bilinear", "align_corners": True}, (2, 3, 3, 4)
    ),
    "upsample bilinear": ("UpsamplingBilinear2d", (), {"scale_factor": 2}, (1, 2, 3, 2)),
    "upsample nearest": ("UpsamplingNearest2d", (), {"size": 5}, (1, 2, 3, 2)),
    "unflatten": ("Unflatten", (1, (2, 3)), {}, (2, 6, 2)),
    "prelu": ("PReLU", (), {}, (3, 4)),
    "prelu by channel": ("PReLU", (4, 0.1), {}, (3, 4, 2)),
    "relu6": ("ReLU6", (), {}, (3, 4)),
    "selu": ("SELU", (), {}, (3, 4)),
    "celu": ("CELU", (0.5,), {}, (3, 4)),
    "mish": ("Mish", (), {}, (3, 4)),
    "hardswish": ("Hardswish", (), {}, (3, 4)),
    "hardtanh": ("Hardtanh", (-0.5, 0.7), {}, (3, 4)),
    "tanhshrink": ("Tanhshrink", (), {}, (3, 4)),
    "hardshrink": ("Hardshrink", (0.3,), {}, (3, 4)),
    "softshrink": ("Softshrink", (0.3,), {}, (3, 4)),
    "softsign": ("Softsign", (), {}, (3, 4)),
    "threshold": ("Threshold", (0.1, 2.0), {}, (3, 4)),
    "glu": ("GLU", (1,), {}, (3, 4, 2)),
    "softmin": ("Softmin", (1,), {}, (3, 4)),
    "softplus, threshold": ("Softplus", (2.0, 0.5), {}, (3, 4)),
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


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    kind, args, settings, shape = LAYERS[name]
    orders(*both(getattr(nn, kind)(*args, **settings), getattr(torch.nn, kind)(*args, **settings)), shape)


@pytest.mark.parametrize(
    ("kind", "shape", "settings"),
    [
        ("BatchNorm1d", (6, 3), {}),
        ("BatchNorm1d", (2, 3, 5), {}),
        ("BatchNorm2d", (4, 3, 2, 3), {}),
        ("InstanceNorm1d", (2, 3, 5), {"track_running_stats": True, "affine": True}),
        ("InstanceNorm2d", (4, 3, 2, 3), {"track_running_stats": True, "momentum": 0.3}),
    ],
)
def test_norms_keep_the_same_statistics_and_use_them(kind, shape, settings):
    rng = np.random.default_rng(2)
    ours, theirs = both(getattr(nn, kind)(3, **settings), getattr(torch.nn, kind)(3, **settings))
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


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("how", [{}, {"padding": 1}, {"ceil_mode": True, "padding": 1}, {"dilation": 2, "stride": 1}])
def test_max_pools_find_the_same_places(dims, how):
    x = np.random.default_rng(0).normal(size=(2, 3, 7, 6)[: dims + 2])
    ours = getattr(nn, f"MaxPool{dims}d")(3, return_indices=True, **({"stride": 2} | how))
    theirs = getattr(torch.nn, f"MaxPool{dims}d")(3, return_indices=True, **({"stride": 2} | how))
    for given in (x, x[0]):
        (y, at), (z, place) = ours(tr.tensor(given)), theirs(torch.tensor(given))
        np.testing.assert_array_equal(y.numpy(), z.numpy())
        np.testing.assert_array_equal(at.numpy(), place.numpy())
        assert at.dtype == np.int64


@pytest.mark.parametrize("size", [(8, 9), (7, 10), None])
def test_a_transposed_convolution_takes_an_output_size(size):
    ours, theirs = both(nn.ConvTranspose2d(2, 3, 3, 2, 1), torch.nn.ConvTranspose2d(2, 3, 3, 2, 1))
    x = np.random.default_rng(0).normal(size=(2, 2, 4, 5))
    y, z = ours(tr.tensor(x), size), theirs(torch.tensor(x), size)
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), **TOL)


REPRS = {
    "Conv1d": (3, 4, 3), "ConvTranspose1d": (3, 4, 3), "MaxPool1d": (2,), "MaxPool2d": (2,), "AvgPool2d": (2,),
    "AdaptiveAvgPool1d": (2,), "PReLU": (), "Hardtanh": (), "GLU": (), "CELU": (), "Softplus": (), "ReLU6": (),
    "Threshold": (0.1, 2.0), "Unflatten": (1, (2, 3)), "Upsample": ((3, 3),), "GRUCell": (3, 4), "LSTM": (3, 4, 2),
    "GRU": (3, 4), "ReflectionPad2d": (2,), "ConstantPad1d": (2, 0.5), "RMSNorm": (3,), "PixelShuffle": (2,),
}  # fmt: skip


@pytest.mark.parametrize("name", REPRS)
def test_a_layer_is_shown_as_there(name):
    assert repr(getattr(nn, name)(*REPRS[name])) == repr(getattr(torch.nn, name)(*REPRS[name]))


def test_settings_are_shown_as_there():
    def layers(lib):
        yield lib.Conv1d(3, 4, 3, padding="same", padding_mode="circular")
        yield lib.ConvTranspose2d(3, 4, 3, 2, 1, 1, bias=False)
        yield lib.GRU(3, 4, 2, batch_first=True, bidirectional=True)

    for ours, theirs in zip(layers(nn), layers(torch.nn), strict=True):
        assert repr(ours) == repr(theirs)


def test_of_the_gradient_of_hardsigmoid_ours_is_exact():
    x, z = tr.tensor(np.zeros(1), requires_grad=True), torch.zeros(1, dtype=torch.float64, requires_grad=True)
    nn.Hardsigmoid()(x).sum().backward()
    torch.nn.Hardsigmoid()(z).sum().backward()
    assert x.grad.item() == 1 / 6
    assert z.grad.item() == pytest.approx(1 / 6, rel=1e-7)
    assert z.grad.item() != 1 / 6
