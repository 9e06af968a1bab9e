"""Your own arrays: a file of numpy.savez, with images and the numbers or names of their classes."""

from __future__ import annotations

import hashlib
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tinyres.data.dataset import Array, Split
from tinyres.data.own import FRACTION, check_classes, check_options, counted, many, split
from tinyres.files import PathLike

IMAGES = ("x", "images", "image", "data", "inputs", "features", "arr_0")  # keys, in lower case
LABELS = ("y", "labels", "label", "targets", "target", "classes", "arr_1")
LIKE_BYTES = 32  # floats that reach this go from 0 to 255
DAMAGED = (
    zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, RuntimeError, SyntaxError, TypeError,
    OverflowError, MemoryError, KeyError, OSError,
)  # fmt: skip
MOST_VALUES = 1 << 33  # bytes of one array: a damaged header must not fill the memory


def npz(
    path: PathLike,
    *,
    image_size: int | None = None,
    labelled: bool = True,
    test_fraction: float = FRACTION,
    seed: int = 0,
    dtype: Any = "float32",
) -> Split:
    """The images and labels of an .npz file: keys x and y, or images and labels; x_train, y_train, x_test and y_test.

    Images are (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels; `train.found` says what they were taken
    for. Values of uint8 are divided by 255; floats go from 0 to 1, or from -1 to 1 or 0 to 255 and are brought there.
    Labels are whole numbers or texts, (N,) or (N, 1), or one-hot rows (N, K).

    Args:
        image_size: scale each image to cover a square of so many pixels, and cut out its middle.
        labelled, test_fraction, seed: as for `data.folder`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no .npz file; a key is missing, a shape or dtype does not fit: the message says what was
            found; fewer than two classes, or a class with fewer than two samples.
    """
    path = Path(path)
    what = f"npz {path}"
    check_options(what, image_size, test_fraction)
    if not path.exists():
        raise FileNotFoundError(f"{what}: there is no such file")
    arrays = _arrays(path, what)
    keys = {key.lower(): key for key in arrays}
    pairs = _pairs(what, keys, labelled)
    inputs, notes = [], list[str]()
    for x_key, _ in pairs:
        images, taken_for = _images(f"{what}: {x_key}", arrays[x_key])
        inputs.append(images)
        notes += [] if taken_for in notes else [taken_for]
    if len({images.shape[1:] for images in inputs}) > 1:
        shapes = " and ".join(f"{k} {arrays[k].shape}" for k, _ in pairs)
        raise ValueError(f"{what}: images to train and to test with must have one shape, got {shapes}")
    images, values = _scaled(what, np.concatenate(inputs))  # (N, H, W, C) floats from 0 to 1
    notes.append(values)
    h, w = images.shape[1:3]
    labels = [_labels(what, y, arrays[y], x, len(arrays[x])) if y else np.zeros(len(arrays[x]), int) for x, y in pairs]
    names, targets = np.unique(np.concatenate(labels), return_inverse=True)
    counts = {str(name): int((targets == c).sum()) for c, name in enumerate(names)}
    is_test = np.repeat([False, True], [len(a) for a in labels]) if len(pairs) == 2 else None
    if labelled:
        check_classes(what, counts, 1 if is_test is not None else 2, "its labels must have at least two values")
        if is_test is not None and not set(targets[is_test]) <= set(targets[~is_test]):
            strange = sorted({str(names[c]) for c in set(targets[is_test]) - set(targets[~is_test])})
            raise ValueError(f"{what}: classes to test with that are not among those to train with: {strange}")
    if image_size is not None and (h, w) != (image_size, image_size):
        images = _resized(images, image_size)
    found = [
        f"{path.name}: {many(len(images), 'image')}" + (f", {counted(counts)}" if labelled else ""),
        f"{w}x{h} pixels" + (f", brought to {image_size}x{image_size}" if images.shape[1:3] != (h, w) else ""),
        *notes,
    ]
    images = images.astype(dtype, order="C").transpose(0, 3, 1, 2)
    return split(
        path.stem, images, targets.astype(np.int64), list(counts), is_test, found,
        labelled=labelled, test_fraction=test_fraction, seed=seed,
        fingerprint=hashlib.sha256(path.read_bytes()).hexdigest()[:20],
    )  # fmt: skip


def _arrays(path: Path, what: str) -> dict[str, Array]:
    """The arrays by key. Headers are checked first: reading begins with the memory that they ask for."""
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.filename.endswith(".npy"):
                    continue
                key = info.filename.removesuffix(".npy")
                with archive.open(info) as file:
                    version = np.lib.format.read_magic(file)
                    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else None
                    read = np.lib.format.read_array_header_2_0 if version == (2, 0) else read
                    if read is None:
                        raise ValueError(f"{key} has version {version} of the format")
                    shape, _, kind = read(file)
                if kind.hasobject:
                    raise ValueError(
                        f"{key} holds Python objects: save an array of numbers, not a list of unequal ones"
                    )
                needed = math.prod(shape) * kind.itemsize
                if not needed <= min(info.file_size, MOST_VALUES):
                    raise ValueError(f"{key} announces {needed:,} bytes and holds {info.file_size:,}")
                with archive.open(info) as file:
                    found[key] = np.lib.format.read_array(file)  # no objects: that is its default
    except DAMAGED as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{what}: not a file of numpy.savez, or damaged ({reason:.200})") from error
    return found


