"""A model three times: in float64 on `im2col`, in float32 on `im2col`, and in float32 on what users run.

How far may the third be from the first? To first order each result deviates by a sum over all roundings on the way to
it, each times the derivative of the result in the number that was rounded. The second run is a sample of such a sum for
this very net: it makes the same operations, so that only the local roundings differ. Deep nets and cancellations make
those derivatives large, and they do so for both; over many results the norms of the two deviations are alike. What may
differ is the order of summation: a matrix product is summed in blocks, a register tile one term after the other. A sum
of T terms of random sign, taken one by one, has a relative deviation of about eps sqrt(T) / 5 and an absolute one of at
most eps sqrt(T) times what T terms of that size come to. Hence

    |third - first| <= 4 |second - first| + eps sqrt(T) |first|,   T the terms of the longest sum

in two norms, Euclid's and the largest element, for each layer by itself. A layer is the unit because it is no small
sample, and because the gradient of a bias may have no scale of its own: in front of a batch norm it is 0, a sum of
terms that cancel; they are as large as those of the weight beside it. Layers of less than 16 numbers are put together.

All this holds where a net is smooth. A unit within a rounding of a kink has one slope or the other, and a gradient that
differs by as much: so kinks are replaced (`smooth`) or kept away from (`decided`).
"""

import copy

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.models.classifier import Classifier

EPS = float(np.finfo(np.float32).eps)
FEW = 16  # numbers, of which no deviation can be told to be typical
MOST = 1e-2  # of a layer: a wider bound would not notice a fault in a hundredth of it
NORMS = {"norm": np.linalg.norm, "largest element": lambda a: abs(a).max()}


# -- models -----------------------------------------------------------------------------------------------------------
def drawn(model, seed=1):
    """The model with a draw where all numbers are equal: nets that begin as the identity would hide most of them."""
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        value = parameter.numpy()
        if (value == value.flat[0]).all():
            std = value[0].size ** -0.5 if value.ndim > 1 else 0.2
            parameter.data = (value + std * rng.standard_normal(value.shape)).astype(np.float32)
    return model


def smooth(model):
    """The model with smooth activations, and means where it had maxima."""
    _replace(model, (nn.ReLU, nn.LeakyReLU), lambda _: nn.SiLU())
    return averaged(model)


def averaged(model):
    _replace(model, nn.MaxPool2d, lambda pool: nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding))
    return model


def _replace(model, kinds, make):
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, kinds):
                setattr(parent, name, make(child))


def decided(model, seed=2):
    """The model with its ReLUs, and with batch norms that leave every second channel positive, the others negative.

    Both are far from 0, as are sums of such channels, with each other or with what a ReLU let through. What is left is
    linear, and batch norm undoes every change of a mean over an image: so a classifier is cut off before its head,
    which takes that mean.
    """
    if isinstance(model, Classifier):
        model = nn.Sequential(model.stem, model.blocks)
    rng = np.random.default_rng(seed)
    for norm in norms(model):
        sign = np.where(np.arange(norm.num_features) % 2, -1, 1).astype(np.float32)
        norm.weight.data = sign * rng.uniform(0.04, 0.08, sign.shape).astype(np.float32)
        norm.bias.data = sign * rng.uniform(1.0, 1.2, sign.shape).astype(np.float32)
    return averaged(model)


class _Decided(nn.ReLU):
    """A ReLU that says how near to 0 its inputs came."""

    nearest = np.inf

    def forward(self, x):
        self.nearest = float(abs(x.numpy()).min())
        return super().forward(x)


def nearest_to_a_kink(model, x):
    """The smallest input of a ReLU, in float64."""
    model = copy.deepcopy(model).to("float64")
    _replace(model, nn.ReLU, lambda _: _Decided())
    with tr.no_grad(), tr.kernels("im2col"):
        model(tr.tensor(x.astype("d")))
    return min(module.nearest for module in model.modules() if isinstance(module, _Decided))


def norms(model):
    return [module for module in model.modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))]


def settled(model, x):
    """The model in evaluation, with running statistics that are those of x."""
    for norm in norms(model):
        norm.momentum = 1.0
    with tr.no_grad():
        model(tr.tensor(x))
    return model.eval()


# -- results ----------------------------------------------------------------------------------------------------------
def results(model, x, dtype):
    """The output, and the gradients of <output, random> in the input and in all parameters: a line each layer.

    And how many terms the longest sum has: over the pixels of all images, which is what the gradient of a weight sums,
    or over the inputs of a unit.
    """
    model, x = copy.deepcopy(model).to(dtype), tr.tensor(x.astype(dtype)).requires_grad_()
    y = model(x)
    g = np.random.default_rng(3).standard_normal(y.shape).astype(np.float32).astype(dtype)
    names, parameters = zip(*model.named_parameters(), strict=True)
    dx, *gradients = tr.grad(y, [x, *parameters], g, allow_unused=True)  # a branch may be left out
    layers = {}
    for name, gradient in zip(names, gradients, strict=True):
        if gradient is not None:
            layers.setdefault(name.rpartition(".")[0], []).append(gradient.numpy())
    lines = {layer: _line(arrays) for layer, arrays in layers.items()}
    few = [layer for layer, line in lines.items() if line.size < FEW]
    together = {"few numbers": _line([lines.pop(layer) for layer in few])} if few else {}
    lines = {"output": _line([y.detach().numpy()]), "input": _line([dx.numpy()])} | lines | together
    terms = [array.size // array.shape[1] for array in (x, y)] + [p.size // p.shape[0] for p in parameters]
    return lines, max(terms)


def _line(arrays):
    """In the order in which the numbers lie in memory, which is that of an operation, whatever its kernels."""
    return np.concatenate([array.ravel(order="K").astype("d") for array in arrays])


def assert_within_rounding(model, x):
    with tr.kernels("im2col"):
        (exact, terms), (alike, _) = results(model, x, "float64"), results(model, x, "float32")
    got, _ = results(model, x, "float32")
    assert exact.keys() == alike.keys() == got.keys()
    wrong = []
    for layer in exact:
        for name, norm in NORMS.items():
            scale = norm(exact[layer])
            bound = 4 * norm(alike[layer] - exact[layer]) + EPS * terms**0.5 * scale
            assert bound < MOST * scale, f"{layer}: a bound of {bound:.1e} says little of numbers of {scale:.1e}"
            deviation = norm(got[layer] - exact[layer])
            if not deviation <= bound:  # nan is not
                wrong.append(f"{layer}: {name} {deviation:.2e}, at most {bound:.2e} (of {scale:.2e})")
    assert not wrong, "beyond rounding:\n" + "\n".join(wrong)
