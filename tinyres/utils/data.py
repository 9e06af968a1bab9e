"""Data sets and the loader as PyTorch has them, for training loops that were written for it.

loader = DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True)
for x, y in loader: ...

The loader of `tinyres.data` can begin again in the middle of an epoch; this one takes any data set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import index as integer
from typing import Any

import numpy as np

from tinyres import data
from tinyres.arrays import to_device
from tinyres.arrays.random import Rng, rng_of
from tinyres.autograd.tensor import Tensor, tensor, wrap
from tinyres.data.loader import rows_of
from tinyres.ops import stack
from tinyres.refusals.absent import told
from tinyres.refusals.arguments import Explained
from tinyres.refusals.blame import explain_operands


class Dataset:
    """Base class of your own: define `__getitem__(index)`, which gives a sample, and `__len__()`."""

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(index), which gives a sample")


class TensorDataset(Dataset, Explained):
    """Tensors of the same length; a sample is a tuple with an element of each.

    Raises:
        ValueError: they differ in length.
    """

    def __init__(self, *tensors: Any) -> None:
        self.tensors = tuple(t if isinstance(t, Tensor) else tensor(t) for t in tensors)
        if len({t.shape[:1] for t in self.tensors} | {()}) != 2:
            raise ValueError(
                f"TensorDataset: needs tensors of one length, got shapes {[t.shape for t in self.tensors]}"
            )

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


class Subset(Dataset):
    """The samples of another data set that `indices` names."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: Any) -> Any:
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


@explain_operands
def random_split(dataset: Any, lengths: Sequence[float], generator: Rng = None) -> list[Subset]:
    """Disjoint parts of a data set, drawn at random.

    Args:
        lengths: how many samples each part gets, or its share; then shares add up to 1, and the first parts get one
            sample more where they do not divide.
        generator: a `numpy.random.Generator`, a seed, or None for the one that `tr.manual_seed` seeds.

    Raises:
        ValueError: the lengths do not add up to the number of samples.
    """
    n, counts = len(dataset), [int(length) for length in lengths]
    if abs(sum(lengths) - 1) < 1e-6 and all(0 <= share <= 1 for share in lengths):
        counts = [int(n * share) for share in lengths]
        for i in range(n - sum(counts)):
            counts[i % len(counts)] += 1
    if sum(counts) != n:
        raise ValueError(f"random_split: the lengths must add up to {n}, the number of samples, got {lengths}")
    order = rng_of(generator).permutation(n).tolist()
    ends = np.cumsum(counts, dtype=int).tolist()
    return [Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts, strict=True)]


def default_collate(batch: Sequence[Any]) -> Any:
    """Samples as a batch: tensors are stacked, numbers and arrays become tensors, tuples and dicts of them likewise."""
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(list(batch))
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in batch]) for key in first}
    if isinstance(first, (tuple, list)):
        return [default_collate(part) for part in zip(*batch, strict=True)]
    return list(batch) if isinstance(first, (str, bytes)) else wrap(np.stack([np.asarray(sample) for sample in batch]))


class DataLoader(Explained):
    """Batches of a data set; each `for` over it is one epoch.

    Samples are loaded here, one after the other, and batches of a TensorDataset are cut from its tensors. So
    num_workers and what belongs to workers, pin_memory and timeout change nothing.

    Args:
        dataset: anything with `__getitem__` and `__len__`; also a `tinyres.data.Dataset`.
        batch_size: samples per batch; the last one may be smaller.
        shuffle: a new order each epoch.
        sampler: the indices of an epoch, in place of shuffle.
        collate_fn: makes a batch of a list of samples; `default_collate`, if it is not given.
        drop_last: omit the last batch if it is smaller than the others.
        generator: of the orders: a `numpy.random.Generator`, a seed, or None for the one that `tr.manual_seed` seeds.

    Raises:
        TypeError: the data set has no length, or batch_size is no integer.
        ValueError: batch_size < 1, or both shuffle and sampler are given.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        sampler: Iterable[int] | None = None,
        *,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        generator: Rng = None,
        persistent_workers: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        prefetch_factor: int | None = None,
    ) -> None:
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(
                f"DataLoader: needs a data set with __getitem__ and __len__, got {type(dataset).__name__}; "
                "for tensors, write TensorDataset(x, y)"
            )
        if integer(batch_size) < 1:
            raise ValueError(f"DataLoader: batch_size must be at least 1, got {batch_size}")
        if shuffle and sampler is not None:
            raise ValueError("DataLoader: a sampler gives the order, so shuffle must be left out")
        self.dataset, self.batch_size, self.drop_last = dataset, integer(batch_size), drop_last
        self.shuffle, self.sampler, self.collate_fn = bool(shuffle), sampler, collate_fn
        self.generator = rng_of(generator)

    def __len__(self) -> int:
        """Batches per epoch."""
        n = len(self.dataset if self.sampler is None else self.sampler)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        n, size = len(self.dataset), self.batch_size
        given = range(n) if self.sampler is None else list(self.sampler)
        order = self.generator.permutation(n) if self.shuffle else np.asarray(given, np.int64)
        last = len(order) - len(order) % size if self.drop_last else len(order)
        return (self._batch(order[i : i + size]) for i in range(0, last, size))

    def _batch(self, rows: Any) -> Any:
        if self.collate_fn is None and isinstance(self.dataset, TensorDataset):
            return [_cut(t, rows) for t in self.dataset.tensors]
        if self.collate_fn is None and isinstance(self.dataset, data.Dataset):
            return [wrap(rows_of(array, rows)) for array in (self.dataset.inputs, self.dataset.targets)]
        return (self.collate_fn or default_collate)([self.dataset[i] for i in rows.tolist()])


def _cut(t: Tensor, rows: Any) -> Any:
    """These rows of a tensor: images channels-last in memory, which kernels read without a copy."""
    if t.requires_grad or t.device != "cpu":
        return t[to_device(rows, t.device)]
    return wrap(rows_of(t.data, rows))


__all__ = ["DataLoader", "Dataset", "Subset", "TensorDataset", "default_collate", "random_split"]
__getattr__ = told(__name__)
