"""DataLoader: batches of tensors from a data set, shuffled by (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator
from operator import index

import numpy as np

from tinyres.autograd.tensor import Tensor, wrap
from tinyres.data.dataset import Array, Dataset
from tinyres.data.transforms import Transform


class DataLoader:
    """Batches of (inputs, targets), both tensors; each `for` over it is one epoch.

    The order of a shuffled epoch depends only on `seed` and `epoch`, and the random numbers of a transform only on
    these and the batch's number. So to repeat an epoch or resume a run, set `epoch`; to begin in the middle of one, use
    `batches(start)`. Images have the shape (B, C, H, W) in channels-last memory, which kernels read without a copy.

    Args:
        dataset: where the samples come from.
        batch_size: samples per batch; the last one may be smaller.
        shuffle: a new order each epoch; otherwise the order of the data set.
        seed: of the orders, and of what `transform` draws.
        drop_last: omit the last batch if it is smaller than the others.
        transform: called with the inputs of each batch and a generator; see `tinyres.data.transforms`. Targets are left
            alone.

    Attributes:
        epoch: the number of the epoch that the next `for` or `batches` gives; starts at 0.

    Raises:
        TypeError: dataset is not a Dataset, or batch_size not an integer.
        ValueError: batch_size < 1, the data set is empty, or drop_last would leave no batch.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 32,
        *,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        transform: Transform | None = None,
    ) -> None:
        if not isinstance(dataset, Dataset):
            raise TypeError(
                f"DataLoader: needs a Dataset, got {type(dataset).__name__}; "
                "wrap two arrays as Dataset(inputs, targets), or pass .train or .test of a split"
            )
        if index(batch_size) < 1:
            raise ValueError(f"DataLoader: batch_size must be at least 1, got {batch_size}")
        if not len(dataset):
            raise ValueError(f"DataLoader: the data set {dataset.name!r} is empty")
        if drop_last and len(dataset) < batch_size:
            raise ValueError(
                f"DataLoader: drop_last leaves no batch, since {len(dataset)} samples do not fill one of {batch_size}"
            )
        self.dataset = dataset
        self.batch_size = index(batch_size)
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.transform = transform
        self.epoch = 0

    def __len__(self) -> int:
        """Batches per epoch."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + bool(rest and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.batches()

    def batches(self, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The epoch from batch `start` on: bit for bit what a `for` gives after `start` batches.

        The skipped batches cost nothing. To resume a run that had seen `start` batches of epoch `e`:
        `loader.epoch = e`, then `loader.batches(start)`.

        Raises:
            ValueError: start is negative, or larger than the number of batches.
        """
        if not 0 <= index(start) <= len(self):
            raise ValueError(f"DataLoader: start must lie between 0 and the {len(self)} batches, got {start}")
        # Not a generator function, so that the epoch is counted now: also one that is left by `break`, and two
        # iterators side by side are two epochs.
        epoch, size = self.epoch, self.batch_size
        order = self._order(epoch)
        self.epoch += 1
        return (self._batch(order[i * size : (i + 1) * size], epoch, i) for i in range(start, len(self)))

    def _order(self, epoch: int) -> Array:
        n = len(self.dataset)
        return np.random.default_rng((self.seed, epoch)).permutation(n) if self.shuffle else np.arange(n)

    def _batch(self, rows: Array, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        inputs = rows_of(self.dataset.inputs, rows)
        if self.transform is not None:
            # A child of the epoch's seed sequence: (seed, epoch, 0) would draw the same numbers as (seed, epoch).
            seeds = np.random.SeedSequence((self.seed, epoch), spawn_key=(number,))
            inputs = self.transform(inputs, np.random.default_rng(seeds))
            if not isinstance(inputs, np.ndarray) or len(inputs) != len(rows):
                raise TypeError(
                    f"DataLoader: transform must return an array of {len(rows)} samples, as many as it was given, "
                    f"got {getattr(inputs, 'shape', type(inputs).__name__)}"
                )
        return wrap(inputs), wrap(rows_of(self.dataset.targets, rows))


def rows_of(array: Array, rows: Array) -> Array:
    """A new array of these rows: images channels-last in memory, anything else in C order."""
    # Indexing, then making contiguous: np.take would first copy a whole data set that is not contiguous.
    if array.ndim != 4:
        return np.ascontiguousarray(array[rows])
    channels_last = np.ascontiguousarray(array.transpose(0, 2, 3, 1)[rows])  # (B, H, W, C)
    return channels_last.transpose(0, 3, 1, 2)  # (B, C, H, W)
