"""Folders of small images for tests, made anew."""

import numpy as np
from PIL import Image


def picture(path, seed=0, size=(8, 8), mode="RGB", **how):
    """Write a random image; size is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, **how)
    return pixels


def photos(root, counts=(("cats", 10), ("dogs", 6)), ending=".png", **how):
    """A folder for each class, with so many images in it."""
    for label, count in counts:
        for i in range(count):
            picture(root / label / f"{i:02}{ending}", hash_of(label, i), **how)
    return root


def hash_of(label, i):
    return sum(map(ord, label)) * 100 + i
