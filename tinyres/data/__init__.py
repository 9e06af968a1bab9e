"""Data sets, the loader that batches them, and transforms of the batches.

The digits, two photographs and two-dimensional toys need no download; MNIST, Fashion-MNIST and CIFAR-10 are downloaded
on first use. `folder` and `npz` read your own images and arrays, `text` any text.
Everything random takes a seed, so the same call gives the same arrays on every machine.
"""

from tinyres.data.cifar import cifar10
from tinyres.data.dataset import Dataset, Split
from tinyres.data.digits import digits
from tinyres.data.fetch import DownloadError
from tinyres.data.folder import folder
from tinyres.data.idx import read_idx
from tinyres.data.kneser_ney import KneserNey
from tinyres.data.loader import DataLoader
from tinyres.data.mnist import fashion_mnist, mnist
from tinyres.data.npz import npz
from tinyres.data.photographs import photographs
from tinyres.data.registry import BY_NAME, is_own, load, named
from tinyres.data.text import is_text, named_text, text, text_of
from tinyres.data.toy import circles, gaussian_mixture, grid, grid_centers, ring, ring_centers, spirals, two_moons
from tinyres.data.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, channel_statistics

__all__ = [
    "BY_NAME",
    "Compose",
    "DataLoader",
    "Dataset",
    "DownloadError",
    "KneserNey",
    "Normalize",
    "RandomCrop",
    "RandomHorizontalFlip",
    "Split",
    "channel_statistics",
    "cifar10",
    "circles",
    "digits",
    "fashion_mnist",
    "folder",
    "gaussian_mixture",
    "grid",
    "grid_centers",
    "is_own",
    "is_text",
    "load",
    "mnist",
    "named",
    "named_text",
    "npz",
    "photographs",
    "read_idx",
    "ring",
    "ring_centers",
    "spirals",
    "text",
    "text_of",
    "two_moons",
]
