"""PyTorch's names for data sets and loaders."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import data
from tinyres.utils.data import DataLoader, Dataset, Subset, TensorDataset, random_split

X, Y = np.arange(14, dtype=np.float32).reshape(7, 2), np.arange(7)


def test_a_loop_as_pytorchs_users_write_it():
    loader = DataLoader(TensorDataset(tr.tensor(X), tr.tensor(Y)), batch_size=3, shuffle=True, num_workers=2)
    assert isinstance(loader.dataset, Dataset)
    for _ in range(2):
        batches = list(loader)
        assert [len(x) for x, _ in batches] == [3, 3, 1]
        assert sorted(np.concatenate([y.numpy() for _, y in batches])) == list(range(7))
        for x, y in batches:
            np.testing.assert_array_equal(x.numpy(), X[y.numpy()])
    one, other = ([y.numpy().tolist() for _, y in loader] for _ in range(2))
    assert one != other


def test_defaults_are_pytorchs():
    batches = list(DataLoader(TensorDataset(X, Y)))
    assert [y.item() for _, y in batches] == list(range(7))
    assert len(DataLoader(TensorDataset(X, Y), 2, drop_last=True)) == 3


def test_orders_follow_the_seed_of_all_or_a_generator():
    def epochs(**how):
        loader = DataLoader(TensorDataset(X, Y), 2, True, **how)
        return [[y.numpy().tolist() for _, y in loader] for _ in range(2)]

    tr.manual_seed(1)
    first = epochs()
    tr.manual_seed(1)
    assert epochs() == first
    assert epochs() != first
    tr.manual_seed(2)
    assert epochs(generator=1) == epochs(generator=1) == epochs(generator=np.random.default_rng(1))


def test_the_houses_data_sets_are_taken_too():
    ours = data.DataLoader(data.Dataset(X, Y), 3)
    for (a, b), (c, d) in zip(ours, DataLoader(data.Dataset(X, Y), 3), strict=True):
        np.testing.assert_array_equal(a.numpy(), c.numpy())
        np.testing.assert_array_equal(b.numpy(), d.numpy())


def test_batches_of_images_are_channels_last_in_memory():
    images = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    ((batch,),) = DataLoader(TensorDataset(images), 2)
    np.testing.assert_array_equal(batch.numpy(), images)
    assert batch.data.transpose(0, 2, 3, 1).flags.c_contiguous


def test_a_batch_does_not_change_when_the_callers_array_does():
    mine = X.copy()
    loader = DataLoader(TensorDataset(mine), 7)
    mine[:] = 0
    ((batch,),) = loader
    np.testing.assert_array_equal(batch.numpy(), X)


def test_parts_are_disjoint_and_follow_the_seed():
    for lengths, sizes in (([4, 3], [4, 3]), ([0.5, 0.5], [4, 3]), ([0, 7], [0, 7])):
        parts = random_split(TensorDataset(X, Y), lengths, generator=5)
        assert [len(part) for part in parts] == sizes
        found = [part[i][1].item() for part in parts for i in range(len(part))]
        assert sorted(found) == list(range(7))
        again = random_split(TensorDataset(X, Y), lengths, generator=5)
        assert found == [part[i][1].item() for part in again for i in range(len(part))]
    ((_, y),) = DataLoader(Subset(TensorDataset(X, Y), [6, 0]), 2)
    assert y.tolist() == [6, 0]


def test_refusals():
    with pytest.raises(ValueError, match=r"tensors of one length, got shapes \[\(7, 2\), \(3,\)\]"):
        TensorDataset(X, Y[:3])
    with pytest.raises(ValueError, match="tensors of one length"):
        TensorDataset()
    with pytest.raises(TypeError, match="needs a data set with __getitem__ and __len__, got int"):
        DataLoader(3)
    with pytest.raises(TypeError, match="__len__"):
        DataLoader(Dataset())
    with pytest.raises(NotImplementedError, match="must define __getitem__"):
        Dataset()[0]
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1, got 0"):
        DataLoader([1], 0)
    with pytest.raises(ValueError, match="a sampler gives the order"):
        DataLoader([1], shuffle=True, sampler=[0])
    with pytest.raises(ValueError, match="must add up to 7"):
        random_split(TensorDataset(X), [3, 3])
