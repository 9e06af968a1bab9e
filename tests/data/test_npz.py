"""Your own arrays in an .npz file: keys, shapes, values, labels, and what is refused."""

import zipfile

import numpy as np
import pytest

from tinyres import data

RNG = np.random.default_rng(0)
LABELS = np.arange(20) % 4


def pixels(*shape):
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def saved(folder, **arrays):
    np.savez(folder / "own.npz", **arrays)
    return folder / "own.npz"


@pytest.mark.parametrize(
    ("shape", "to", "said"),
    [
        ((20, 6, 5), (1, 6, 5), "taken for (N, H, W), grey"),
        ((20, 6, 5, 1), (1, 6, 5), "taken for (N, H, W, C), grey"),
        ((20, 6, 5, 3), (3, 6, 5), "taken for (N, H, W, C), colour"),
        ((20, 1, 6, 5), (1, 6, 5), "taken for (N, C, H, W), grey"),
        ((20, 3, 6, 5), (3, 6, 5), "taken for (N, C, H, W), colour"),
        ((20, 3, 6, 3), (3, 6, 3), "taken for (N, C, H, W), colour"),  # both could be: PyTorch's order
    ],
)
def test_shapes_are_told_apart(tmp_path, shape, to, said):
    x = pixels(*shape)
    whole = data.npz(saved(tmp_path, x=x, y=LABELS), labelled=False).train
    assert whole.inputs.shape == (20, *to)
    assert said in whole.found
    expected = x if x.ndim == 4 and "C, H" in said else x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(whole.inputs, expected.astype(np.float32) / 255)
    assert whole.inputs.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize(
    ("x", "low", "high", "said"),
    [
        (pixels(20, 4, 4), 0, 1, "uint8 from 0 to 255, divided by 255"),
        (pixels(20, 4, 4).astype(np.int64), 0, 1, "int64 from 0 to 255, divided by 255"),
        (pixels(20, 4, 4).astype(np.float32), 0, 1, "float32 from 0 to 255, divided by 255"),
        (pixels(20, 4, 4) / 255, 0, 1, "float64 from 0 to 1"),
        (pixels(20, 4, 4) / 127.5 - 1, 0, 1, "float64 from -1 to 1, brought from [-1, 1] to [0, 1]"),
        (pixels(20, 4, 4) > 100, 0, 1, "bool from 0 to 1"),
    ],
)
def test_values_are_brought_to_0_to_1(tmp_path, x, low, high, said):
    found = data.npz(saved(tmp_path, x=x, y=LABELS), labelled=False).train
    assert found.inputs.dtype == np.float32
    assert (found.inputs.min(), found.inputs.max()) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))
    assert said in found.found


def test_one_scale_for_both_parts(tmp_path):
    path = saved(tmp_path, x_train=pixels(8, 4, 4), y_train=LABELS[:8], x_test=np.ones((4, 4, 4), "u1"), y_test=[0] * 4)
    train, test = data.npz(path)
    assert train.inputs.max() > 0.9
    np.testing.assert_allclose(test.inputs, 1 / 255)


@pytest.mark.parametrize(("x", "y"), [("x", "y"), ("X", "Y"), ("images", "labels"), ("data", "target")])
def test_keys(tmp_path, x, y):
    train, test = data.npz(saved(tmp_path, **{x: pixels(20, 4, 4), y: LABELS}), seed=3)
    assert (len(train), len(test), train.classes) == (16, 4, 4)
    assert sorted(test.targets.tolist()) == [0, 1, 2, 3]
    assert train.name == "own/train"


@pytest.mark.parametrize("form", ["{}_{}", "{1}_{0}"])
def test_a_test_set_of_its_own(tmp_path, form):
    arrays = {
        form.format(k, part): v
        for part, n in (("train", 12), ("test", 8))
        for k, v in (("x", pixels(n, 4, 4)), ("y", LABELS[:n]))
    }
    train, test = data.npz(saved(tmp_path, **arrays))
    assert (len(train), len(test)) == (12, 8)
    assert "as they came" in train.found
    np.testing.assert_array_equal(test.targets, LABELS[:8])
    only = data.npz(saved(tmp_path, **{k: v for k, v in arrays.items() if "train" in k}))
    assert (len(only.train), len(only.test)) == (8, 4)


