"""1,797 handwritten digits of 8x8 pixels, bundled with scikit-learn: real images, and small enough for a CPU."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from tinyres.data.dataset import Dataset, Split

DARKEST = 16  # a pixel is the number of inked dots in a 4x4 patch


def digits(*, test_fraction: float = 0.2, seed: int = 0, dtype: Any = "float32", normalize: bool = True) -> Split:
    """Handwritten digits, in a stratified split: `train, test = data.digits(seed=0)`.

    Inputs are (N, 1, 8, 8), from 0 (paper) to 1 (ink); targets are (N,) int64, the digit.
    From Alpaydin & Kaynak 1998 [alpaydin1998optical], "Optical recognition of handwritten digits".

    Args:
        test_fraction: the share of the test set, between 0 and 1.
        seed: of the split; the same seed always gives the same one.
        dtype: of the inputs.
        normalize: False leaves the raw counts, 0 to 16.

    Raises:
        ImportError: scikit-learn is missing.
        ValueError: test_fraction is not strictly between 0 and 1, or leaves a part with fewer samples than classes.
    """
    if not 0 < test_fraction < 1:
        raise ValueError(f"digits: test_fraction must lie strictly between 0 and 1, got {test_fraction}")
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise ImportError("digits: these images come with scikit-learn; pip install 'tinyres[lab]'") from error
    images, labels = _read(load_digits)
    if normalize:
        images = images / DARKEST
    images, labels = images.astype(dtype), labels.astype(np.int64)
    x_train, x_test, y_train, y_test = train_test_split(
        images, labels, test_size=test_fraction, random_state=seed, stratify=labels
    )
    return Split(Dataset(x_train, y_train, "digits/train", 10), Dataset(x_test, y_test, "digits/test", 10))


@cache
def _read(load_digits: Any) -> tuple[Any, Any]:
    """Images (N, 1, 8, 8) and labels (N,), read once: scikit-learn unpacks its file anew each time."""
    found = load_digits()
    return found.images[:, None], found.target
