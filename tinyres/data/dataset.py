"""Dataset: an array of inputs and one of targets. Split: a training set and a test set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias, overload

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Inputs and targets, sample by sample along the first axis.

    `dataset[3]` is one (input, target) pair and iterating gives such pairs; a slice, a mask or an array of indices
    gives a Dataset. A slice shares memory with the whole, as NumPy's do.

    Args:
        inputs: (N, ...); images are (N, C, H, W).
        targets: (N, ...); for classification, int64 class numbers (N,).
        name: its name in reports.
        classes: the number of classes; None if targets are not classes.
        class_names: of the classes, where they have names.
        found: what was found where the data came from, and what was made of it; for your own data.
        fingerprint: a hash of the files that they came from; for your own data.

    Raises:
        TypeError: inputs or targets is not an array, or has no axis.
        ValueError: inputs and targets differ in length.
    """

    inputs: Array
    targets: Array
    name: str = "data"
    classes: int | None = None
    class_names: tuple[str, ...] = ()
    found: str = ""
    fingerprint: str = ""

    def __post_init__(self) -> None:
        for argument, value in (("inputs", self.inputs), ("targets", self.targets)):
            if not isinstance(value, np.ndarray):
                raise TypeError(f"Dataset: {argument} must be a NumPy array, got {type(value).__name__}")
            if value.ndim == 0:
                raise TypeError(f"Dataset: {argument} needs an axis of samples, got an array of no dimensions")
        if len(self.inputs) != len(self.targets):
            raise ValueError(
                f"Dataset: one target per input is needed, got {len(self.inputs)} inputs "
                f"and {len(self.targets)} targets"
            )

    def __len__(self) -> int:
        return len(self.inputs)

    @overload
    def __getitem__(self, index: int) -> tuple[Array, Any]: ...
    @overload
    def __getitem__(self, index: slice | Array | list[int]) -> Dataset: ...
    def __getitem__(self, index: int | slice | Array | list[int]) -> tuple[Array, Any] | Dataset:
        if isinstance(index, int | np.integer):
            return self.inputs[index], self.targets[index]
        return replace(self, inputs=self.inputs[index], targets=self.targets[index])

    def __iter__(self) -> Iterator[tuple[Array, Any]]:
        return zip(self.inputs, self.targets, strict=True)

    def __repr__(self) -> str:
        classes = "" if self.classes is None else f", {self.classes} classes"
        samples = f"{len(self)} samples of shape {self.inputs.shape[1:]}, {self.inputs.dtype}"
        return f"Dataset({self.name}: {samples}{classes})"


class Split(NamedTuple):
    """Disjoint parts of one data set: `train, test = data.digits()`."""

    train: Dataset
    test: Dataset
