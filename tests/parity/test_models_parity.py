"""Models against PyTorch in float64: the same tree of modules under the same keys.

`twin` builds the tree child by child; leaves are PyTorch's own layers, and what a composite module computes is written
down here once more, so that the wiring of every model is checked by a second hand.
"""

import copy
import inspect

import numpy as np
import pytest

import tinyres as tr
from tinyres import models

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity
TOL = {"rtol": 1e-10, "atol": 1e-10}


class Twin(torch.nn.Module):
    """Children by the names they have in ours; `ours` tells the settings."""

    def __init__(self, ours):
        super().__init__()
        self.settings = [ours]  # in a list, since it is no child
        for name, child in ours.named_children():
            setattr(self, name, twin(child))
        for name, parameter in ours.named_parameters(recurse=False):
            setattr(self, name, torch.nn.Parameter(torch.empty(parameter.shape)))


class Sequential(Twin):
    def forward(self, x):
        for child in self.children():
            x = child(x)
        return x


class Classifier(Twin):
    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))


class Block(Twin):
    def forward(self, x):
        return self.activation(self.body(x))


class Residual(Twin):
    def around(self, x):
        return self.shortcut(x) if hasattr(self, "shortcut") else x

    def forward(self, x):
        return self.branch(x) + self.around(x)


class StochasticDepth(Residual):
    def __init__(self, ours):
        super().__init__(ours)
        self.survival, self.rng = ours.survival, ours.rng

    def forward(self, x):
        b = float(self.rng.random() < self.survival) if self.training else self.survival
        return b * self.branch(x) + self.around(x)


class PadShortcut(Twin):
    def forward(self, x):
        ours = self.settings[0]
        x = x[:, :, :: ours.stride, :: ours.stride]
        return torch.cat([x, x.new_zeros(x.shape[0], ours.extra, *x.shape[2:])], 1)


class DenseLayer(Twin):
    def forward(self, x):
        return torch.cat([x, self.branch(x)], 1)


class SqueezeExcite(Twin):
    def forward(self, x):
        return torch.einsum("nchw,nc->nchw", x, self.fc2(self.activation(self.fc1(x.mean((2, 3))))).sigmoid())


class Scale(Twin):
    def forward(self, x):
        return self.weight * x


class Shift(Twin):
    def forward(self, x):
        return self.bias + x


COMPOSITES = {
    kind.__name__: kind
    for kind in (
        Sequential, Classifier, Block, Residual, StochasticDepth, PadShortcut, DenseLayer, SqueezeExcite, Scale, Shift
    )
} | {"Stages": Classifier}  # fmt: skip


def twin(ours):
    """PyTorch's layer of the same name with the same settings, or the composite of above."""
    kind = type(ours).__name__
    if kind in COMPOSITES:
        return COMPOSITES[kind](ours)
    theirs = getattr(torch.nn, kind)
    names = inspect.signature(theirs).parameters
    settings = {name: getattr(ours, name) for name in names if hasattr(ours, name)}
    if "bias" in settings:
        settings["bias"] = settings["bias"] is not None
    return theirs(**settings)


def away_from_the_start(model):
    """Weights and statistics that are none of 0, 1 and symmetric; float64."""
    rng = np.random.default_rng(5)
    model.to("float64")
    for parameter in model.parameters():
        parameter.data = parameter.data + 0.2 * rng.standard_normal(parameter.shape)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.data = rng.normal(0, 0.25, buffer.shape)
        elif name.endswith("running_var"):
            buffer.data = rng.uniform(0.5, 2, buffer.shape)
    return model


def close(ours, theirs, what):
    theirs = theirs.numpy(force=True)
    scale = max(1.0, abs(theirs).max())
    np.testing.assert_allclose(ours.numpy() / scale, theirs / scale, **TOL, err_msg=what)


def agree(ours, theirs, image, training):
    """Logits, input and parameter gradients, and the statistics that are left behind."""
    rng = np.random.default_rng(6)
    x = rng.standard_normal(image)
    ours.train(training)
    theirs.train(training)
    leaf, torch_leaf = tr.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, torch_y = ours(leaf), theirs(torch_leaf)
    close(y.detach(), torch_y, "logits")
    assert y.detach().numpy().std() > 1e-6
    g = rng.standard_normal(y.shape)
    named = dict(ours.named_parameters())
    assert list(named) == [name for name, _ in theirs.named_parameters()]
    first = tr.grad(y, [leaf, *named.values()], tr.tensor(g), allow_unused=True)
    want = torch.autograd.grad(torch_y, [torch_leaf, *theirs.parameters()], torch.tensor(g), allow_unused=True)
    for name, a, b in zip(["x", *named], first, want, strict=True):
        if a is None:  # left out here, times 0 there
            assert b is None or not b.any(), name
        else:
            close(a, b, name)
    assert abs(first[0].numpy()).max() > 1e-6


ARCHITECTURES = {
    "plain": ("plain", (8, 4), {}),
    "resnet, A": ("resnet", (14, 4), {"shortcut": "A"}),
    "resnet, B": ("resnet", (8, 4), {"shortcut": "B"}),
    "resnet, C": ("resnet", (8, 4), {"shortcut": "C"}),
    "resnet, conv": ("resnet", (8, 4), {"shortcut": "conv"}),
    "preact": ("preact", (14, 4), {}),
    "preact, bottleneck": ("preact", (20, 3), {"bottleneck": True}),
    "densenet": ("densenet", (10, 4), {}),
    "densenet, bottleneck": ("densenet", (16, 3), {"bottleneck": True}),
    "senet": ("senet", (8, 8), {"reduction": 4}),
    "skipinit": ("skipinit", (14, 4), {"alpha": "1/sqrt(L)"}),
    "fixup": ("fixup", (14, 4), {}),
    "stochastic depth": ("stochastic_depth", (26, 4), {}),
    "resnet_imagenet, 18": ("resnet_imagenet", (18, 3), {"classes": 5}),
    "resnet_imagenet, 50": ("resnet_imagenet", (50, 2), {"classes": 5, "reduction": 4}),
    "densenet_imagenet": ("densenet_imagenet", (121, 2), {"classes": 5}),
}


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_model(name, training):
    make, args, options = ARCHITECTURES[name]
    ours = away_from_the_start(getattr(models, make)(*args, in_channels=2, rng=0, **options))
    theirs = twin(copy.deepcopy(ours)).double()  # of a copy, with generators of its own
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})  # every key, strictly
    agree(ours, theirs, (3, 2, 33, 34) if "imagenet" in make else (3, 2, 9, 8), training)
    if "stochastic" not in make:  # where a branch that ours leaves out moves the statistics of theirs
        for key, value in theirs.state_dict().items():
            close(ours.state_dict()[key], value, key)


def test_every_classifier_has_a_twin():
    # Not of the convolutional residual family; for vit see test_stream_parity.py.
    others = {"mlp", "highway", "highway_mlp", "cnn", "vit"}
    assert set(models.CLASSIFIERS) - others == {make for make, _, _ in ARCHITECTURES.values()}
