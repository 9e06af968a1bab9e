"""Weights that torchvision's models were saved with, under the names of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

# A key is split into the module's name and the tensor's: those of a ResNet and those of a DenseNet, whose first
# published files have a dot before the number of a layer's norms and convolutions.
RESNET_BLOCK = re.compile(r"layer(\d)\.(\d+)\.(conv|bn|downsample\.)(\d)")
DENSE_LAYER = re.compile(r"features\.denseblock(\d)\.denselayer(\d+)\.(norm|conv)\.?([12])")
TRANSITION = re.compile(r"features\.transition(\d)\.(norm|conv)")
ENDS = {
    "conv1": "stem.0", "bn1": "stem.1", "fc": "head.2",
    "features.conv0": "stem.0", "features.norm0": "stem.1", "features.norm5": "head.0", "classifier": "head.4",
}  # fmt: skip


def from_torchvision(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """A state_dict of torchvision's ResNet or DenseNet with the keys of `resnet_imagenet` or `densenet_imagenet`.

        model = resnet_imagenet(50)
        model.load_state_dict(from_torchvision(torchvision_model.state_dict()))

    It knows resnet18, 34, 50, 101, 152 and densenet121, 161 (growth 48), 169, 201. Values are passed on as they are.
    Files from before PyTorch 0.4.1 do not count batches: those counters are 0 here, as PyTorch sets them.

    Raises:
        ValueError: a key belongs to neither kind of net.
    """
    of_resnet, of_densenet = _counts(RESNET_BLOCK, state_dict), _counts(DENSE_LAYER, state_dict)
    renamed = {}
    for key, value in state_dict.items():
        module, _, tensor = key.rpartition(".")
        name = ENDS.get(module) or _in_resnet(module, of_resnet) or _in_densenet(module, of_densenet)
        if name is None:
            raise ValueError(
                f"from_torchvision: the key {key!r} is unknown; it must be one of torchvision's ResNet "
                "('layer1.0.conv1.weight') or DenseNet ('features.denseblock1.denselayer1.norm1.weight')"
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
    if kind == "downsample.":
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
