"""DataLoader: which samples come, in what order, in what memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyres import data
from tinyres.autograd.tensor import Tensor


def numbered(n):
    """Sample i is [i, i], and its target is i."""
    column = np.arange(n, dtype=np.float32)[:, None]
    return data.Dataset(np.hstack([column, column]), np.arange(n), "numbered")


def targets(loader):
    return [y.numpy().tolist() for _, y in loader]


@given(
    n=st.integers(1, 40), batch_size=st.integers(1, 45), shuffle=st.booleans(), drop_last=st.booleans(),
    seed=st.integers(0, 2**40), epoch=st.integers(0, 1000),
)  # fmt: skip
def test_an_epoch_shows_every_sample_once(n, batch_size, shuffle, drop_last, seed, epoch):
    drop_last = drop_last and n >= batch_size
    loader = data.DataLoader(numbered(n), batch_size, shuffle=shuffle, seed=seed, drop_last=drop_last)
    loader.epoch = epoch
    batches = list(loader)
    assert len(batches) == len(loader)
    assert loader.epoch == epoch + 1
    sizes = [len(y) for _, y in batches]
    assert all(size == batch_size for size in sizes[: None if drop_last else -1])
    seen = [i for _, y in batches for i in y.tolist()]
    assert len(seen) == (n // batch_size * batch_size if drop_last else n)
    assert len(set(seen)) == len(seen)
    if not shuffle:
        assert seen == list(range(len(seen)))
    for x, y in batches:
        assert isinstance(x, Tensor)
        assert isinstance(y, Tensor)
        np.testing.assert_array_equal(x.numpy(), np.stack([y.numpy()] * 2, axis=1))  # inputs stay with their targets


def test_epochs_differ_and_can_be_repeated():
    loader = data.DataLoader(numbered(50), 8, shuffle=True, seed=7)
    first, second, third = targets(loader), targets(loader), targets(loader)
    assert first != second != third != first
    assert first != targets(data.DataLoader(numbered(50), 8, shuffle=True, seed=8))
    loader.epoch = 1
    assert targets(loader) == second
    resumed = data.DataLoader(numbered(50), 8, shuffle=True, seed=7)
    resumed.epoch = 2
    assert targets(resumed) == third


def test_an_epoch_left_early_counts():
    loader = data.DataLoader(numbered(50), 8, shuffle=True)
    first = [next(iter(loader))[1].tolist() for _ in range(3)]
    assert loader.epoch == 3
    assert first[0] != first[1] != first[2]
    one, two = iter(loader), iter(loader)  # side by side
    assert loader.epoch == 5
    assert [y.tolist() for _, y in one] != [y.tolist() for _, y in two]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("stored", ["channels first", "channels last"])
def test_image_batches_are_channels_last_in_memory(shuffle, stored):
    plain = np.random.default_rng(0).standard_normal((10, 3, 4, 5))
    images = plain if stored == "channels first" else plain.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)
    pairs = data.Dataset(images, images[:, :1].copy())  # image to image: targets are images as well
    loader = data.DataLoader(pairs, 4, shuffle=shuffle, seed=5)
    order = np.random.default_rng((5, 0)).permutation(10) if shuffle else np.arange(10)
    for i, (x, y) in enumerate(loader):
        rows = order[4 * i : 4 * i + 4]
        assert x.shape == (len(rows), 3, 4, 5)
        assert x.data.transpose(0, 2, 3, 1).flags.c_contiguous
        assert y.data.transpose(0, 2, 3, 1).flags.c_contiguous
        np.testing.assert_array_equal(x.numpy(), plain[rows])
        np.testing.assert_array_equal(y.numpy(), plain[rows, :1])


@pytest.mark.parametrize("axes", range(1, 6))
@pytest.mark.parametrize("stored", ["C", "F", "reversed"])
def test_samples_of_any_number_of_axes(axes, stored):
    values = np.random.default_rng(0).standard_normal((10, 3, 4, 5, 2)[:axes])
    held = values[::-1, ...].copy()[::-1, ...] if stored == "reversed" else np.array(values, order=stored)
    loader = data.DataLoader(data.Dataset(held, np.arange(10)), 4, shuffle=True, seed=1)
    for x, rows in loader:
        np.testing.assert_array_equal(x.numpy(), values[rows.numpy()])
        assert not np.shares_memory(x.data, held)


def test_batches_are_copies_with_the_data_sets_dtype():
    pairs = numbered(6)
    x, y = next(iter(data.DataLoader(pairs, 6)))
    pairs.inputs[:] = -1
    assert x.numpy()[5, 0] == 5
    assert (x.dtype, y.dtype) == (np.float32, np.int64)
    assert not x.requires_grad
    permuted = data.Dataset(np.ones((6, 2, 3)).transpose(0, 2, 1), np.zeros(6))
    assert next(iter(data.DataLoader(permuted, 4)))[0].data.flags.c_contiguous
    x, _ = next(iter(data.DataLoader(data.digits().test, 16)))
    assert x.shape == (16, 1, 8, 8)


def test_loader_refuses():
    with pytest.raises(TypeError, match=r"got Split; .*pass .train or .test"):
        data.DataLoader(data.Split(numbered(3), numbered(3)))
    for size in (0, -1):
        with pytest.raises(ValueError, match=f"batch_size must be at least 1, got {size}"):
            data.DataLoader(numbered(3), size)
    with pytest.raises(TypeError):
        data.DataLoader(numbered(3), 2.5)
    with pytest.raises(ValueError, match="'numbered' is empty"):
        data.DataLoader(numbered(3)[3:])
    with pytest.raises(ValueError, match="3 samples do not fill one of 4"):
        data.DataLoader(numbered(3), 4, drop_last=True)


# -- in the middle of an epoch, and with a transform ------------------------------------------------------------------


def pictures(n):
    rng = np.random.default_rng(0)
    return data.Dataset(rng.random((n, 2, 6, 6), dtype=np.float32), np.arange(n))


AUGMENT = data.Compose([data.RandomCrop(padding=2), data.RandomHorizontalFlip(), data.Normalize(0.5, 0.3)])


def bits(batches):
    return [(x.numpy().tobytes(), y.numpy().tobytes()) for x, y in batches]


@pytest.mark.parametrize("transform", [None, AUGMENT])
@given(
    n=st.integers(1, 20), batch_size=st.integers(1, 7), shuffle=st.booleans(), seed=st.integers(0, 2**40),
    epoch=st.integers(0, 5), share=st.floats(0, 1),
)  # fmt: skip
def test_an_epoch_resumed_in_its_middle_is_bit_exact(transform, n, batch_size, shuffle, seed, epoch, share):
    def loader():
        made = data.DataLoader(pictures(n), batch_size, shuffle=shuffle, seed=seed, transform=transform)
        made.epoch = epoch
        return made

    whole, resumed = loader(), loader()
    start = round(share * len(whole))
    assert bits(resumed.batches(start)) == bits(whole)[start:]
    assert resumed.epoch == whole.epoch == epoch + 1
    assert bits(resumed) == bits(whole)  # and so is the epoch after it


def test_batches_left_out_are_not_made():
    calls = []
    loader = data.DataLoader(pictures(10), 2, transform=lambda x, rng: calls.append(x) or x)
    rest = loader.batches(3)
    assert not calls
    assert len(list(rest)) == len(calls) == 2
    assert list(loader.batches(5)) == []  # a run saved at the end of an epoch
    for start in (-1, 6):
        with pytest.raises(ValueError, match=f"start must lie between 0 and the 5 batches, got {start}"):
            loader.batches(start)
    assert loader.epoch == 2


def test_a_transform_draws_anew_for_each_batch_epoch_and_seed():
    draws = []

    def spy(x, rng):
        draws.append(rng.random())
        return x

    for seed in (0, 1):
        loader = data.DataLoader(pictures(6), 2, seed=seed, transform=spy)
        for _ in range(2):
            list(loader)
    assert len(set(draws)) == len(draws) == 12
    # nor are they the numbers that the order of the epoch is drawn from
    assert not {np.random.default_rng((seed, epoch)).random() for seed in (0, 1) for epoch in (0, 1)} & set(draws)


def test_a_transform_changes_inputs_only_and_not_the_data_set():
    pairs = pictures(9)
    before = pairs.inputs.copy()
    loader = data.DataLoader(pairs, 4, transform=AUGMENT)
    for i, (x, y) in enumerate(loader):
        assert y.tolist() == list(range(4 * i, min(4 * i + 4, 9)))
        assert x.data.transpose(0, 2, 3, 1).flags.c_contiguous
        assert x.dtype == np.float32
        rng = np.random.default_rng(np.random.SeedSequence((0, 0), spawn_key=(i,)))
        np.testing.assert_array_equal(x.numpy(), AUGMENT(before[4 * i : 4 * i + 4], rng))
    np.testing.assert_array_equal(pairs.inputs, before)


@pytest.mark.parametrize("wrong", [lambda x, rng: x[1:], lambda x, rng: x.tolist(), lambda x, rng: None])
def test_a_transform_that_returns_no_batch(wrong):
    with pytest.raises(TypeError, match="transform must return an array of 2 samples, as many as it was given, got "):
        next(iter(data.DataLoader(pictures(2), 2, transform=wrong)))
