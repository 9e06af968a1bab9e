"""Data sets of images from bytes, for the files of MNIST and CIFAR."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.data.dataset import Array, Dataset
from tinyres.files import FileFormatError, PathLike

BRIGHTEST = 255


def image_dataset(
    pixels: Array, labels: Array, *, path: PathLike, name: str, classes: int, dtype: Any, normalize: bool
) -> Dataset:
    """A Dataset of images and their classes, with the labels checked; `path` is their file, for error messages.

    Args:
        pixels: (N, H, W, C) uint8, in any memory order.
        labels: (N,) integers.
        dtype: of the inputs, which have the shape (N, C, H, W) in channels-last memory.
        normalize: divide by 255.

    Raises:
        FileFormatError: a label is not a class.
        TypeError: normalize with an integer dtype.
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
