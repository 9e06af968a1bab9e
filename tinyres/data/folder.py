"""Your own images: a folder with a folder for each class, of PNG and JPEG files.

photos/cats/*.jpg                      photos/train/cats/*.jpg   photos/test/cats/*.jpg
photos/dogs/*.jpg           or         photos/train/dogs/*.jpg   photos/test/dogs/*.jpg
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinyres.data.dataset import Array, Split
from tinyres.data.own import FRACTION, check_classes, check_options, counted, many, split, to_floats
from tinyres.files import PathLike

ENDINGS = (".png", ".jpg", ".jpeg")
GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L")  # Pillow's modes; all others have colours
TESTS = ("test", "val", "valid", "validation")  # what the part to test with may be called
MOST_PIXELS = 1 << 26  # of one image: more is a mistake, or meant to fill the memory


class Picture(NamedTuple):
    """A file: its class, and whether it is to test with."""

    path: Path
    label: str
    is_test: bool


def folder(
    path: PathLike,
    *,
    image_size: int | None = None,
    channels: int | None = None,
    labelled: bool = True,
    test_fraction: float = FRACTION,
    seed: int = 0,
    dtype: Any = "float32",
) -> Split:
    """The images of a folder, with the name of the folder that each is in as its class.

    Inputs are (N, C, H, W) from 0 to 1, channels-last in memory; targets are (N,) int64, numbers of the classes in
    alphabetical order (`train.class_names`). `train.found` says what was found. Files and folders whose name begins
    with a dot are skipped, and so is what is neither PNG nor JPEG; the number of the latter is said. Photographs are
    turned as their camera noted; transparency is dropped; 16 bits a pixel become 8.

    Args:
        path: its folders are the classes; or it has a folder train and a folder test (or val), which have them.
        image_size: scale each image to cover a square of so many pixels, and cut out its middle. Without it all images
            must have one size.
        channels: 1 for grey, 3 for colour; None: colour if any image has colours.
        labelled: False takes images without classes, too, those in the folder itself, and splits nothing.
        test_fraction: the share of every class that is held back, if there is no folder test.
        seed: of that split; the same seed always gives the same one.

    Raises:
        ImportError: Pillow is missing.
        FileNotFoundError, NotADirectoryError: there is no such folder.
        ValueError: no images, fewer than two classes, or a class with fewer than two images; images of several sizes
            without image_size; files that cannot be read (all of them are named).
    """
    try:
        import PIL.Image as _  # noqa: F401  (before anything long begins)
    except ImportError as error:
        raise ImportError("folder: reading images needs Pillow; pip install 'tinyres[lab]'") from error
    root = Path(path)
    what = f"folder {root}"
    check_options(what, image_size, test_fraction)
    if channels not in (None, 1, 3):
        raise ValueError(f"{what}: channels must be 1 (grey) or 3 (colour), got {channels}")
    if not root.exists():
        raise FileNotFoundError(f"{what}: there is no such folder")
    if not root.is_dir():
        raise NotADirectoryError(f"{what}: it is a file")
    pictures, notes = _pictures(root, what, labelled)
    counts = dict(sorted(Counter(p.label for p in pictures).items()))
    apart = any(p.is_test for p in pictures)
    if labelled:
        mend = "put the images of each class into a folder of its own"
        check_classes(what, {c: n for c, n in counts.items() if c}, 1 if apart else 2, mend)
        _check_parts(what, pictures, apart)
    headers = _headers(pictures, root, what)
    colour = channels == 3 or (channels is None and any(mode not in GREY for _, mode in headers))
    sizes = Counter(size for size, _ in headers)
    if image_size is None and len(sizes) > 1:
        listed = ", ".join(f"{w}x{h} ({n} of them)" for (w, h), n in sizes.most_common(8))
        more = f" and {len(sizes) - 8} other sizes" if len(sizes) > 8 else ""
        raise ValueError(
            f"{what}: the images have {len(sizes)} sizes, {listed}{more}: give one size for all of them, "
            "image_size=32 or --image-size 32"
        )
    pixels = _pixels(pictures, root, what, colour, image_size, next(iter(sizes)))
    names = list(counts)
    targets = np.array([names.index(p.label) for p in pictures], np.int64)
    smallest, largest = min(sizes, key=lambda s: s[0] * s[1]), max(sizes, key=lambda s: s[0] * s[1])
    of = "x".join(map(str, smallest)) + ("" if len(sizes) == 1 else f" to {'x'.join(map(str, largest))}")
    found = [
        f"{root.name}: {many(len(pictures), 'image')}" + (f", {counted(counts)}" if labelled else ""),
        f"{of} pixels" + (f", brought to {image_size}x{image_size}" if image_size else ""),
        f"{'colour' if colour else 'grey'}, {3 if colour else 1} {'channels' if colour else 'channel'}",
        *notes,
    ]
    return split(
        root.name, to_floats(pixels, dtype), targets, names, np.array([p.is_test for p in pictures]) if apart else None,
        found, labelled=labelled, test_fraction=test_fraction, seed=seed, fingerprint=_fingerprint(pictures, root),
    )  # fmt: skip


# -- which files there are --------------------------------------------------------------------------------------------
def _pictures(root: Path, what: str, labelled: bool) -> tuple[list[Picture], list[str]]:
    """The image files, sorted by their names, and what else is to be said."""
    parts = {part.name.lower(): part for part in _folders(root)}
    test = next((name for name in TESTS if name in parts), None)
    apart = "train" in parts and parts.keys() <= {"train", *TESTS}
    tops = [(parts["train"], False)] if apart else [(root, False)]
    notes = []
    if apart and test is not None:
        tops.append((parts[test], True))
        notes += [f"left out: {name}" for name in parts if name not in ("train", test)]
    found, others, beside = [], 0, 0
    for top, is_test in tops:
        for path in _files(top):
            if path.suffix.lower() not in ENDINGS:
                others += 1
            elif path.parent == top and labelled:
                beside += 1
            else:
                found.append(Picture(path, path.relative_to(top).parts[0] if path.parent != top else "", is_test))
        if labelled:
            empty = [f.name for f in _folders(top) if not any(p.path.is_relative_to(f) for p in found)]
            if empty:
                raise ValueError(f"{what}: no PNG or JPEG file in the folders of these classes: {', '.join(empty)}")
    if beside and not found:
        raise ValueError(
            f"{what}: {many(beside, 'image')} and no folders: a classifier needs a folder of images for each class"
        )
    if not found:
        raise ValueError(f"{what}: there is no PNG or JPEG file in it")
    notes += [f"left out: {many(beside, 'image')} beside the classes' folders"] if beside else []
    notes += [f"left out: {many(others, 'file')}, neither PNG nor JPEG"] if others else []
    return found, notes


def _folders(top: Path) -> list[Path]:
    return sorted(p for p in top.iterdir() if p.is_dir() and not p.name.startswith("."))


def _files(top: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """The files below a folder, in one order on every machine; no hidden ones."""
    here = top.resolve()
    if here in above:  # a link to a folder that it is in
        return
    entries = sorted(p for p in top.iterdir() if not p.name.startswith("."))
    yield from (p for p in entries if p.is_file())
    for inner in (p for p in entries if p.is_dir()):
        yield from _files(inner, (*above, here))


def _check_parts(what: str, pictures: list[Picture], apart: bool) -> None:
    """Refuse a test set with classes that are not in the training set, or the other way round."""
    here, there = ({p.label for p in pictures if p.is_test is part} for part in (False, True))
    if apart and here != there:
        differ = ", ".join(sorted(here ^ there))
        raise ValueError(f"{what}: the folders train and test must have the same classes; only one has: {differ}")


def _fingerprint(pictures: list[Picture], root: Path) -> str:
    """A hash of the names and the contents of the files."""
    total = hashlib.sha256()
    for picture in pictures:
        content = hashlib.sha256(picture.path.read_bytes()).digest()
        total.update(picture.path.relative_to(root).as_posix().encode(errors="surrogateescape") + b"\0" + content)
    return total.hexdigest()[:20]


# -- what is in them --------------------------------------------------------------------------------------------------
def _headers(pictures: list[Picture], root: Path, what: str) -> list[tuple[tuple[int, int], str]]:
    """Size and mode of every image, without decoding it."""

    def look(path: Path) -> tuple[tuple[int, int], str]:
        from PIL import Image

        with Image.open(path, formats=("PNG", "JPEG")) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise ValueError(f"{width}x{height} pixels are too many")
            turned = image.format == "JPEG" and image.getexif().get(0x0112, 1) >= 5  # its orientation: lying on a side
            return (height, width) if turned else (width, height), image.mode

    return _each(pictures, root, what, look)


def _pixels(
    pictures: list[Picture], root: Path, what: str, colour: bool, size: int | None, same: tuple[int, int]
) -> Array:
    """All images, (N, H, W, C) uint8."""
    width, height = (size, size) if size else same
    pixels = np.empty((len(pictures), height, width, 3 if colour else 1), np.uint8)
    rows = iter(pixels)

    def decode(path: Path) -> None:
        from PIL import Image, ImageOps

        row = next(rows)
        with Image.open(path, formats=("PNG", "JPEG")) as opened:
            image: Any = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):  # 16 bits
                image = Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8))
            image = image.convert("RGB" if colour else "L")
            if size:
                image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
            row[...] = np.asarray(image).reshape(row.shape)

    _each(pictures, root, what, decode)
    return pixels


def _each(pictures: list[Picture], root: Path, what: str, function: Any) -> list[Any]:
    """The results for all files; a ValueError that names all that cannot be read."""
    results, unreadable = [], []
    for picture in pictures:
        try:
            results.append(function(picture.path))
        except Exception as error:  # Pillow raises what its decoders run into: OSError, SyntaxError, struct.error, ...
            reason = " ".join(str(error).split()).replace(str(picture.path), "").strip(" '\":") or type(error).__name__
            unreadable.append(f"{picture.path.relative_to(root)} ({reason:.60})")
    if unreadable:
        raise ValueError(
            f"{what}: {len(unreadable)} of {many(len(pictures), 'image')} cannot be read: {', '.join(unreadable)}; "
            "mend or remove them"
        )
    return results


__all__ = ["folder"]
