"""CIFAR-10: 60,000 colour photographs of 32x32 pixels in ten classes, from the binary version."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from typing import Any

import numpy as np

from tinyres.data.dataset import Array, Dataset, Split
from tinyres.data.fetch import Source
from tinyres.data.images import image_dataset
from tinyres.files import FileFormatError, PathLike

CLASSES = 10
CHANNELS, SIDE = 3, 32
SAMPLES = 10_000  # in each file
ROW = 1 + CHANNELS * SIDE * SIDE  # bytes: the class, then the red, the green and the blue plane
CHUNK = 1 << 20
ROOM = 10 * CHUNK  # for the rest of the archive: a page, the names of the classes, headers
MOST_MEMBERS = 100  # a limit, since tarfile keeps the headers of all members in memory
ARCHIVE = "cifar-10-binary.tar.gz"
TRAIN = [f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)]
TEST = ["cifar-10-batches-bin/test_batch.bin"]

CIFAR10 = Source(
    "cifar10",
    mirrors=(
        "https://www.cs.toronto.edu/~kriz/",
        "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/",
    ),
    sha256={ARCHIVE: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
)


def cifar10(*, cache: PathLike | None = None, dtype: Any = "float32", normalize: bool = True) -> Split:
    """CIFAR-10: small colour photographs, 50,000 for training and 10,000 for testing; downloaded once, 170 MB.

    Inputs are (N, 3, 32, 32), red, green, blue, from 0 to 1, in channels-last memory: 737 MB as float32. Targets are
    (N,) int64: 0 airplane, 1 automobile, 2 bird, 3 cat, 4 deer, 5 dog, 6 frog, 7 horse, 8 ship, 9 truck.
    From Krizhevsky 2009 [krizhevsky2009learning], "Learning multiple layers of features from tiny images".

    Args:
        cache: the folder for downloads; None is the platform's folder for caches.
        dtype: of the inputs.
        normalize: False leaves the raw values, 0 to 255.

    Raises:
        DownloadError: the archive is not in the cache and could not be downloaded.
        FileFormatError: the archive is damaged, although its SHA-256 is right.
        TypeError: normalize with an integer dtype.
        ImportError: a download needs the package pooch, which is missing.
    """
    path = CIFAR10.fetch(ARCHIVE, cache)
    rows = read_archive(path)

    def part(names: list[str], name: str) -> Dataset:
        table = np.concatenate([rows[each] for each in names])  # (N, ROW)
        pixels = table[:, 1:].reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1)  # (N, H, W, C)
        return image_dataset(
            pixels, table[:, 0], path=path, name=name, classes=CLASSES, dtype=dtype, normalize=normalize
        )

    return Split(part(TRAIN, "cifar10/train"), part(TEST, "cifar10/test"))


def read_archive(path: PathLike) -> dict[str, Array]:
    """The six data files in the archive by name, as arrays of bytes (10000, 3073): a row is the class and three planes.

    They are read in memory. Other members are skipped, and nothing is written to disk.

    Raises:
        FileFormatError: the archive is truncated or damaged, or one of the six is missing, there twice, not a regular
            file, or of the wrong size.
        FileNotFoundError: the archive does not exist.
    """
    tables: dict[str, Array] = {}
    try:
        with gzip.open(path) as packed:
            limited: Any = _Limited(path, packed)
            archive = tarfile.open(fileobj=limited, mode="r:")  # noqa: SIM115  nothing is open but `packed`
            for number, member in enumerate(archive, 1):
                if number > MOST_MEMBERS:
                    raise FileFormatError(f"{path}: holds more than {MOST_MEMBERS} files, so it cannot be CIFAR-10")
                if member.name in (*TRAIN, *TEST):
                    if member.name in tables:
                        raise FileFormatError(f"{path}: {member.name} is there twice")
                    tables[member.name] = _table(path, archive, member)
            while limited.read(CHUNK):  # tarfile stops at its own end; the checksum comes after it
                pass
    except FileFormatError:
        raise
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, RecursionError) as error:
        raise FileFormatError(
            f"{path}: needs a complete tar.gz archive, this one is truncated or damaged ({error})"
        ) from error
    missing = [name for name in (*TRAIN, *TEST) if name not in tables]
    if missing:
        raise FileFormatError(f"{path}: the archive lacks {', '.join(missing)}")
    return tables


class _Limited:
    """A gzip stream that refuses to inflate to more than CIFAR-10 does: a damaged archive may claim any size."""

    def __init__(self, path: PathLike, file: gzip.GzipFile) -> None:
        self.path, self.file, self.most = path, file, 6 * SAMPLES * ROW + ROOM

    def read(self, size: int) -> bytes:
        # The largest thing that is read at once is one of the six, or an extended header that may claim any length.
        content = self.file.read(min(size, SAMPLES * ROW + CHUNK))
        self._check(self.file.tell())
        return content

    def seek(self, offset: int) -> int:
        self._check(offset)
        return self.file.seek(offset)

    def tell(self) -> int:
        return self.file.tell()

    def _check(self, place: int) -> None:
        if place > self.most:
            raise FileFormatError(f"{self.path}: inflates to more than {self.most} bytes, so it cannot be CIFAR-10")


def _table(path: PathLike, archive: tarfile.TarFile, member: tarfile.TarInfo) -> Array:
    content = archive.extractfile(member) if member.isreg() else None
    if content is None:  # a link could lead anywhere
        raise FileFormatError(f"{path}: {member.name} must be a regular file, got a link, a folder or a device")
    if member.size != SAMPLES * ROW:
        raise FileFormatError(
            f"{path}: {member.name} needs {SAMPLES} rows of {ROW} bytes, {SAMPLES * ROW} in all, got {member.size}"
        )
    return np.frombuffer(content.read(), np.uint8).reshape(SAMPLES, ROW)