def _pairs(what: str, keys: dict[str, str], labelled: bool) -> list[tuple[str, str]]:
    """The keys of images and labels: one pair, or one to train and one to test with; a label's may be empty."""
    listed = ", ".join(keys.values()) or "nothing"
    for starts in ("{}_train", "train_{}"):
        x = next((keys[starts.format(k)] for k in IMAGES if starts.format(k) in keys), None)
        if x is None:
            continue
        pairs = list[tuple[str, str]]()
        for part in ("train", "test", "val", "valid"):
            form = starts.replace("train", part)
            x = next((keys[form.format(k)] for k in IMAGES if form.format(k) in keys), None)
            y = next((keys[form.format(k)] for k in LABELS if form.format(k) in keys), "")
            if x is not None and (y or not labelled) and len(pairs) < 2:
                pairs.append((x, y))
        if pairs:
            return pairs if labelled else pairs[:1]
    x = next((keys[k] for k in IMAGES if k in keys), None)
    y = next((keys[k] for k in LABELS if k in keys), "")
    if x is None or (labelled and not y):
        needed = "x and y, images and labels, or x_train, y_train, x_test and y_test" if labelled else "x or images"
        raise ValueError(f"{what}: needs the keys {needed}; it has {listed}")
    return [(x, y)]


def _images(what: str, array: Array) -> tuple[Array, str]:
    """(N, H, W, C), and what they were taken for."""
    shape = array.shape
    axes = {3: "(N, H, W), grey"}.get(array.ndim, "")
    if array.ndim == 4:
        last, first = shape[3] in (1, 3), shape[1] in (1, 3)
        if last and not first:
            axes = f"(N, H, W, C), {'grey' if shape[3] == 1 else 'colour'}"
        elif first:
            axes = f"(N, C, H, W), {'grey' if shape[1] == 1 else 'colour'}"
            array = array.transpose(0, 2, 3, 1)
    if not axes:
        raise ValueError(
            f"{what}: images are (N, H, W), or (N, H, W, C) or (N, C, H, W) with 1 or 3 channels, got {shape}"
            + ("; reshape rows of pixels first" if array.ndim == 2 else "")
        )
    if not array.size:
        raise ValueError(f"{what}: there is no pixel in an array of shape {shape}")
    return array if array.ndim == 4 else array[..., None], f"taken for {axes}"


def _scaled(what: str, array: Array) -> tuple[Array, str]:
    """Values from 0 to 1, and what they were before."""
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{what}: pixels are numbers, best of uint8 or float32, got {array.dtype}")
    floats = array.astype(np.float32)
    if not np.isfinite(floats).all():
        wrong = int((~np.isfinite(floats)).sum())
        raise ValueError(f"{what}: {wrong} of {array.size} values are NaN or infinite, or too large for float32")
    low, high = float(floats.min()), float(floats.max())
    of = f"{array.dtype} from {low:.3g} to {high:.3g}"
    if low >= 0 and high <= 1:
        return floats, of
    if low >= 0 and high <= 255 and (array.dtype.kind in "iu" or high >= LIKE_BYTES):
        return floats / 255, f"{of}, divided by 255"
    if low >= -1 and high <= 1:
        return (floats + 1) / 2, f"{of}, brought from [-1, 1] to [0, 1]"
    raise ValueError(f"{what}: pixels go from 0 to 1, from -1 to 1 or from 0 to 255, these are {of}; scale them first")


def _labels(what: str, key: str, array: Array, x: str, n: int) -> Array:
    """(N,) numbers or texts."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and array.dtype.kind in "fiub" and array.shape[1] > 1:
        if not (((array == 0) | (array == 1)).all() and (array.sum(axis=1) == 1).all()):
            raise ValueError(f"{what}: {key} of shape {array.shape} must have one-hot rows, or be one number a sample")
        array = array.argmax(axis=1)
    if array.ndim != 1 or len(array) != n:
        raise ValueError(f"{what}: {key} needs a label for each of the {n} images in {x}, got the shape {array.shape}")
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and (array == np.round(array)).all()):
            odd = array[~(np.isfinite(array) & (array == np.round(array)))][0]
            raise ValueError(f"{what}: {key} holds {odd:g}; labels are whole numbers or texts, one value a class")
        array = array.astype(np.int64)
    if array.dtype.kind not in "iubU":
        raise ValueError(f"{what}: {key} is of {array.dtype}; labels are whole numbers or texts, one value a class")
    return array.astype(np.int64) if array.dtype.kind == "b" else array


def _resized(images: Array, size: int) -> Array:
    """(N, H, W, C) floats as (N, size, size, C): each channel by itself, as an image of floats."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError("npz: resizing images needs Pillow; pip install 'tinyres[lab]'") from error
    made = np.empty((len(images), size, size, images.shape[3]), np.float32)
    for i, image in enumerate(images):
        for c in range(images.shape[3]):
            plane = Image.fromarray(np.ascontiguousarray(image[..., c], np.float32))
            made[i, :, :, c] = np.asarray(ImageOps.fit(plane, (size, size), Image.Resampling.BILINEAR))
    return made.clip(0, 1)


__all__ = ["npz"]
