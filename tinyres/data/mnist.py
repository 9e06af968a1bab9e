"""MNIST and Fashion-MNIST: 70,000 grey images of 28x28 pixels in ten classes, of digits and of clothes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.data.dataset import Dataset, Split
from tinyres.data.fetch import Source
from tinyres.data.idx import read_idx
from tinyres.data.images import image_dataset
from tinyres.files import FileFormatError, PathLike

CLASSES = 10
SIDE = 28
IMAGES, LABELS = "{}-images-idx3-ubyte.gz", "{}-labels-idx1-ubyte.gz"

MNIST = Source(
    "mnist",
    # The authors' own server turns programs away, and asked them to use copies.
    mirrors=("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
    sha256={
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
)
FASHION_MNIST = Source(
    "fashion-mnist",
    mirrors=(
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    sha256={
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
)


def mnist(*, cache: PathLike | None = None, dtype: Any = "float32", normalize: bool = True) -> Split:
    """MNIST: handwritten digits, 60,000 for training and 10,000 for testing; downloaded once, 12 MB.

    Inputs are (N, 1, 28, 28), from 0 (paper) to 1 (ink); targets are (N,) int64, the digit.
    From LeCun et al. 1998 [lecun1998gradient], "Gradient-based learning applied to document recognition".

    Args:
        cache: the folder for downloads; None is the platform's folder for caches.
        dtype: of the inputs.
        normalize: False leaves the raw values, 0 to 255.

    Raises:
        DownloadError: a file is not in the cache and could not be downloaded.
        FileFormatError: a file is damaged, although its SHA-256 is right.
        TypeError: normalize with an integer dtype.
        ImportError: a download needs the package pooch, which is missing.
    """
    return _split(MNIST, cache, dtype, normalize)


def fashion_mnist(*, cache: PathLike | None = None, dtype: Any = "float32", normalize: bool = True) -> Split:
    """Fashion-MNIST: photographs of clothes in the form of MNIST, but harder; downloaded once, 31 MB.

    Targets are 0 T-shirt, 1 trousers, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 ankle boot.
    From Xiao et al. 2017 [xiao2017fashion], "Fashion-MNIST: a novel image dataset for benchmarking machine learning
    algorithms". Arguments, shapes and what is raised: see `mnist`.
    """
    return _split(FASHION_MNIST, cache, dtype, normalize)


def _split(source: Source, cache: PathLike | None, dtype: Any, normalize: bool) -> Split:
    # Fetch all files before reading any, so that a missing one is reported at once.
    paths = [source.fetch(kind.format(part), cache) for part in ("train", "t10k") for kind in (IMAGES, LABELS)]
    train = read_pair(paths[0], paths[1], name=f"{source.name}/train", dtype=dtype, normalize=normalize)
    test = read_pair(paths[2], paths[3], name=f"{source.name}/test", dtype=dtype, normalize=normalize)
    return Split(train, test)


def read_pair(
    images: PathLike, labels: PathLike, *, name: str, dtype: Any = "float32", normalize: bool = True
) -> Dataset:
    """The data set in two IDX files of MNIST's form: N images of 28x28 bytes, and N bytes from 0 to 9.

    Raises:
        FileFormatError: a file is not of this form, or the two differ in their number of samples.
    """
    pixels, classes = read_idx(images), read_idx(labels)
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (SIDE, SIDE):
        raise FileFormatError(f"{images}: needs bytes of shape (N, {SIDE}, {SIDE}), got {pixels.dtype} {pixels.shape}")
    if classes.dtype != np.uint8 or classes.shape != pixels.shape[:1]:
        raise FileFormatError(
            f"{labels}: needs one byte for each of {len(pixels)} images, got {classes.dtype} {classes.shape}"
        )
    return image_dataset(
        pixels[..., None], classes, path=labels, name=name, classes=CLASSES, dtype=dtype, normalize=normalize
    )
