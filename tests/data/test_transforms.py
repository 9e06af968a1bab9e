"""Transforms: what they compute, image by image, in what memory, and from which draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyres import data
from tinyres.data.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, channel_statistics


def images(n=6, c=3, h=5, w=4, dtype="float32", seed=0):
    """Logical (N, C, H, W) in channels-last memory, all values different from zero."""
    values = np.random.default_rng(seed).uniform(0.5, 1, (n, h, w, c)).astype(dtype)
    return values.transpose(0, 3, 1, 2)


def channels_last(batch):
    return batch.transpose(0, 2, 3, 1).flags.c_contiguous


ALL = [
    Normalize([0.5, 0.6, 0.7], [0.1, 0.2, 0.3]),
    RandomCrop(padding=2),
    RandomHorizontalFlip(),
    Compose([RandomCrop(padding=1), RandomHorizontalFlip(), Normalize(0.5, 0.25)]),
]


@pytest.mark.parametrize("transform", ALL, ids=lambda transform: type(transform).__name__)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [0, 1, 6])
def test_a_new_batch_of_the_same_kind(transform, dtype, n):
    batch = images(n, dtype=dtype)
    before = batch.copy()
    result = transform(batch, np.random.default_rng(1))
    assert result.shape == batch.shape
    assert result.dtype == dtype
    assert channels_last(result)
    assert not np.shares_memory(result, batch)
    np.testing.assert_array_equal(batch, before)
    np.testing.assert_array_equal(transform(batch, np.random.default_rng(1)), result)


# -- Normalize --------------------------------------------------------------------------------------------------------


def test_normalize():
    batch = images(dtype="float64")
    result = Normalize([1, 2, 3], [4, 5, 6])(batch, np.random.default_rng(0))
    for c in range(3):
        np.testing.assert_allclose(result[:, c], (batch[:, c] - (1 + c)) / (4 + c), rtol=1e-15)
    grey = images(c=1, dtype="float64")
    np.testing.assert_allclose(Normalize(1, 2)(grey, np.random.default_rng(0)), (grey - 1) / 2, rtol=1e-15)


def test_normalize_by_a_data_sets_own_statistics():
    pairs = data.Dataset(images(3000, dtype="float64"), np.zeros(3000))  # more than a block
    mean, std = channel_statistics(pairs)
    np.testing.assert_allclose(mean, pairs.inputs.mean(axis=(0, 2, 3)), rtol=1e-13)
    np.testing.assert_allclose(std, pairs.inputs.std(axis=(0, 2, 3)), rtol=1e-13)
    result = Normalize(mean, std)(pairs.inputs, np.random.default_rng(0))
    np.testing.assert_allclose(result.mean(axis=(0, 2, 3)), 0, atol=1e-13)
    np.testing.assert_allclose(result.var(axis=(0, 2, 3)), 1, rtol=1e-13)


def test_statistics_do_not_lose_digits_in_float32():
    single = (1000 + images(2000)).astype(np.float32)
    mean, std = channel_statistics(data.Dataset(single, np.zeros(2000)))
    assert mean.dtype == std.dtype == np.float64
    np.testing.assert_allclose(mean, single.astype(np.float64).mean(axis=(0, 2, 3)), rtol=1e-13)
    np.testing.assert_allclose(std, single.astype(np.float64).std(axis=(0, 2, 3)), rtol=1e-9)
    for inputs in (np.zeros((3, 4)), np.zeros((0, 1, 2, 2)), np.zeros((2, 1, 0, 3))):
        with pytest.raises(ValueError, match="channel_statistics"):
            channel_statistics(data.Dataset(inputs, np.zeros(len(inputs))))


def test_normalize_refuses():
    for std in (0, -1, [1, np.nan], [1, np.inf]):
        with pytest.raises(ValueError, match="every std must be positive and finite"):
            Normalize(0, std)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="made for 3 channels, the images have 1"):
        Normalize([1, 2, 3], 1)(images(c=1), rng)
    with pytest.raises(ValueError, match="made for 2 channels, the images have 3"):
        Normalize(0, [1, 2])(images(), rng)
    with pytest.raises(TypeError, match="must be floats, got uint8; load them with normalize=True"):
        Normalize(0, 1)(images().astype(np.uint8), rng)


# -- RandomCrop -------------------------------------------------------------------------------------------------------


def shifted(image, dy, dx):
    """One image (C, H, W) moved pixel by pixel: the specification."""
    result = np.zeros_like(image)
    _, h, w = image.shape
    for y in range(h):
        for x in range(w):
            if 0 <= y + dy < h and 0 <= x + dx < w:
                result[:, y, x] = image[:, y + dy, x + dx]
    return result


@given(p=st.integers(0, 6), h=st.integers(1, 5), w=st.integers(1, 5), c=st.integers(1, 3), seed=st.integers(0, 99))
def test_each_image_is_moved_by_an_offset_of_its_own(p, h, w, c, seed):
    batch = images(4, c, h, w)
    result = RandomCrop(padding=p)(batch, np.random.default_rng(seed))
    offsets = [(dy, dx) for dy in range(-p, p + 1) for dx in range(-p, p + 1)]
    for before, after in zip(batch, result, strict=True):
        assert any(np.array_equal(shifted(before, *offset), after) for offset in offsets)


def test_offsets_are_independent_and_equally_likely():
    n, p = 9000, 1
    batch = images(1, 1, 3, 3)[np.zeros(n, int)]
    result = RandomCrop(padding=p)(batch, np.random.default_rng(0))
    table = {shifted(batch[0], dy, dx).tobytes(): (dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)}
    drawn = [table[np.ascontiguousarray(image).tobytes()] for image in result]
    counts = np.array([drawn.count(offset) for offset in table.values()])
    chi2 = ((counts - n / 9) ** 2 / (n / 9)).sum()
    assert chi2 < 26.1  # χ² with 8 degrees of freedom: one in a thousand exceeds it


def test_random_crop_takes_any_dtype_and_refuses():
    raw = images(dtype="float32").astype(np.uint8)
    assert RandomCrop(padding=1)(raw, np.random.default_rng(0)).dtype == np.uint8
    with pytest.raises(TypeError):
        RandomCrop(4)  # torchvision's first argument is a size
    with pytest.raises(ValueError, match="padding must be at least 0, got -1"):
        RandomCrop(padding=-1)
    with pytest.raises(TypeError):
        RandomCrop(padding=1.5)
    with pytest.raises(ValueError, match=r"RandomCrop: needs images of shape \(N, C, H, W\), got \(3, 4\)"):
        RandomCrop(padding=1)(np.zeros((3, 4)), np.random.default_rng(0))


# -- RandomHorizontalFlip ---------------------------------------------------------------------------------------------


def test_flips_are_left_to_right_and_as_often_as_told():
    n = 4000
    batch = images(n)
    for p in (0.0, 0.25, 0.5, 1.0):
        result = RandomHorizontalFlip(p)(batch, np.random.default_rng(0))
        mirrored = (result == batch[..., ::-1]).all(axis=(1, 2, 3))
        assert (mirrored | (result == batch).all(axis=(1, 2, 3))).all()
        assert abs(mirrored.sum() - n * p) <= 4 * np.sqrt(n * p * (1 - p))
    for p in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="p must be a probability, 0 to 1"):
            RandomHorizontalFlip(p)


def test_compose_is_one_after_the_other_from_one_generator():
    batch = images()
    crop, flip = RandomCrop(padding=2), RandomHorizontalFlip()
    rng = np.random.default_rng(3)
    np.testing.assert_array_equal(Compose([crop, flip])(batch, np.random.default_rng(3)), flip(crop(batch, rng), rng))
    assert Compose([])(batch, rng) is batch
