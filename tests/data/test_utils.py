"""PyTorch's names for data sets and loaders."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import data
from tinyres.utils.data import DataLoader, Dataset, TensorDataset

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


def test_it_is_the_houses_loader():
    ours = data.DataLoader(data.Dataset(X, Y), 2, shuffle=True, seed=4)
    theirs = DataLoader(TensorDataset(X, Y), 2, True, seed=4)
    for (a, b), (c, d) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.numpy(), c.numpy())
        np.testing.assert_array_equal(b.numpy(), d.numpy())


def test_refusals():
    with pytest.raises(TypeError, match="needs two tensors, inputs and targets, got 1"):
        TensorDataset(X)
    with pytest.raises(ValueError, match="one target per input"):
        TensorDataset(X, Y[:3])
    with pytest.raises(TypeError, match="needs a Dataset, got list"):
        DataLoader([1, 2])
