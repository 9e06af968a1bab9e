"""Operations as users run them, in float32 at the sizes of real nets, against PyTorch in float64, to first order.

Both get the same float32 numbers. A result of an operation is a sum of terms, and may be a few roundings of the sum of
their absolute values away from the exact one: those are the same operation of absolute values, where it is multilinear.
Elsewhere (norms, activations, losses) that is the size of what is compared, over the axis that is summed.
"""

from typing import NamedTuple

import numpy as np
import pytest

import tinyres as tr

torch = pytest.importorskip("torch", reason="PyTorch is missing, so nothing was held against it: pip install torch")
F = torch.nn.functional

pytestmark = pytest.mark.parity
EPS = float(np.finfo(np.float32).eps)
ROUNDINGS = 6  # of the sum of absolute terms, as in the conformance of kernels: sums are formed piece by piece


def randoms(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def ours(function, arrays, g):
    """The value and the gradients of <value, g>, on the default kernels."""
    inputs = [tr.tensor(a).requires_grad_() for a in arrays]
    y = function(*inputs)
    assert y.dtype == np.float32
    return [y.detach().numpy(), *(d.numpy() for d in tr.grad(y, inputs, g))]


def theirs(function, arrays, g):
    inputs = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in arrays]
    y = function(*inputs)
    g = torch.tensor(g, dtype=torch.float64)
    return [made.numpy(force=True) for made in (y, *torch.autograd.grad(y, inputs, g))]


# -- what is multilinear -----------------------------------------------------------------------------------------------
class Conv(NamedTuple):
    x: tuple[int, ...]
    w: tuple[int, ...]
    how: dict


