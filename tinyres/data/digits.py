"""1,797 handwritten digits of 8x8 pixels, bundled with scikit-learn: real images, and small enough for a CPU."""

from __future__ import annotations

import math
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tinyres.data.dataset import Array, Dataset, Split

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
    images, labels = _read()
    rows = _stratified(labels, test_fraction, seed)
    if normalize:
        images = images / DARKEST
    images, labels = images.astype(dtype), labels.astype(np.int64)
    parts = zip(("digits/train", "digits/test"), rows, strict=True)
    return Split(*(Dataset(images[rows], labels[rows], name, 10) for name, rows in parts))


@cache
def _read() -> tuple[Array, Array]:
    """Images (N, 1, 8, 8) and labels (N,). Only scikit-learn's file is read: to import scikit-learn takes a second."""
    found = find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise ImportError("digits: these images come with scikit-learn; pip install 'tinyres[lab]'")
    file = Path(found.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    if not file.exists():  # no longer where it was
        from sklearn.datasets import load_digits

        return load_digits().images[:, None], load_digits().target
    table = np.loadtxt(file, delimiter=",")  # 64 pixels and the label
    return table[:, :-1].reshape(-1, 1, 8, 8), table[:, -1].astype(np.int64)


def _stratified(labels: Array, test_fraction: float, seed: int) -> tuple[Array, Array]:
    """The rows for training and for testing, drawn as scikit-learn's `train_test_split(stratify=labels)` draws them."""
    rng = np.random.RandomState(seed)  # of which the draws stay the same for ever
    of_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    sizes = np.array([len(rows) for rows in of_class])
    n_test = math.ceil(test_fraction * len(labels))
    if min(n_test, len(labels) - n_test) < len(sizes):
        raise ValueError(
            f"digits: a test_fraction of {test_fraction} leaves {n_test} of {len(labels)} images for testing; "
            f"each part needs as many as the number of classes, {len(sizes)}"
        )
    for_train = _shares(sizes, len(labels) - n_test, rng)
    for_test = _shares(sizes - for_train, n_test, rng)
    train, test = [], []
    for rows, n, m in zip(of_class, for_train, for_test, strict=True):
        drawn = rows[rng.permutation(len(rows))]
        train.append(drawn[:n])
        test.append(drawn[n : n + m])
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(test))


def _shares(sizes: Array, count: int, rng: np.random.RandomState) -> Array:
    """How many of each class, of so many in all: the largest remainders are rounded up, equal ones by lot."""
    exact = sizes / sizes.sum() * count
    shares: Array = np.floor(exact).astype(int)
    remainders, left = exact - shares, count - shares.sum()
    for remainder in np.unique(remainders)[::-1]:
        if left <= 0:
            break
        (equal,) = np.nonzero(remainders == remainder)
        chosen = rng.choice(equal, size=min(len(equal), left), replace=False)
        shares[chosen] += 1
        left -= len(chosen)
    return shares
