"""Nets from state_dicts under PyTorch's names, without PyTorch; tests/parity holds their logits against it."""

import re

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn
from tinyres.models import pytorch


def renamed(net, head="linear", projection="shortcut"):
    """The state of a `resnet` of ours under the names of a CIFAR net in PyTorch."""
    n, state = len(net.blocks) // 3, {}
    for key, value in net.state_dict().items():
        if match := re.fullmatch(r"blocks\.(\d+)\.body\.(branch|shortcut)\.(\d)\.(\w+)", key):
            block, where, place, tensor = match.groups()
            kind = ("conv", "bn")[int(place) % 3] + str(int(place) // 3 + 1)
            inner = kind if where == "branch" else f"{projection}.{place}"
            key = f"layer{int(block) // n + 1}.{int(block) % n}.{inner}.{tensor}"
        for ours, theirs in (("stem.0", "conv1"), ("stem.1", "bn1"), ("head.2", head)):
            key = key.replace(ours, theirs)
        state[key] = value.numpy()
    return state


@pytest.mark.parametrize("shortcut", ["A", "B"])
@pytest.mark.parametrize("head", ["linear", "fc"])
def test_the_net_follows_from_the_weights(shortcut, head):
    settings = {"width": 4, "in_channels": 2, "classes": 5, "shortcut": shortcut}
    two_sided = shortcut == "A"
    net = models.resnet(14, **settings, two_sided=two_sided, rng=1)
    said = {"two_sided": True} if head == "fc" and two_sided else {}
    made = models.from_pytorch(renamed(net, head), **said)
    assert repr(made) == repr(net)
    for (name, ours), theirs in zip(made.state_dict().items(), net.state_dict().values(), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=name)


def test_zeros_on_both_sides():
    x = tr.tensor(np.random.default_rng(0).standard_normal((2, 4, 5, 5)).astype("f"))
    behind, both = (models.resnet(8, width=4, two_sided=two, rng=0).blocks[1].body.shortcut for two in (False, True))
    strided = x.numpy()[:, :, ::2, ::2]
    zeros = np.zeros_like(strided)
    np.testing.assert_array_equal(behind(x).numpy(), np.concatenate([strided, zeros], 1))
    np.testing.assert_array_equal(both(x).numpy(), np.concatenate([zeros[:, :2], strided, zeros[:, 2:]], 1))
    assert "before" not in repr(behind)
    assert repr(both) == "PadShortcut(extra=4, stride=2, before=2)"
    with pytest.raises(ValueError, match="two_sided says where the zeros of shortcut 'A' come, and 'B' has none"):
        models.resnet(8, shortcut="B", two_sided=True)


@pytest.mark.parametrize(
    ("make", "depth", "width"),
    [(models.resnet_imagenet, 18, 4), (models.resnet_imagenet, 50, 2), (models.densenet_imagenet, 121, 2)],
)
def test_nets_of_torchvision_are_made_too(make, depth, width):
    net = make(depth, width, in_channels=2, classes=3, rng=0).to("float64")
    ours, theirs = net.state_dict(), {}
    dense, place, stage = make is models.densenet_imagenet, 0, 1
    counts = pytorch.DENSE_BLOCKS[depth] if dense else pytorch.BLOCKS[depth]
    for stage, count in enumerate(counts, 1):
        for k in range(count):
            block = f"features.denseblock{stage}.denselayer{k + 1}" if dense else f"layer{stage}.{k}"
            for key in [key for key in ours if key.startswith(f"blocks.{place}.")]:
                inside, tensor = key.removeprefix(f"blocks.{place}.").rsplit(".", 1)
                number = int(inside.rsplit(".", 1)[1])
                if dense:
                    name = f"{('norm', '', 'conv')[number % 3]}{number // 3 + 1}"
                elif "shortcut" in inside:
                    name = f"downsample.{number}"
                else:
                    name = f"{('conv', 'bn')[number % 3]}{number // 3 + 1}"
                theirs[f"{block}.{name}.{tensor}"] = ours[key]
            place += 1
        if dense and stage < len(counts):
            for key in [key for key in ours if key.startswith(f"blocks.{place}.")]:
                number, tensor = key.split(".")[2:]
                theirs[f"features.transition{stage}.{('norm', '', 'conv')[int(number)]}.{tensor}"] = ours[key]
            place += 1
    names = {"stem.0": "features.conv0", "stem.1": "features.norm0", "head.0": "features.norm5", "head.4": "classifier"}
    for start, name in (names if dense else {"stem.0": "conv1", "stem.1": "bn1", "head.2": "fc"}).items():
        theirs |= {key.replace(start, name): value for key, value in ours.items() if key.startswith(start)}
    made = models.from_pytorch({f"module.{key}": value for key, value in theirs.items()})
    assert repr(made) == repr(net)
    assert all((value.numpy() == ours[key].numpy()).all() for key, value in made.state_dict().items())
    assert made.head[-1].weight.dtype == np.float64


def without(key):
    return lambda state: {k: v for k, v in state.items() if k != key}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without("conv1.weight"), "there is no first convolution, 'conv1.weight'"),
        (without("layer1.0.bn2.bias"), r"the rest is not: .*\s+missing: blocks.0.body.branch.4.bias"),
        (without("linear.bias"), r"the rest is not: .*\s+missing: head.2.bias"),
        (lambda s: s | {"linear.weight": np.zeros((10, 3), "f")}, "wrong shape: head.2.weight"),
        (lambda s: s | {"layer1.0.scale": np.ones(1)}, "the key 'layer1.0.scale' is unknown"),
        (
            lambda s: s | {"layer4.0.conv1.weight": np.ones(1)},
            r"3x3 and \(1, 1, 1, 1\) blocks in its stages",
        ),
        (lambda s: s | {"layer1.0.conv3.weight": np.ones(1)}, "1, 1, 1.* bottlenecks in its stages"),
        (lambda s: s | {"layer1.1.conv1.weight": np.ones(1)}, r"\(2, 1, 1\) blocks"),
        (lambda s: {"state_dict": 3}, "the key 'state_dict' is unknown"),
        (lambda s: {"net": s}, "the key 'net' is unknown"),
        (lambda s: {}, "there is no first convolution"),
        (lambda s: s | {"conv1.weight": 0.0}, "there is no first convolution"),
        (lambda s: s | {"conv1.weight": np.zeros((4, 3, 7, 7), "f")}, "a first convolution of 7x7"),
    ],
)
def test_what_is_no_net_of_ours_is_one_sentence(change, says):
    state = renamed(models.resnet(8, width=4, rng=0))
    with pytest.raises(ValueError, match=f"from_pytorch: (?s:.*){says}"):
        models.from_pytorch(change(state))


def test_from_torchvision_does_not_pass_a_net_of_cifar_on():
    """Its names are torchvision's, and `resnet` would take them without a word, with its zeros elsewhere."""
    for head in ("fc", "linear"):
        with pytest.raises(ValueError, match="from_pytorch knows others"):
            models.from_torchvision(renamed(models.resnet(8, width=4, rng=0), head))


def test_wrappers_that_are_part_of_a_name_here_stay():
    inner = nn.Linear(2, 2, rng=0)
    outer = nn.Module()
    outer.module = inner
    values = {f"module.{key}": value.numpy() + 1 for key, value in inner.state_dict().items()}
    outer.load_state_dict(values)
    np.testing.assert_array_equal(outer.module.weight.numpy(), values["module.weight"])
