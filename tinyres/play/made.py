"""A setting made into data, model and optimiser of a net: the same calls as in the script that the page shows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinyres import data, models, nn, optim
from tinyres.data import Dataset
from tinyres.play import nets

POINTS = 500
TOYS: dict[str, Callable[..., Dataset]] = {
    "moons": data.two_moons, "spirals": data.spirals, "circles": data.circles,
}  # fmt: skip
CONV: dict[str, Callable[..., nn.Module]] = {
    "plain": models.plain, "residual": models.resnet, "preact": models.preact, "highway": models.highway,
    "densenet": models.densenet, "skipinit": models.skipinit,
}  # fmt: skip
OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "sgd": optim.SGD, "momentum": partial(optim.SGD, momentum=0.9), "adam": optim.Adam, "rmsprop": optim.RMSprop,
}  # fmt: skip
MLP = (
    "activation",
    "norm",
    "s_w2",
    "s_b2",
    "skip",
    "branch",
    "alpha",
    "gate_bias",
    "growth",
)  # knobs that `nets.mlp` takes


def dataset(setting: dict[str, Any]) -> Dataset:
    """What is learned: 500 points in the plane, or the training part of the digits."""
    if setting["data"] == "digits":
        return data.digits(seed=setting["seed"]).train
    return TOYS[setting["data"]](POINTS, noise=setting["noise"], seed=setting["seed"])


def model(setting: dict[str, Any]) -> Any:
    """The net at its initial weights."""
    kind, depth, width, rng = setting["architecture"], setting["depth"], setting["width"], setting["seed"]
    if setting["family"] == "conv":
        own = {"highway": {"gate_bias": "gate_bias"}, "skipinit": {"alpha": "alpha"}}.get(kind, {})
        options = {name: setting[knob] for name, knob in own.items()}
        return CONV[kind](depth, width, in_channels=1, **options, rng=rng)
    images = setting["data"] == "digits"
    shape: dict[str, Any] = {"inputs": 64 if images else 2, "classes": 10 if images else 2}
    return nets.mlp(kind, depth, width, **shape, **{name: setting[name] for name in MLP}, rng=rng)


def optimizer(setting: dict[str, Any], net: nn.Module) -> optim.Optimizer:
    """Over all its parameters."""
    return OPTIMIZERS[setting["optimizer"]](net.parameters(), lr=setting["lr"])


def batch_size(setting: dict[str, Any], samples: Dataset) -> int:
    """The knob's, but never more than there are samples."""
    return min(int(setting["batch"]), len(samples))


def accuracy(logits: Any, labels: Any) -> float:
    """The share of the rows whose largest logit is the label's."""
    return float(np.mean(logits.argmax(axis=1) == labels))
