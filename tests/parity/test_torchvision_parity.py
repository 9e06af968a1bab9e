"""Weights under torchvision's names, in a ResNet and a DenseNet of our own hand: the same logits and gradients."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import models

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.parity


def close(ours, theirs):
    theirs = theirs.numpy(force=True)
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-10, atol=1e-10 * max(1.0, abs(theirs).max()))


class NamedBlock(torch.nn.Module):
    """One block under torchvision's names: kernels of its convolutions, the one with the stride, and channels."""

    def __init__(self, channels, out_channels, stride, deep):
        super().__init__()
        inside = out_channels // 4 if deep else out_channels
        sizes = [channels, inside, inside, out_channels] if deep else [channels, inside, out_channels]
        kernels, strided = ([1, 3, 1], 1) if deep else ([3, 3], 0)
        for k, (c, o, kernel) in enumerate(zip(sizes[:-1], sizes[1:], kernels, strict=True)):
            step = stride if k == strided else 1
            conv = torch.nn.Conv2d(c, o, kernel, stride=step, padding=kernel // 2, bias=False)
            setattr(self, f"conv{k + 1}", conv)
            setattr(self, f"bn{k + 1}", torch.nn.BatchNorm2d(o))
        self.count = len(kernels)
        self.downsample = None
        if stride > 1 or channels != out_channels:
            conv = torch.nn.Conv2d(channels, out_channels, 1, stride=stride, bias=False)
            self.downsample = torch.nn.Sequential(conv, torch.nn.BatchNorm2d(out_channels))

    def forward(self, x):
        y = x
        for k in range(1, self.count + 1):
            y = getattr(self, f"bn{k}")(getattr(self, f"conv{k}")(y))
            y = F.relu(y) if k < self.count else y
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class NamedResNet(torch.nn.Module):
    def __init__(self, counts, width, deep, in_channels, classes):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(width)
        channels = width
        for stage, count in enumerate(counts):
            out, blocks = width * 2**stage * (4 if deep else 1), []
            for k in range(count):
                blocks.append(NamedBlock(channels, out, 2 if stage and not k else 1, deep))
                channels = out
            setattr(self, f"layer{stage + 1}", torch.nn.Sequential(*blocks))
        self.fc = torch.nn.Linear(channels, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.fc(self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3)))


class NamedDenseNet(torch.nn.Module):
    def __init__(self, counts, growth, in_channels, classes):
        super().__init__()
        channels = 2 * growth
        row = {"conv0": torch.nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False)}
        row["norm0"] = torch.nn.BatchNorm2d(channels)
        for stage, count in enumerate(counts, 1):
            layers = {}
            for k in range(1, count + 1):
                layers[f"denselayer{k}"] = torch.nn.ModuleDict({
                    "norm1": torch.nn.BatchNorm2d(channels),
                    "conv1": torch.nn.Conv2d(channels, 4 * growth, 1, bias=False),
                    "norm2": torch.nn.BatchNorm2d(4 * growth),
                    "conv2": torch.nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
                })  # fmt: skip
                channels += growth
            row[f"denseblock{stage}"] = torch.nn.ModuleDict(layers)
            if stage < len(counts):
                conv = torch.nn.Conv2d(channels, channels // 2, 1, bias=False)
                row[f"transition{stage}"] = torch.nn.ModuleDict({"norm": torch.nn.BatchNorm2d(channels), "conv": conv})
                channels //= 2
        row["norm5"] = torch.nn.BatchNorm2d(channels)
        self.features, self.classifier = torch.nn.ModuleDict(row), torch.nn.Linear(channels, classes)

    def forward(self, x):
        for name, m in self.features.items():
            if name == "norm0":
                x = F.max_pool2d(F.relu(m(x)), 3, 2, 1)
            elif name.startswith("denseblock"):
                for layer in m.values():
                    inside = layer["conv1"](F.relu(layer["norm1"](x)))
                    x = torch.cat([x, layer["conv2"](F.relu(layer["norm2"](inside)))], 1)
            elif name.startswith("transition"):
                x = F.avg_pool2d(m["conv"](F.relu(m["norm"](x))), 2)
            else:
                x = m(x)
        return self.classifier(F.relu(x).mean((2, 3)))


NAMED = {
    "resnet18": ((NamedResNet, (2, 2, 2, 2), 3, False), (models.resnet_imagenet, 18, 3)),
    "resnet50": ((NamedResNet, (3, 4, 6, 3), 2, True), (models.resnet_imagenet, 50, 2)),
    "densenet121": ((NamedDenseNet, (6, 12, 24, 16), 2), (models.densenet_imagenet, 121, 2)),
}


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", NAMED)
def test_weights_under_torchvisions_names(name, training):
    (kind, *settings), (make, depth, width) = NAMED[name]
    torch.manual_seed(0)
    theirs = kind(*settings, 2, 5).double().train(training)
    generator = torch.Generator().manual_seed(1)
    for value in theirs.state_dict().values():
        if value.is_floating_point() and value.ndim == 1:
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    ours = make(depth, width, in_channels=2, classes=5, rng=0).to("float64").train(training)
    ours.load_state_dict(models.from_torchvision(theirs.state_dict()))  # every key, strictly
    x = np.random.default_rng(2).standard_normal((3, 2, 33, 34))
    leaf, torch_leaf = tr.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, torch_y = ours(leaf), theirs(torch_leaf)
    close(y.detach(), torch_y)
    g = np.random.default_rng(3).standard_normal(y.shape)
    close(tr.grad(y, leaf, tr.tensor(g))[0], torch.autograd.grad(torch_y, torch_leaf, torch.tensor(g))[0])
