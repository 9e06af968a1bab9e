"""The table of layers that kernels are checked at holds the convolutions of the models: those that they call."""

from collections import Counter

import numpy as np
import pytest
from tinyres_kernels import im2col
from tinyres_kernels.conformance.layers import LAYERS, NETS, Layer, mobilenet

import tinyres as tr
from tests.models.test_models import Blank
from tinyres import models, nn
from tinyres.models.shortcuts import projected
from tinyres.models.stages import Block, conv3x3, in_stages, two_convolutions


def net_3463():
    """Four stages of 3, 4, 6 and 3 basic blocks behind a 3x3 convolution."""
    rng = np.random.default_rng(0)

    def block(*shape):
        return Block(nn.Residual(two_convolutions(*shape, rng), shortcut=projected(*shape, rng)))

    return nn.Sequential(conv3x3(3, 64, 1, rng), in_stages(64, [64, 128, 256, 512], (3, 4, 6, 3), block))


MADE = {
    "ResNet-20": (models.resnet, (3, 32, 32)),
    "ResNet-110": (lambda: models.resnet(110), (3, 32, 32)),
    "ResNet-34": (lambda: models.resnet_imagenet(34), (3, 224, 224)),
    "ResNet-50": (models.resnet_imagenet, (3, 224, 224)),
    "3-4-6-3 net, 32x32": (net_3463, (3, 32, 32)),
    "DenseNet-40": (models.densenet, (3, 32, 32)),
    "DenseNet-40-BC": (lambda: models.densenet(bottleneck=True), (3, 32, 32)),
    "DenseNet-121": (models.densenet_imagenet, (3, 224, 224)),
    "DCGAN generator, 32x32": (models.dcgan.generator, (100,)),
    "DCGAN discriminator, 32x32": (models.dcgan.discriminator, (3, 32, 32)),
    "DCGAN generator, 64x64": (lambda: models.dcgan.generator(width=128, size=64), (100,)),
    "DCGAN discriminator, 64x64": (lambda: models.dcgan.discriminator(width=128, size=64), (3, 64, 64)),
}


@pytest.fixture
def called(monkeypatch):
    """The convolutions that are called for, by kernels that compute none: they write zeros. Nor are weights drawn."""
    found = []

    def note(image, w, out, settings):
        (_, H, W, C), (kernel, also, _, O) = image.shape, w.shape
        assert kernel == also
        window = settings.stride, settings.padding, settings.dilation
        assert all(vertical == horizontal for vertical, horizontal in window)
        found.append(Layer(C, H, W, O, kernel, *(both[0] for both in window), settings.groups))
        out.fill(0)
        return out

    monkeypatch.setattr(np.random, "default_rng", lambda *_: Blank())
    monkeypatch.setattr(im2col, "conv2d", lambda x, w, out, settings: note(x, w, out, settings))
    monkeypatch.setattr(im2col, "conv2d_dx", lambda g, w, out, settings: note(out, w, out, settings))
    return found


def test_every_net_but_the_one_that_is_no_model_is_traced():
    assert NETS.keys() - MADE.keys() == {"MobileNet"}


@pytest.mark.parametrize("name", MADE)
def test_the_formula_gives_what_the_model_calls(name, called):
    make, shape = MADE[name]
    model = make().eval()
    with tr.no_grad(), tr.kernels("im2col"):
        model(tr.tensor(np.zeros((1, *shape), np.float32)))
    assert Counter(called) == Counter(NETS[name]())


def test_the_mobilenet_has_the_published_size():
    """Howard et al. 2017 [howard2017mobilenets], table 8: 4.2 million parameters, 569 million multiply-adds."""
    layers = list(mobilenet())
    sizes = [(np.prod(weights), np.prod(result[:3])) for _, weights, result in (layer.shapes(1) for layer in layers)]
    linear, norms = 1024 * 1000, 2 * sum(layer.O for layer in layers)
    assert round((sum(weights for weights, _ in sizes) + linear + 1000 + norms) / 1e6, 1) == 4.2
    assert round((sum(weights * pixels for weights, pixels in sizes) + linear) / 1e6) == 569


def test_the_table_holds_each_layer_of_a_net_once():
    assert LAYERS.keys() == NETS.keys()
    for name, layers in LAYERS.items():
        assert set(layers) == set(NETS[name]())
        assert len(layers) == len(set(layers))
