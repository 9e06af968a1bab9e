"""What folders of images and .npz files share: classes, a stratified split, and saying what was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyres.data.dataset import Array, Dataset, Split

MOST_NAMED = 12  # classes that are listed one by one
FRACTION = 0.2  # of the test set


def check_options(what: str, image_size: int | None, test_fraction: float) -> None:
    """Raise a ValueError for options that nothing can be read with."""
    if image_size is not None and image_size < 1:
        raise ValueError(f"{what}: image_size must be at least 1, got {image_size}")
    if not 0 < test_fraction < 1:
        raise ValueError(f"{what}: test_fraction must lie strictly between 0 and 1, got {test_fraction}")


def check_classes(what: str, counts: dict[str, int], least: int, mend: str) -> None:
    """Raise a ValueError if there are fewer than two classes, or fewer than `least` samples in one.

    Args:
        what: the data, for the message; mend: how to give them more than one class.
    """
    if len(counts) < 2:
        got = f"only one, {next(iter(counts))!r}" if counts else "none"
        raise ValueError(f"{what}: a classifier needs at least two classes, found {got}; {mend}")
    few = [name for name, count in counts.items() if count < least]
    if few:
        needs = "a sample" if least == 1 else "2 samples, one to train with and one to test with"
        raise ValueError(f"{what}: each class needs {needs}; too few: {', '.join(few)}")


def stratified(targets: Array, test_fraction: float, seed: int) -> tuple[Array, Array]:
    """Rows to train and rows to test with: of every class the same share, at least one, drawn from (seed, class)."""
    train, test = [], []
    for c in np.unique(targets):
        rows = np.flatnonzero(targets == c)
        rows = np.random.default_rng((seed, int(c))).permutation(rows)
        held = min(max(1, round(len(rows) * test_fraction)), len(rows) - 1)
        test.append(rows[:held])
        train.append(rows[held:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


def split(
    name: str,
    images: Array,
    targets: Array,
    class_names: Sequence[str],
    is_test: Array | None,
    found: Sequence[str],
    *,
    labelled: bool,
    test_fraction: float,
    seed: int,
    fingerprint: str,
) -> Split:
    """The two parts, each of which says what was found.

    Args:
        images: (N, C, H, W) floats from 0 to 1.
        targets: (N,) class numbers.
        is_test: (N,) booleans, where the data came in two parts; None: to be split here.
        labelled: False leaves all to the first part if there is no split yet.
    """
    if is_test is not None:
        train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
        how = "as they came"
    elif labelled:
        train, test = stratified(targets, test_fraction, seed)
        how = f"{test_fraction:.0%} of each class held back, seed {seed}"
    else:
        train, test, how = np.arange(len(images)), np.arange(0), ""
    about = "; ".join([*found, *([f"{len(train):,} to train, {len(test):,} to test ({how})"] if how else [])])
    classes = len(class_names) if labelled else None
    parts = (
        Dataset(images[rows], targets[rows], f"{name}/{part}", classes, tuple(class_names), about, fingerprint)
        for rows, part in ((train, "train"), (test, "test"))
    )
    return Split(*parts)


def many(n: int, what: str, more: str = "s") -> str:
    """Such as "1 image" and "1,200 images"."""
    return f"{n:,} {what}{'' if n == 1 else more}"


def counted(counts: dict[str, int]) -> str:
    """Such as "2 classes: cats 120, dogs 80"."""
    if len(counts) > MOST_NAMED:
        return f"{many(len(counts), 'class', 'es')} of {min(counts.values()):,} to {max(counts.values()):,} samples"
    named = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return f"{many(len(counts), 'class', 'es')}: {named}"


def to_floats(pixels: Array, dtype: Any) -> Array:
    """(N, H, W, C) uint8 as (N, C, H, W) from 0 to 1, channels-last in memory as it came."""
    return np.divide(pixels, 255, dtype=np.dtype(dtype)).transpose(0, 3, 1, 2)


__all__ = ["FRACTION", "check_classes", "check_options", "counted", "many", "split", "stratified", "to_floats"]
