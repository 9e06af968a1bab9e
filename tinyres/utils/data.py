"""PyTorch's names for the data sets and the loader of `tinyres.data`.

loader = DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True)
for x, y in loader: ...
"""

from __future__ import annotations

from typing import Any

from tinyres import data
from tinyres.autograd.tensor import Tensor
from tinyres.data.dataset import Dataset


def TensorDataset(*tensors: Any) -> Dataset:
    """A data set of inputs and targets, sample by sample along the first axis.

    Raises:
        TypeError: there are not two tensors; a batch here is a pair.
        ValueError: they differ in length.
    """
    if len(tensors) != 2:
        raise TypeError(f"TensorDataset: needs two tensors, inputs and targets, got {len(tensors)}")
    inputs, targets = (t.numpy() if isinstance(t, Tensor) else t for t in tensors)
    return Dataset(inputs, targets)


class DataLoader(data.DataLoader):
    """`tinyres.data.DataLoader` with PyTorch's arguments and defaults.

    Batches are cut from arrays in memory, so there is nothing for workers to do: num_workers and pin_memory change
    nothing. The order of a shuffled epoch follows from `seed` and the number of the epoch alone.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        num_workers: int = 0,
        pin_memory: bool = False,
        drop_last: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(dataset, batch_size, shuffle=shuffle, seed=seed, drop_last=drop_last)


__all__ = ["DataLoader", "Dataset", "TensorDataset"]
