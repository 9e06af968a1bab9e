"""The bundled digits: what is in them, who is in which part, and that a seed decides it."""

import subprocess
import sys

import numpy as np
import pytest

from tinyres import data

module = sys.modules["tinyres.data.digits"]  # the file: in the package, its name is the function's


@pytest.fixture(scope="module")
def split():
    return data.digits(seed=3)


def test_digits_are_the_bundled_images(split):
    from sklearn.datasets import load_digits  # here, since it takes two seconds, and other workers do without

    bundled = load_digits()
    expected = {image.tobytes(): label for image, label in zip(bundled.images / 16, bundled.target, strict=True)}
    train, test = data.digits(seed=3, dtype="float64")
    assert train.inputs.shape == (1437, 1, 8, 8)
    assert test.inputs.shape == (360, 1, 8, 8)
    found = {image.tobytes(): label for part in (train, test) for image, label in part}
    assert found == expected  # no two of the 1797 are alike, so this also says: disjoint, complete, rightly labelled
    assert len(found) == 1797
    for part, other in zip(split, (train, test), strict=True):
        assert part.inputs.dtype == np.float32
        assert part.targets.dtype == np.int64
        assert part.classes == 10
        np.testing.assert_array_equal(part.inputs, other.inputs)  # sixteenths are exact in float32
        assert (part.inputs.min(), part.inputs.max()) == (0, 1)


def test_digits_split_by_the_seed_alone(split):
    again, other = data.digits(seed=3), data.digits(seed=4)
    for part, same in zip(split, again, strict=True):
        np.testing.assert_array_equal(part.inputs, same.inputs)
        np.testing.assert_array_equal(part.targets, same.targets)
    assert not np.array_equal(split.test.inputs, other.test.inputs)
    assert {image.tobytes() for image, _ in split.test} != {
        image.tobytes() for image, _ in other.test
    }  # not just order


def test_digits_classes_keep_their_share(split):
    total = np.bincount(split.train.targets) + np.bincount(split.test.targets)
    np.testing.assert_allclose(np.bincount(split.test.targets), total * 360 / 1797, atol=1)


def test_digits_options():
    train, test = data.digits(test_fraction=0.5, normalize=False)
    assert abs(len(train) - len(test)) <= 1
    assert train.inputs.max() == 16
    for fraction in (0, 1, -0.1, float("nan")):
        with pytest.raises(ValueError, match="strictly between 0 and 1"):
            data.digits(test_fraction=fraction)
    with pytest.raises(ValueError, match="number of classes"):
        data.digits(test_fraction=0.001)


@pytest.mark.parametrize("fraction", [0.0056, 0.1, 0.2, 1 / 3, 0.5, 0.77, 0.9944])
def test_digits_are_drawn_as_scikit_learn_draws_them(fraction):
    """What was measured on a split before stays true of it."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bundled = load_digits()
    for seed in range(5):
        expected = train_test_split(
            bundled.images, bundled.target, test_size=fraction, random_state=seed, stratify=bundled.target
        )
        train, test = data.digits(test_fraction=fraction, seed=seed, normalize=False)
        for found, wanted in zip((train.inputs[:, 0], test.inputs[:, 0], train.targets, test.targets), expected,
                                 strict=True):  # fmt: skip
            np.testing.assert_array_equal(found, wanted)


def test_digits_are_read_where_scikit_learns_file_lies_elsewhere_too(monkeypatch):
    here = module._read()
    module._read.cache_clear()
    monkeypatch.setattr(module.Path, "exists", lambda path: False)
    for found, expected in zip(module._read(), here, strict=True):
        np.testing.assert_array_equal(found, expected)
    module._read.cache_clear()


def test_digits_are_there_without_the_second_that_scikit_learn_takes():
    code = "import sys, tinyres.data; tinyres.data.digits(); print({'sklearn', 'scipy'} & sys.modules.keys())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"


def test_digits_that_somebody_wrote_into_are_whole_for_the_next():
    for _ in range(2):
        train, test = data.digits(dtype="float64", normalize=False)
        for part in (train, test):
            assert (part.inputs.min(), part.inputs.max(), part.targets.max()) == (0, 16, 9)
            part.inputs[...], part.targets[...] = 7, 0


def test_digits_say_what_to_install(monkeypatch):
    module._read.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"pip install 'tinyres\[lab\]'"):
        data.digits()
