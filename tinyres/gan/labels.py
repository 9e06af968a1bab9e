"""The classes of samples: filled into a player, drawn beside noise, laid out in rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.autograd.tensor import Array
from tinyres.data import Dataset
from tinyres.ops import concatenate

MOST_ROWS = 16  # of a picture with a row for each class


class Told:
    """A player that has been told the classes of its samples: `Told(D, y)(x)` is D(x, y).

    Of k times as many samples as labels, such as data and fakes at once, each k-th part has these labels.
    """

    def __init__(self, player: Any, labels: Any) -> None:
        self.player, self.labels = player, labels

    def __call__(self, x: Any) -> Any:
        parts = x.shape[0] // self.labels.shape[0]
        return self.player(x, self.labels if parts == 1 else concatenate([self.labels] * parts))


def told(player: Any, labels: Any) -> Any:
    """The player, told the labels if there are any."""
    return player if labels is None else Told(player, labels)


def classes_of(dataset: Dataset) -> int:
    """How many classes the targets of a data set are.

    Raises:
        ValueError: its targets are no classes, or there is only one.
    """
    if dataset.classes is None or dataset.classes < 2 or dataset.targets.dtype.kind not in "iu":
        raise ValueError(
            f"conditional players are told the class of each sample, but {dataset.name} has none; take labelled data, "
            "such as a folder with one folder of images per class, or leave out --conditional"
        )
    return dataset.classes


def row_for_each(classes: int, noise: Array) -> tuple[Array, Array | None]:
    """The same noise (n, latent) once for each class, and the labels: (rows * n, latent) and (rows * n,).

    Of more than 16 classes there are 16, spread evenly; of none there is one row, without labels.
    """
    if not classes:
        return noise, None
    shown = np.linspace(0, classes - 1, min(classes, MOST_ROWS)).round().astype(np.int64)
    return np.tile(noise, (len(shown), 1)), np.repeat(shown, len(noise))


__all__ = ["MOST_ROWS", "Told", "classes_of", "row_for_each", "told"]
