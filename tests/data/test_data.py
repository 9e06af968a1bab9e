"""Data sets: what is in them, who is in which part, and that a seed decides it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinyres import data


def test_importing_is_light():
    code = (
        "import sys, tinyres.data, tinyres.files\n"
        "heavy = {'sklearn', 'safetensors', 'matplotlib', 'pooch', 'requests', 'rich', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert callable(tinyres.data.digits)  # the function, not the file of that name\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
    )


# -- by name, and what comes with scikit-learn ------------------------------------------------------------------------


def test_data_sets_by_name():
    assert list(data.BY_NAME) == ["digits", "mnist", "fashion-mnist", "cifar10"]
    assert data.BY_NAME["fashion-mnist"] is data.fashion_mnist
    assert len(data.load("digits", test_fraction=0.5, seed=1).test) == 899
    for wrong, guess in [
        ("MNIST", "did you mean mnist"),
        ("fashion_mnist", "did you mean fashion-mnist"),
        ("cifar-10", "did you mean cifar10"),
        ("imagenet", "there are digits, mnist, fashion-mnist, cifar10"),
    ]:
        with pytest.raises(ValueError, match=f"no data set is called '{wrong}'; {guess}"):
            data.load(wrong)


def test_sums_are_whole():
    from tinyres.data.cifar import CIFAR10

    mnist = sys.modules["tinyres.data.mnist"]  # as an attribute, tinyres.data.mnist is the function
    sources = [mnist.MNIST, mnist.FASHION_MNIST, CIFAR10]
    sums = [value for source in sources for value in source.sha256.values()]
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in sums)
    assert len(set(sums)) == 9
    assert {source.name for source in sources} < set(data.BY_NAME)
    assert all(mirror.endswith("/") and len(source.mirrors) > 1 for source in sources for mirror in source.mirrors)


def test_photographs():
    temple, flower = data.photographs()
    for image in (temple, flower):
        assert image.shape == (427, 640, 3)
        assert image.dtype == np.float32
        assert 0 <= image.min() < 0.1
        assert 0.9 < image.max() <= 1
    assert temple[:100, :, 2].mean() > temple[:100, :, 0].mean()  # its sky is blue: the channels are red, green, blue
    assert data.photographs(dtype="float64")[1].dtype == np.float64


@pytest.mark.parametrize("missing", ["sklearn.datasets", "PIL.Image"])
def test_photographs_say_what_to_install(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"photographs: .*pip install 'tinyres\[lab\]'"):
        data.photographs()


def test_nothing_that_is_read_can_run():
    files = list(Path(data.__file__).parent.glob("*.py"))
    assert len(files) > 10
    for path in files:
        assert not re.search(r"pickle|np\.load\(|joblib|\beval\(|\bexec\(", path.read_text()), path


# -- Dataset ----------------------------------------------------------------------------------------------------------


def test_dataset_indexing():
    train = data.digits(seed=3).train
    image, label = train[5]
    np.testing.assert_array_equal(image, train.inputs[5])
    assert label == train.targets[5]
    part = train[2:7]
    assert len(part) == 5
    assert (part.name, part.classes) == (train.name, 10)
    np.testing.assert_array_equal(part.targets, train.targets[2:7])
    assert len(train[10:10]) == 0
    threes = train[train.targets == 3]
    assert set(threes.targets) == {3}
    np.testing.assert_array_equal(train[np.array([4, 1])].inputs, train.inputs[[4, 1]])
    with pytest.raises(IndexError):
        train[len(train)]
    assert repr(train) == "Dataset(digits/train: 1437 samples of shape (1, 8, 8), float32, 10 classes)"


def test_dataset_refuses_what_does_not_belong_together():
    with pytest.raises(ValueError, match="3 inputs and 4 targets"):
        data.Dataset(np.zeros((3, 2)), np.zeros(4))
    with pytest.raises(TypeError, match="targets must be a NumPy array, got list"):
        data.Dataset(np.zeros((3, 2)), [0, 1, 2])
    with pytest.raises(TypeError, match="inputs needs an axis"):
        data.Dataset(np.array(1.0), np.zeros(1))


# -- toys -------------------------------------------------------------------------------------------------------------

TOYS = {
    "two_moons": lambda **kw: data.two_moons(200, **kw),
    "spirals": lambda **kw: data.spirals(200, **kw),
    "circles": lambda **kw: data.circles(200, **kw),
    "ring": lambda **kw: data.ring(200, **kw),
    "grid": lambda **kw: data.grid(200, **kw),
    "gaussian_mixture": lambda **kw: data.gaussian_mixture(200, [[0, 0, 1], [1, 2, 3]], 0.5, **kw),
}


@pytest.mark.parametrize("name", TOYS)
def test_toys_are_drawn_by_the_seed(name):
    make = TOYS[name]
    first, again, other = make(seed=1), make(seed=1), make(seed=2)
    np.testing.assert_array_equal(first.inputs, again.inputs)
    np.testing.assert_array_equal(first.targets, again.targets)
    assert not np.array_equal(first.inputs, other.inputs)
    assert not np.array_equal(first.targets, other.targets)
    assert (first.inputs.dtype, first.targets.dtype) == (np.float32, np.int64)
    assert make(dtype="float64").inputs.dtype == np.float64
    assert set(first.targets) == set(range(first.classes))


@pytest.mark.parametrize("n", [1, 2, 7, 100])
def test_moons_lie_on_their_half_circles(n):
    moons = data.two_moons(n, noise=0, dtype="float64")
    assert len(moons) == n
    assert np.bincount(moons.targets, minlength=2).tolist() == [n // 2, n - n // 2]
    upper, lower = moons.inputs[moons.targets == 0], moons.inputs[moons.targets == 1]
    np.testing.assert_allclose(np.hypot(*upper.T), 1)
    np.testing.assert_allclose(np.hypot(*(lower - [1, 0.5]).T), 1)
    assert (upper[:, 1] >= 0).all()
    assert (lower[:, 1] <= 0.5).all()


@pytest.mark.parametrize(("n", "arms"), [(2, 2), (7, 2), (100, 2), (3, 1), (50, 3)])
def test_spirals_wind_round_the_origin(n, arms):
    """On arm k the angle is 2π (turns r + k / arms); arms are as long as each other, up to a point."""
    made = data.spirals(n, arms=arms, turns=1.5, noise=0, dtype="float64")
    counts = np.bincount(made.targets, minlength=arms)
    assert counts.sum() == n
    assert counts.max() - counts.min() <= 1
    radius = np.hypot(*made.inputs.T)
    angle = 2 * np.pi * (1.5 * radius + made.targets / arms)
    np.testing.assert_allclose(made.inputs, radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1), atol=1e-12)
    for k in range(arms):
        np.testing.assert_allclose(np.sort(radius[made.targets == k]), np.linspace(0.1, 1, counts[k]))


@pytest.mark.parametrize(("n", "inner"), [(1, 0.5), (7, 0.3), (100, 0.0)])
def test_circles_have_their_radii(n, inner):
    made = data.circles(n, inner=inner, noise=0, dtype="float64")
    assert np.bincount(made.targets, minlength=2).tolist() == [n // 2, n - n // 2]
    np.testing.assert_allclose(np.hypot(*made.inputs.T), np.where(made.targets == 0, inner, 1), atol=1e-12)
    outer = np.sort(np.arctan2(*made.inputs[made.targets == 1].T[::-1]) % (2 * np.pi - 1e-9))
    np.testing.assert_allclose(np.diff(outer), 2 * np.pi / (n - n // 2), atol=1e-8)


def test_moons_noise_has_the_scale_asked_for():
    noisy, clean = data.two_moons(4000, noise=0.2, dtype="float64"), data.two_moons(4000, noise=0, dtype="float64")
    np.testing.assert_array_equal(noisy.targets, clean.targets)
    assert np.std(noisy.inputs - clean.inputs) == pytest.approx(0.2, rel=0.05)  # 8000 draws: 0.8 % standard error


@pytest.mark.parametrize(
    ("made", "centers"),
    [
        (data.ring(20_000, modes=5, radius=3, sd=0.2, dtype="float64"), data.ring_centers(5, 3)),
        (data.grid(20_000, side=3, step=4, sd=0.2, dtype="float64"), data.grid_centers(3, 4)),
    ],
)
def test_mixtures_have_their_means_and_spread(made, centers):
    counts = np.bincount(made.targets)
    share = 20_000 / len(centers)
    np.testing.assert_allclose(counts, share, atol=5 * share**0.5)
    offset = made.inputs - centers[made.targets]
    for k in range(len(centers)):
        np.testing.assert_allclose(offset[made.targets == k].mean(axis=0), 0, atol=5 * 0.2 / counts[k] ** 0.5)
    assert np.cov(offset.T) == pytest.approx(0.04 * np.eye(2), abs=0.002)


def test_centers():
    ring = data.ring_centers(8, 2.0)
    np.testing.assert_allclose(np.hypot(*ring.T), 2)
    np.testing.assert_allclose(ring[[0, 2]], [[2, 0], [0, 2]], atol=1e-12)
    grid = data.grid_centers(5, 2.0)
    assert {tuple(c) for c in grid} == {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    np.testing.assert_array_equal(data.grid_centers(1), [[0, 0]])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: data.two_moons(0), "two_moons: n must be at least 1, got 0"),
        (lambda: data.two_moons(5, noise=-1), "two_moons: noise"),
        (lambda: data.spirals(1), "spirals: n must be at least 2, got 1"),
        (lambda: data.spirals(5, arms=0), "spirals: arms"),
        (lambda: data.spirals(5, noise=-1), "spirals: noise"),
        (lambda: data.circles(0), "circles: n"),
        (lambda: data.circles(5, inner=1.5), "circles: inner must be a radius from 0 to 1, got 1.5"),
        (lambda: data.circles(5, inner=float("nan")), "circles: inner"),
        (lambda: data.ring(0), "ring: n"),
        (lambda: data.ring(5, modes=0), "ring: modes"),
        (lambda: data.ring(5, sd=float("nan")), "ring: sd"),
        (lambda: data.grid(5, side=0), "grid: side"),
        (lambda: data.gaussian_mixture(5, [0.0, 1.0], 1.0), r"gaussian mixture: centers must have .*got \(2,\)"),
        (lambda: data.gaussian_mixture(5, np.zeros((0, 2)), 1.0), "centers"),
    ],
)
def test_toys_refuse(call, says):
    with pytest.raises(ValueError, match=says):
        call()