@pytest.mark.parametrize(
    ("y", "names"),
    [
        (LABELS[:, None], "0123"),
        (LABELS.astype(np.float32), "0123"),
        (np.eye(4)[LABELS], "0123"),
        (np.array(["d", "a", "c", "b"])[LABELS], "abcd"),
        (np.array([-1, 7, 9, 100])[LABELS], ["-1", "7", "9", "100"]),
        (LABELS.astype(np.uint8), "0123"),
    ],
)
def test_labels(tmp_path, y, names):
    whole = data.npz(saved(tmp_path, x=pixels(20, 4, 4), y=y))
    assert whole.train.class_names == tuple(names)
    order = [3, 0, 2, 1] if names == "abcd" else range(4)
    images = {image.tobytes(): t for part in whole for image, t in zip(part.inputs, part.targets, strict=True)}
    for image, label in zip(pixels(20, 4, 4).astype(np.float32) / 255, LABELS, strict=True):
        assert images[image[None].tobytes()] == order[label]


def test_resizing(tmp_path):
    x = np.zeros((20, 8, 16, 3), np.uint8)
    x[:, :, 2:14] = 255
    train, _ = data.npz(saved(tmp_path, x=x, y=LABELS), image_size=4)
    assert train.inputs.shape[1:] == (3, 4, 4)
    assert (train.inputs == 1).all()
    assert "16x8 pixels, brought to 4x4" in train.found


X = pixels(20, 4, 4)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": X}, r"needs the keys x and y, images and labels, or x_train, .*; it has x$"),
        ({"a": X, "b": X}, "it has a, b"),
        ({"x": X, "y": LABELS[:19]}, r"y needs a label for each of the 20 images in x, got the shape \(19,\)"),
        ({"x": X[0, 0], "y": LABELS}, r"images are \(N, H, W\), .* got \(4,\)"),
        ({"x": X.reshape(20, 16), "y": LABELS}, r"got \(20, 16\); reshape rows of pixels first"),
        ({"x": pixels(20, 4, 4, 5), "y": LABELS}, r"with 1 or 3 channels, got \(20, 4, 4, 5\)"),
        ({"x": X[:0], "y": LABELS[:0]}, r"there is no pixel in an array of shape \(0, 4, 4\)"),
        ({"x": X * 1j, "y": LABELS}, "pixels are numbers, best of uint8 or float32, got complex128"),
        ({"x": X.astype(str), "y": LABELS}, "pixels are numbers"),
        ({"x": np.where(X > 250, np.nan, 0.5), "y": LABELS}, r"\d+ of 320 values are NaN or infinite"),
        ({"x": X * 100.0, "y": LABELS}, r"from 0 to 255, these are float64 from 0 to 2.55e\+04; scale them first"),
        ({"x": RNG.normal(size=X.shape), "y": LABELS}, "scale them first"),
        ({"x": X, "y": LABELS / 3}, "y holds 0.333333; labels are whole numbers or texts"),
        ({"x": X, "y": RNG.random((20, 4))}, "one-hot rows"),
        ({"x": X, "y": LABELS * 0}, "at least two classes, found only one, '0'"),
        ({"x": X, "y": np.arange(20)}, "each class needs 2 samples"),
        ({"x": X, "y": np.array([{}] * 20)}, "y holds Python objects"),
        ({"x_train": X, "y_train": LABELS, "x_test": pixels(4, 5, 5), "y_test": LABELS[:4]}, "must have one shape"),
        ({"x_train": X, "y_train": LABELS, "x_test": X[:4], "y_test": [0, 1, 2, 9]}, r"not among .* \['9'\]"),
    ],
)
def test_what_does_not_fit_is_explained(tmp_path, arrays, said):
    path = saved(tmp_path, **arrays)
    with pytest.raises(ValueError, match=said) as error:
        data.npz(path)
    assert str(path) in str(error.value)


def test_other_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        data.npz(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(ValueError, match="not a file of numpy"):
        data.npz(tmp_path / "text.npz")
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000, 1000), }"
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("x.npy", header.ljust(127) + b"\n" + bytes(100))
    with pytest.raises(ValueError, match="x announces 8,000,000,000,000 bytes and holds 228"):
        data.npz(tmp_path / "bomb.npz")


def test_compressed_and_by_path(tmp_path):
    np.savez_compressed(tmp_path / "own.npz", x=X, y=LABELS)
    train, test = data.load(str(tmp_path / "own.npz"), seed=2)
    assert (len(train), len(test)) == (16, 4)
    assert train.fingerprint
    assert len(data.npz(tmp_path / "own.npz", labelled=False).train) == 20
