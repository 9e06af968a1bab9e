"""Transforms of batches of images: standardisation and data augmentation.

Each is called with a batch (N, C, H, W) and a generator, and returns a new batch in channels-last memory; the given
batch is not changed. Pass one, or several in a `Compose`, to `DataLoader(..., transform=...)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinyres.data.dataset import Array, Dataset

BLOCK = 1024  # images at a time, to keep intermediate results small


class Transform(Protocol):
    """(batch, generator) -> a batch of as many samples."""

    def __call__(self, images: Array, rng: np.random.Generator, /) -> Array: ...


class Compose:
    """Several transforms in turn: Compose([a, b])(x) = b(a(x)), all drawing from the same generator."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self.transforms = tuple(transforms)

    def __call__(self, images: Array, rng: np.random.Generator) -> Array:
        for transform in self.transforms:
            images = transform(images, rng)
        return images


class Normalize:
    """Standardise each channel: y[:, c] = (x[:, c] - mean[c]) / std[c], in the dtype of x.

    `Normalize(*channel_statistics(train))` gives every channel of `train` mean 0 and variance 1.

    Args:
        mean: one number per channel, or one for all.
        std: likewise, and all positive.

    Raises:
        ValueError: a std is not positive and finite; when called, the images have another number of channels.
        TypeError: when called, the images are not floats.
    """

    def __init__(self, mean: float | Sequence[float] | Array, std: float | Sequence[float] | Array) -> None:
        self.mean = np.asarray(mean, dtype=np.float64).reshape(-1)
        self.std = np.asarray(std, dtype=np.float64).reshape(-1)
        if not (np.isfinite(self.std) & (self.std > 0)).all():
            raise ValueError(f"Normalize: every std must be positive and finite, got {self.std.tolist()}")

    def __call__(self, images: Array, rng: np.random.Generator) -> Array:
        n, c, h, w = _check_images("Normalize", images)
        if not np.issubdtype(images.dtype, np.floating):
            raise TypeError(f"Normalize: images must be floats, got {images.dtype}; load them with normalize=True")
        for given in (self.mean, self.std):
            if given.size not in (1, c):
                raise ValueError(f"Normalize: made for {given.size} channels, the images have {c}")
        mean, std = (np.resize(given.astype(images.dtype), h * w * c) for given in (self.mean, self.std))
        result: Array = _rows(images) - mean  # (N, H W C)
        result /= std
        return result.reshape(n, h, w, c).transpose(0, 3, 1, 2)


class RandomCrop:
    """Shift each image by its own random offset: pad with zeros on all sides, then crop to the old size.

    All (2 padding + 1)² offsets are equally likely. From He et al. 2016 [he2016deep], section 4.2, where padding
    is 4 for CIFAR-10.

    Args:
        padding: pixels on each side. Keyword-only, since the first argument of torchvision's RandomCrop is a size.

    Raises:
        ValueError: padding < 0.
    """

    def __init__(self, *, padding: int) -> None:
        if padding < 0:
            raise ValueError(f"RandomCrop: padding must be at least 0, got {padding}")
        self.padding = index(padding)

    def __call__(self, images: Array, rng: np.random.Generator) -> Array:
        n, _, h, w = _check_images("RandomCrop", images)
        p = self.padding
        padded = np.pad(images.transpose(0, 2, 3, 1), ((0, 0), (p, p), (p, p), (0, 0)))  # (N, H + 2p, W + 2p, C)
        windows = sliding_window_view(padded, (h, w), axis=(1, 2))  # (N, 2p + 1, 2p + 1, C, H, W)
        top, left = rng.integers(0, 2 * p + 1, size=(2, n))
        cropped: Array = windows.transpose(0, 1, 2, 4, 5, 3)[np.arange(n), top, left]  # (N, H, W, C)
        return cropped.transpose(0, 3, 1, 2)


class RandomHorizontalFlip:
    """Mirror each image left to right with probability p, independently.

    Raises:
        ValueError: p is not in [0, 1].
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"RandomHorizontalFlip: p must be a probability, 0 to 1, got {p}")
        self.p = p

    def __call__(self, images: Array, rng: np.random.Generator) -> Array:
        n = _check_images("RandomHorizontalFlip", images)[0]
        chosen = rng.random(n) < self.p
        flipped = images.transpose(0, 2, 3, 1).copy()  # (N, H, W, C)
        flipped[chosen] = flipped[chosen, :, ::-1]
        return flipped.transpose(0, 3, 1, 2)


def channel_statistics(dataset: Dataset) -> tuple[Array, Array]:
    """Mean and standard deviation of each channel over all images and pixels: two (C,) float64 arrays.

    mean[c] = Σ x[:, c] / (N H W), std[c]² = Σ (x[:, c] - mean[c])² / (N H W).

    Raises:
        ValueError: the inputs are not images (N, C, H, W), or there are none.
    """
    images = dataset.inputs
    n, c, h, w = _check_images("channel_statistics", images)
    if not images.size:
        raise ValueError(f"channel_statistics: no pixel to average, the inputs have shape {images.shape}")

    def average(function: Callable[[Array], Array]) -> Array:
        total = np.zeros(h * w * c)
        for start in range(0, n, BLOCK):
            total += function(_rows(images[start : start + BLOCK])).sum(axis=0, dtype=np.float64)
        result: Array = total.reshape(h * w, c).sum(axis=0) / (n * h * w)
        return result

    mean = average(lambda rows: rows)
    return mean, np.sqrt(average(lambda rows: np.square(rows - np.resize(mean, h * w * c))))


def _rows(images: Array) -> Array:
    """(N, H W C), in the order of channels-last memory: NumPy is slow on an innermost axis of three channels."""
    n, c, h, w = images.shape
    return images.transpose(0, 2, 3, 1).reshape(n, h * w * c)


def _check_images(what: str, images: Array) -> tuple[int, int, int, int]:
    if images.ndim != 4:
        raise ValueError(f"{what}: needs images of shape (N, C, H, W), got {images.shape}")
    n, c, h, w = images.shape
    return n, c, h, w
