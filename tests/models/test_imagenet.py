"""The ImageNet nets, and weights from torchvision: sizes, shapes, names."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import models


def test_an_image_of_224_pixels():
    model = models.resnet_imagenet(18, rng=0).eval()
    x = tr.tensor(np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype("f"))
    with tr.no_grad():
        y = model.stem(x)
        assert y.shape == (1, 64, 56, 56)
        y = model.blocks(y)
        assert y.shape == (1, 512, 7, 7)
        assert model.head(y).shape == (1, 1000)


def test_names_of_torchvision():
    given = [
        "conv1.weight", "bn1.bias", "layer1.0.conv1.weight", "layer1.0.bn2.running_mean", "layer1.1.conv3.weight",
        "layer2.0.downsample.0.weight", "layer2.0.downsample.1.num_batches_tracked", "fc.bias",
    ]  # fmt: skip
    renamed = models.from_torchvision(dict.fromkeys(given, 1.0))
    assert list(renamed) == [
        "stem.0.weight", "stem.1.bias", "blocks.0.body.branch.0.weight", "blocks.0.body.branch.4.running_mean",
        "blocks.1.body.branch.6.weight", "blocks.2.body.shortcut.0.weight",
        "blocks.2.body.shortcut.1.num_batches_tracked", "head.2.bias",
    ]  # fmt: skip
    dense = ["features.denseblock1.denselayer1.norm.1.weight", "features.denseblock1.denselayer2.conv2.weight"]
    renamed = models.from_torchvision(dict.fromkeys([*dense, "features.transition1.conv.weight"], 1.0))
    assert list(renamed) == ["blocks.0.branch.0.weight", "blocks.1.branch.5.weight", "blocks.2.2.weight"]


def test_files_that_count_no_batches_count_none():
    renamed = models.from_torchvision({"bn1.running_var": np.ones(4)})
    assert set(renamed) == {"stem.1.running_var", "stem.1.num_batches_tracked"}
    assert renamed["stem.1.num_batches_tracked"] == 0


@pytest.mark.parametrize(
    "key", ["features.0.weight", "layer1.0.conv1x.weight", "layer1.0.downsample.weight", "head.bias"]
)
def test_names_of_other_nets_are_refused(key):
    with pytest.raises(ValueError, match=f"the key '{key}' is unknown"):
        models.from_torchvision({"conv1.weight": 0, key: 0})
