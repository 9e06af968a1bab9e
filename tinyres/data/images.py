"""From bytes to a data set of images: what MNIST's and CIFAR's files have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.data.dataset import Array, Dataset
from tinyres.files import FileFormatError, PathLike

BRIGHTEST = 255


def image_dataset(
    pixels: Array, labels: Array, *, path: PathLike, name: str, classes: int, dtype: Any, normalize: bool
) -> Dataset:
    """Images and their classes, checked; `path` is the file that the labels came from.

    Args:
        pixels: (N, H, W, C) uint8, in any memory order.
        labels: (N,) integers.
        dtype: of the inputs, which come as logical (N, C, H, W) in channels-last memory.
        normalize: divide by 255.

    Raises:
        FileFormatError: a label that is no class.
        TypeError: normalize, and a dtype that has no fractions.
    """
    if len(labels) and labels.max() >= classes:
        row = int(np.argmax(labels >= classes))
        raise FileFormatError(f"{path}: labels are 0 to {classes - 1}, sample {row} has {labels[row]}")
    dtype = np.dtype(dtype)
    if not normalize:
        inputs = pixels.astype(dtype, order="C")
    elif np.issubdtype(dtype, np.floating):
        inputs = np.divide(pixels, BRIGHTEST, dtype=dtype, order="C")
    else:
        raise TypeError(f"{name}: values from 0 to 1 need a float dtype, got {dtype}; or pass normalize=False")
    return Dataset(inputs.transpose(0, 3, 1, 2), labels.astype(np.int64), name, classes)  # (N, C, H, W)
