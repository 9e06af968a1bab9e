"""The real data that a GAN learns: images with values in (-1, 1), where tanh ends, and mixtures in the plane."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinyres import data
from tinyres.data import Dataset

SHAPES: dict[str, tuple[int, ...]] = {  # of one sample
    "digits": (1, 8, 8), "ring8": (2,), "grid25": (2,), "mnist": (1, 28, 28), "fashion-mnist": (1, 28, 28),
    "cifar10": (3, 32, 32), "stacked-digits": (3, 8, 8), "stacked-mnist": (3, 28, 28),
}  # fmt: skip
STACKED = {"stacked-digits": "digits", "stacked-mnist": "mnist"}  # of which data set three images are stacked
MIXTURES = ("ring8", "grid25")
POINTS = 50_000  # drawn once: enough that no epoch ends before the generator has moved
GRID_SCALE = 4.0  # the outermost of the grid's centres


def real_data(name: str, seed: int = 0, image_size: int | None = None, *, labelled: bool = False) -> Dataset:
    """The samples called `name`, scaled to what generators give.

    Images go from [0, 1] to [-1, 1]. The ring has 8 modes on the unit circle; the grid's 25 modes, 2 apart, are divided
    by 4, so that its centres lie in [-1, 1] and their spread, .05, becomes .0125: that is the same problem in another
    unit, and `mixture` knows it. Stacked data are 50,000 triples of digits, drawn independently, one in each colour
    channel: 1,000 modes (Metz et al. 2017 [metz2017unrolled], with MNIST); a triple's number is its target. Digits are
    all 1,797, which come without a split; the others are the training part.

    Args:
        name: a key of `SHAPES`, or the path of your own images, of which those to train with are taken.
        seed: of the points of a mixture, and of the triples.
        image_size: what images of your own are brought to.
        labelled: of your own images: they need classes, and those held back for a classifier are left out.

    Raises:
        ValueError: there is no such data set, or no classes in it.
        ImportError, OSError: the data set's own errors.
    """
    name = data.named(name, SHAPES, "data")
    if data.is_own(name):
        own = data.load(name, image_size=image_size, labelled=labelled).train
        return replace(own, inputs=2 * own.inputs - 1)
    if name in MIXTURES:
        centers, sd = mixture(name)
        return data.gaussian_mixture(POINTS, centers, sd, seed, name=name)
    if name in STACKED:
        return _stacked(name, real_data(STACKED[name]), seed)
    split = data.load(name)
    parts = split if name == "digits" else split[:1]
    inputs = np.concatenate([part.inputs for part in parts])
    targets = np.concatenate([part.targets for part in parts])
    return Dataset(2 * inputs - 1, targets, name, split.train.classes)


def _stacked(name: str, single: Dataset, seed: int) -> Dataset:
    chosen = np.random.default_rng(seed).integers(len(single), size=(POINTS, 3))
    inputs = single.inputs[chosen, 0]  # (N, 3, H, W)
    targets = single.targets[chosen] @ np.array([100, 10, 1])
    return Dataset(inputs, targets, name, 1000)


def mixture(name: str) -> tuple[data.dataset.Array, float]:
    """The centres (modes, 2) of a mixture and the standard deviation round each, in the units of `real_data`.

    PacGAN (Lin et al. 2018 [lin2018pacgan]) and VEEGAN (Srivastava et al. 2017 [srivastava2017veegan]) count modes on
    these.
    """
    if name == "ring8":
        return data.ring_centers(8), 0.01
    if name == "grid25":
        return data.grid_centers(5) / GRID_SCALE, 0.05 / GRID_SCALE
    raise ValueError(f"{name} is not a mixture; ring8 and grid25 are")
