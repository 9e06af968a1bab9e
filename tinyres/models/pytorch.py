"""from_pytorch: load the weights of PyTorch's common ResNets and DenseNets, and find the net that they fit."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tinyres.files import PathLike, load
from tinyres.models.classifier import Classifier
from tinyres.models.densenet import BLOCKS as DENSE_BLOCKS
from tinyres.models.densenet import densenet_imagenet
from tinyres.models.imagenet import BLOCKS, resnet_imagenet
from tinyres.models.resnet import resnet
from tinyres.nn.keys import unwrapped

# Names of modules in keys, for ResNets and DenseNets. The first published DenseNet files have a dot before the number
# of a layer's norms and convolutions.
RESNET_BLOCK = re.compile(r"layer(\d)\.(\d+)\.(conv|bn|downsample\.|shortcut\.)(\d)")
DENSE_LAYER = re.compile(r"features\.denseblock(\d)\.denselayer(\d+)\.(norm|conv)\.?([12])")
TRANSITION = re.compile(r"features\.transition(\d)\.(norm|conv)")
ENDS = {
    "conv1": "stem.0", "bn1": "stem.1", "fc": "head.2", "linear": "head.2",
    "features.conv0": "stem.0", "features.norm0": "stem.1", "features.norm5": "head.0", "classifier": "head.4",
}  # fmt: skip


class Naming(NamedTuple):
    """How a family of ResNets names its last layer and its projections."""

    head: str
    projection: str
    stages: int
    two_sided: bool | None  # where padded shortcuts have their zeros; None: the names do not tell


NAMINGS = {
    "torchvision": Naming("fc", "downsample", 4, None),
    "pytorch_resnet_cifar10 of Idelbayev": Naming("linear", "shortcut", 3, True),
    "pytorch-cifar-models of Chen, pytorch-classification of Yang": Naming("fc", "downsample", 3, None),
}


def from_pytorch(state_dict: Mapping[str, Any] | PathLike, *, two_sided: bool | None = None) -> Classifier:
    """Make the net for a PyTorch state_dict, with its weights: `model = from_pytorch(torch.load(file))`.

    A path is that of a safetensors file, which `tr.load` reads.

    It supports the ResNets and DenseNets of torchvision (as `from_torchvision` does), and ResNets of 6 n + 2 layers for
    CIFAR with the names in `NAMINGS`, with projections or padded shortcuts. Depth, width and classes follow from the
    weights. Prefixes of `torch.compile` and `DataParallel` are removed, and the "state_dict" in a checkpoint is used.
    The net is float64 if the weights are, else float32.

    Args:
        two_sided: see `resnet`. The names do not tell whether padded shortcuts have zeros on both sides, and the wrong
            choice silently computes other logits. None means both sides if the head is called `linear`, as in the
            common nets of Idelbayev; with `fc` you must choose.

    Raises:
        ValueError: a key is unknown, tinyres has no such net, or two_sided must be given.
    """
    if isinstance(state_dict, (str, os.PathLike)):
        return from_pytorch(load(state_dict), two_sided=two_sided)
    inner = state_dict.get("state_dict")
    opened = inner if isinstance(inner, Mapping) else state_dict
    state = {bare: opened[key] for key, bare in unwrapped(opened).items()}
    renamed = _renamed("from_pytorch", state)
    first: Any = next((state[key] for key in ("conv1.weight", "features.conv0.weight") if key in state), None)
    if len(getattr(first, "shape", ())) != 4:
        raise ValueError("from_pytorch: there is no first convolution, 'conv1.weight' or 'features.conv0.weight'")
    net = (_densenet if "features.conv0.weight" in state else _resnet)(state, first, two_sided)
    if str(first.dtype).endswith("float64"):
        net.to("float64")
    try:
        net.load_state_dict(renamed)
    except RuntimeError as error:
        raise ValueError(
            f"from_pytorch: the names are those of a net that we have, the rest is not: {error}"
        ) from error
    return net


def _resnet(state: Mapping[str, Any], first: Any, two_sided: bool | None) -> Classifier:
    blocks = _counts(RESNET_BLOCK, state)
    counts = tuple(len(blocks[stage]) for stage in sorted(blocks))
    width, in_channels, kernel, _ = first.shape
    deep = any(".conv3." in key for key in state)
    heads = {naming.head: naming for naming in NAMINGS.values() if f"{naming.head}.weight" in state}
    head = next(iter(heads), "fc")
    sizes = {"width": width, "in_channels": in_channels, "classes": len(state.get(f"{head}.weight", ()))}
    known: dict[tuple[Any, bool], int] = {(found, depth >= 50): depth for depth, found in BLOCKS.items()}
    if kernel == 7 and (counts, deep) in known:
        return resnet_imagenet(known[counts, deep], **sizes, rng=0)
    if kernel != 3 or deep or len(counts) != 3 or len(set(counts)) != 1:
        raise ValueError(
            f"from_pytorch: no net of ours has a first convolution of {kernel}x{kernel} and {counts} "
            f"{'bottlenecks' if deep else 'blocks'} in its stages; there are those of resnet (3x3, three stages of as "
            "many blocks) and resnet_imagenet (7x7, four stages)"
        )
    projected = any(f".{naming.projection}." in key for naming in NAMINGS.values() for key in state)
    if two_sided is None and not projected:
        two_sided = heads[head].two_sided if head in heads else None
        if two_sided is None:
            raise ValueError(
                "from_pytorch: these shortcuts are padded, and names do not tell where; pass two_sided=True if the net "
                "pads the channels on both sides (F.pad(..., (0, 0, 0, 0, planes // 4, planes // 4))), else False"
            )
    depth = 6 * counts[0] + 2
    return resnet(depth, **sizes, shortcut="B" if projected else "A", two_sided=bool(two_sided), rng=0)


def _densenet(state: Mapping[str, Any], first: Any, two_sided: bool | None) -> Classifier:
    blocks = _counts(DENSE_LAYER, state)
    counts = tuple(len(blocks[stage]) for stage in sorted(blocks))
    depths: dict[Any, int] = {found: depth for depth, found in DENSE_BLOCKS.items()}
    if counts not in depths:
        raise ValueError(f"from_pytorch: no densenet_imagenet has {counts} layers in its blocks")
    sizes = {"width": first.shape[0] // 2, "in_channels": first.shape[1], "classes": len(state["classifier.weight"])}
    return densenet_imagenet(depths[counts], **sizes, rng=0)


def from_torchvision(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """A state_dict of torchvision's ResNet or DenseNet with the keys of `resnet_imagenet` or `densenet_imagenet`.

        model = resnet_imagenet(50)
        model.load_state_dict(from_torchvision(torchvision_model.state_dict()))

    It knows resnet18, 34, 50, 101, 152 and densenet121, 161 (growth 48), 169, 201. Values are passed on as they are.
    Files from before PyTorch 0.4.1 do not count batches: those counters are 0 here, as PyTorch sets them.

    Raises:
        ValueError: a key belongs to neither kind of net.
    """
    stages = _counts(RESNET_BLOCK, state_dict)
    if (3 in stages and 4 not in stages) or "linear.weight" in state_dict:
        raise ValueError(
            "from_torchvision: torchvision's ResNets have four stages and a head called 'fc'; from_pytorch knows others"
        )
    return _renamed("from_torchvision", state_dict)


def _renamed(function: str, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    of_resnet, of_densenet = _counts(RESNET_BLOCK, state_dict), _counts(DENSE_LAYER, state_dict)
    renamed = {}
    for key, value in state_dict.items():
        module, _, tensor = key.rpartition(".")
        name = ENDS.get(module) or _in_resnet(module, of_resnet) or _in_densenet(module, of_densenet)
        if name is None:
            raise ValueError(
                f"{function}: the key {key!r} is unknown; it must be one of a ResNet ('layer1.0.conv1.weight') or "
                "of torchvision's DenseNet ('features.denseblock1.denselayer1.norm1.weight')"
            )
        renamed[f"{name}.{tensor}"] = value
    for key in [key for key in renamed if key.endswith(".running_var")]:
        renamed.setdefault(key.replace("running_var", "num_batches_tracked"), np.zeros((), np.int64))
    return renamed


def _counts(pattern: re.Pattern[str], keys: Mapping[str, Any]) -> dict[int, set[int]]:
    """The numbers of the blocks in each stage."""
    found: dict[int, set[int]] = {}
    for match in filter(None, map(pattern.match, keys)):
        found.setdefault(int(match[1]), set()).add(int(match[2]))
    return found


def _before(stage: int, counts: dict[int, set[int]]) -> int:
    return sum(len(blocks) for number, blocks in counts.items() if number < stage)


def _in_resnet(module: str, counts: dict[int, set[int]]) -> str | None:
    match = RESNET_BLOCK.fullmatch(module)
    if match is None:
        return None
    block, kind, number = _before(int(match[1]), counts) + int(match[2]), match[3], int(match[4])
    if kind.endswith("."):
        return f"blocks.{block}.body.shortcut.{number}"
    return f"blocks.{block}.body.branch.{3 * (number - 1) + (kind == 'bn')}"  # conv, bn and a ReLU are three


def _in_densenet(module: str, counts: dict[int, set[int]]) -> str | None:
    if match := DENSE_LAYER.fullmatch(module):
        stage = int(match[1])
        block = _before(stage, counts) + stage - 1 + int(match[2]) - 1  # there are stage - 1 transitions before it
        return f"blocks.{block}.branch.{3 * (int(match[4]) - 1) + 2 * (match[3] == 'conv')}"  # norm, a ReLU, conv
    if match := TRANSITION.fullmatch(module):
        stage = int(match[1])
        return f"blocks.{_before(stage + 1, counts) + stage - 1}.{2 * (match[2] == 'conv')}"
    return None