def conv(N, C, size, O, kernel, stride=1, padding=None, groups=1, dilation=1):
    padding = dilation * (kernel // 2) if padding is None else padding
    how = {"stride": stride, "padding": padding, "groups": groups, "dilation": dilation}
    return Conv((N, C, size, size), (O, C // groups, kernel, kernel), how)


CONVS = {
    "ResNet-20, stem": conv(4, 3, 32, 16, 3),
    "ResNet-20, 16 channels": conv(4, 16, 32, 16, 3),
    "ResNet-20, stride 2": conv(4, 16, 32, 32, 3, 2),
    "ResNet-20, 64 channels": conv(4, 64, 8, 64, 3),
    "ResNet-50, stem": conv(1, 3, 112, 64, 7, 2),
    "ResNet-50, 3x3, 64 channels": conv(1, 64, 56, 64, 3),
    "ResNet-50, 3x3, 256 channels": conv(1, 256, 14, 256, 3),
    "ResNet-50, 3x3, 512 channels": conv(1, 512, 7, 512, 3),
    "ResNet-50, 3x3, stride 2": conv(1, 128, 56, 128, 3, 2),
    "ResNet-50, 1x1": conv(1, 256, 28, 64, 1),
    "ResNet-50, projection": conv(1, 256, 28, 512, 1, 2),
    "DenseNet-40, last layer": conv(2, 292, 16, 12, 3),
    "DenseNet-40, 448 channels": conv(2, 448, 8, 12, 3),
    "DenseNet-40, 136 channels, wide image": conv(1, 136, 33, 12, 3),
    "DenseNet-121, 128 to 32": conv(1, 128, 28, 32, 3),
    "DCGAN, 3 to 128": conv(2, 3, 64, 128, 4, 2, 1),
    "DCGAN, 128 to 256": conv(2, 128, 32, 256, 4, 2, 1),
    "DCGAN, 512 to 1024": conv(1, 512, 8, 1024, 4, 2, 1),
    "DnCNN, 64 channels": conv(1, 64, 40, 64, 3),
    "DnCNN, to one channel": conv(1, 64, 40, 1, 3),
    "CNN, 5x5": conv(4, 32, 14, 64, 5),
    "MobileNet, depthwise": conv(1, 128, 56, 128, 3, groups=128),
    "MobileNet, depthwise, stride 2": conv(1, 128, 56, 128, 3, 2, groups=128),
    "MobileNet, 1x1": conv(1, 128, 28, 256, 1),
    "ResNeXt, 32 groups": conv(1, 128, 28, 128, 3, groups=32),
    "dilated": conv(1, 64, 28, 64, 3, dilation=2),
}
TRANSPOSED = {
    f"128 to 3, {kernel}x{kernel}, stride {stride}": Conv(
        (2, 128, 17, 17), (128, 3, kernel, kernel), {"stride": stride, "padding": (kernel - 1) // 2}
    )
    for kernel in range(3, 8)
    for stride in range(1, 4)
} | {
    "DCGAN, 256 to 128": Conv((2, 256, 8, 8), (256, 128, 4, 4), {"stride": 2, "padding": 1}),
    "DCGAN, 1024 to 512": Conv((1, 1024, 4, 4), (1024, 512, 4, 4), {"stride": 2, "padding": 1}),
    "DCGAN, 64 to 3": Conv((2, 64, 32, 32), (64, 3, 4, 4), {"stride": 2, "padding": 1}),
}
PRODUCTS = {"mlp": ((64, 3072), (3072, 128)), "head": ((128, 512), (512, 1000)), "heads": ((8, 65, 64), (8, 64, 65))}
MULTILINEAR = {
    **{f"conv2d: {name}": (tr.conv2d, F.conv2d, *case) for name, case in CONVS.items()},
    **{
        f"conv_transpose2d: {name}": (tr.conv_transpose2d, F.conv_transpose2d, *case)
        for name, case in TRANSPOSED.items()
    },
    **{f"matmul: {name}": (tr.matmul, torch.matmul, *shapes, {}) for name, shapes in PRODUCTS.items()},
}


@pytest.mark.parametrize("name", MULTILINEAR)
def test_sums_of_products(name):
    mine, their, x, w, how = MULTILINEAR[name]
    arrays = randoms(x, w)
    (g,) = randoms(their(*map(torch.tensor, arrays), **how).shape, seed=1)
    made = ours(lambda *xs: mine(*xs, **how), arrays, g)
    exact = theirs(lambda *xs: their(*xs, **how), arrays, g)
    terms = theirs(lambda *xs: their(*xs, **how), [abs(a) for a in arrays], abs(g))
    for got, expected, size in zip(made, exact, terms, strict=True):
        assert got.shape == expected.shape
        assert expected.any()
        assert (abs(got - expected) <= ROUNDINGS * EPS * size).all(), (abs(got - expected) / size).max() / EPS


# -- what is not -------------------------------------------------------------------------------------------------------
IMAGES = [(2, 64, 56, 56), (2, 256, 14, 14), (4, 512, 7, 7), (2, 16, 32, 32), (2, 12, 33, 31)]


def norm(x, weight, bias):
    return F.batch_norm(x, None, None, weight, bias, True)


def statistics(x):
    """Running statistics for C channels in evaluation."""
    C = x.shape[1]
    return np.linspace(-0.2, 0.2, C), np.linspace(0.5, 2, C)


def mine_in_evaluation(x, w, b):
    mean, variance = (tr.tensor(a.astype(np.float32)) for a in statistics(x))
    return tr.batch_norm(x, mean, variance, w, b, False)


def theirs_in_evaluation(x, w, b):
    return F.batch_norm(x, *(torch.tensor(a.astype(np.float32).astype("d")) for a in statistics(x)), w, b, False)


def spread(shape):
    """No two numbers are within many roundings of each other: every window has one winner."""
    size = int(np.prod(shape))
    return np.random.default_rng(0).permutation(size).astype(np.float32).reshape(shape) / size


def affine(shape):
    """Images, and weights and biases of a batch norm behind which every channel is far from 0, on one side or other."""
    x, w, b = randoms(shape, shape[1], shape[1])
    return [x, 0.05 * w.clip(-2, 2), np.sign(b) * (1 + abs(b)).astype(np.float32)]


ACTIVATIONS = ("relu", "leaky_relu", "elu", "tanh", "sigmoid", "softplus", "silu", "gelu", "logsigmoid")
CLASSES = np.random.default_rng(2).integers(0, 1000, 128)
ONE = (2, 64, 28, 28)
OTHERS = {  # ours, theirs, arrays, and how many terms a sum has
    **{f"{name}": (getattr(tr, name), getattr(F, name), randoms(ONE), 1) for name in ACTIVATIONS},
    **{f"batch_norm: {s}": (lambda x, w, b: tr.batch_norm(x, None, None, w, b, True), norm, randoms(s, s[1], s[1]),
                            s[0] * s[2] * s[3]) for s in IMAGES},
    **{f"batch_norm in evaluation: {s}": (mine_in_evaluation, theirs_in_evaluation, randoms(s, s[1], s[1]),
                                          s[0] * s[2] * s[3]) for s in IMAGES},
    **{f"batch_norm and sum and relu: {s}": (
        lambda x, w, b, r: tr.batch_norm(x, None, None, w, b, True, residual=r, relu=True),
        lambda x, w, b, r: F.relu(norm(x, w, b) + r),
        [*affine(s), 0.1 * spread(s)], s[0] * s[2] * s[3]) for s in IMAGES},
    "max_pool2d, 3x3": (lambda x: tr.max_pool2d(x, 3, 2, 1), lambda x: F.max_pool2d(x, 3, 2, 1),
                        [spread((1, 64, 112, 112))], 4),
    "max_pool2d, 2x2": (lambda x: tr.max_pool2d(x, 2), lambda x: F.max_pool2d(x, 2), [spread((4, 32, 28, 28))], 1),
    "avg_pool2d": (lambda x: tr.avg_pool2d(x, 2), lambda x: F.avg_pool2d(x, 2), randoms((2, 128, 56, 56)), 4),
    "adaptive_avg_pool2d": (lambda x: tr.adaptive_avg_pool2d(x, 1), lambda x: F.adaptive_avg_pool2d(x, 1),
                            randoms((2, 512, 7, 7)), 49),
    "upsample_nearest2d": (lambda x: tr.upsample_nearest2d(x, 2), lambda x: F.interpolate(x, scale_factor=2),
                           randoms((2, 128, 16, 16)), 4),
    "cross_entropy": (lambda x: tr.cross_entropy(x, CLASSES), lambda x: F.cross_entropy(x, torch.as_tensor(CLASSES)),
                      randoms((128, 1000)), 1000),
    "binary_cross_entropy_with_logits": (tr.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits,
                                         [randoms((4096,))[0], spread((4096,))], 4096),
    "log_softmax": (lambda x: tr.log_softmax(x, -1), lambda x: F.log_softmax(x, -1), randoms((128, 1000)), 1000),
    "softmax": (lambda x: tr.softmax(x, -1), lambda x: F.softmax(x, -1), randoms((8, 65, 65)), 65),
    "sum": (tr.sum, torch.sum, randoms(ONE), 2 * 64 * 28 * 28),
    "mean over images": (lambda x: tr.mean(x, axis=(2, 3)), lambda x: x.mean((2, 3)), randoms(ONE), 28 * 28),
    "var": (lambda x: tr.var(x, axis=0), lambda x: x.var(0), randoms((512, 64)), 512),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_sum_of_products(name):
    """A sum of T terms of random sign is off by at most some sqrt(T) roundings of its size, and so is what uses it."""
    mine, their, arrays, terms = OTHERS[name]
    (g,) = randoms(their(*(torch.tensor(a, dtype=torch.float64) for a in arrays)).shape, seed=1)
    for got, expected in zip(ours(mine, arrays, g), theirs(their, arrays, g), strict=True):
        assert got.shape == expected.shape
        assert expected.any()
        bound = (ROUNDINGS + terms**0.5) * EPS * abs(expected).max()
        assert (abs(got - expected) <= bound).all(), abs(got - expected).max() / abs(expected).max() / EPS
