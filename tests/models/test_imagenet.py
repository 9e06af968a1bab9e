"""The ImageNet nets, and weights from torchvision: sizes, shapes, names."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import flow, models, nn


@pytest.mark.parametrize(
    ("make", "depth", "options", "count"),
    [
        # torchvision's table of models, "num_params": resnet18 ... resnet152. He et al. 2016 [he2016deep] count none.
        ("resnet_imagenet", 18, {}, 11_689_512),
        ("resnet_imagenet", 34, {}, 21_797_672),
        ("resnet_imagenet", 50, {}, 25_557_032),
        ("resnet_imagenet", 101, {}, 44_549_160),
        ("resnet_imagenet", 152, {}, 60_192_808),
        # Hu et al. 2018 [hu2018squeeze], section 4: about 2.5 M beyond the 25 M of ResNet-50; to the last digit, timm's
        # seresnet50.
        ("resnet_imagenet", 50, {"reduction": 16}, 28_088_024),
    ],
)
def test_parameter_counts(make, depth, options, count):
    assert getattr(models, make)(depth, rng=0, **options).parameter_count() == count


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("size", [8, 28, 32])
def test_small_images(depth, size):
    model = models.resnet_imagenet(depth, width=4, in_channels=1, classes=10, rng=0)
    x = np.random.default_rng(0).standard_normal((2, 1, size, size)).astype("f")
    assert model(tr.tensor(x)).shape == (2, 10)
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(layers) == depth + (3 if depth == 18 else 4)  # projections are not counted in a depth


def test_an_image_of_224_pixels():
    model = models.resnet_imagenet(18, rng=0).eval()
    x = tr.tensor(np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype("f"))
    with tr.no_grad():
        y = model.stem(x)
        assert y.shape == (1, 64, 56, 56)
        y = model.blocks(y)
        assert y.shape == (1, 512, 7, 7)
        assert model.head(y).shape == (1, 1000)


def test_depths_that_do_not_exist():
    with pytest.raises(ValueError, match="one of 18, 34, 50, 101, 152, got 51; 50 is nearest"):
        models.resnet_imagenet(51)
    with pytest.raises(ValueError, match="got 0; 18 is nearest"):
        models.resnet_imagenet(0)


@pytest.mark.parametrize("options", [{}, {"reduction": 4}])
def test_routes_and_gradients(options):
    model = models.resnet_imagenet(50, width=4, in_channels=1, classes=10, rng=0, **options)
    x = tr.tensor(np.random.default_rng(0).standard_normal((4, 1, 32, 32)).astype("f"))
    with flow.record(model) as recording:
        (model(x) * np.random.default_rng(1).standard_normal((4, 10)).astype("f")).sum().backward()
    assert len(recording.skip_share()) == 16
    assert all(0 < share < 1 for share in recording.skip_share().values())
    assert all(p.grad is not None and np.isfinite(p.grad.numpy()).all() for p in model.parameters())


def test_the_same_seed_gives_the_same_net():
    a, b, c = (models.resnet_imagenet(50, width=4, reduction=4, rng=seed) for seed in (3, 3, 4))
    assert all((p.numpy() == q.numpy()).all() for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not all((p.numpy() == q.numpy()).all() for p, q in zip(a.parameters(), c.parameters(), strict=True))


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
