"""IDX files, the format of MNIST and its relatives: a magic number, the shape, the values."""

from __future__ import annotations

import gzip
import math
import zlib
from typing import IO

import numpy as np

from tinyres.data.dataset import Array
from tinyres.files import FileFormatError, PathLike

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
GZIP = b"\x1f\x8b"
CHUNK = 1 << 20


def read_idx(path: PathLike) -> Array:
    """The array in an IDX file, gzip-compressed or not, in the machine's own byte order.

    The file is: two zero bytes, one for the type of the values, one for the number of axes; the length of each axis
    in four bytes; the values in C order. Everything is big-endian.

    Raises:
        FileFormatError: the content is not exactly that: another format, truncated, damaged, or too long.
        FileNotFoundError: the file does not exist.
    """
    with open(path, "rb") as file:
        packed = file.peek(len(GZIP))[: len(GZIP)] == GZIP
        content: IO[bytes] | gzip.GzipFile = gzip.GzipFile(fileobj=file) if packed else file
        try:
            return _read(path, content)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FileFormatError(f"{path}: the gzip data is truncated or damaged ({error})") from error


def _read(path: PathLike, file: IO[bytes] | gzip.GzipFile) -> Array:
    """Read the header, then as much as it announces and one byte more: 3 MB of gzip can inflate to gigabytes."""
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES:
        codes = ", ".join(f"{code:02x}" for code in TYPES)
        raise FileFormatError(
            f"{path}: an IDX file begins with two zero bytes, a type ({codes}) and a number of axes, "
            f"got {start.hex(' ') or 'an empty file'}"
        )
    dtype, rank = np.dtype(TYPES[start[2]]).newbyteorder(">"), start[3]
    axes = file.read(4 * rank)
    if len(axes) < 4 * rank:
        raise FileFormatError(f"{path}: truncated in its header, got {4 + len(axes)} bytes of {4 + 4 * rank}")
    shape = tuple(np.frombuffer(axes, ">u4").tolist())
    needed = math.prod(shape) * dtype.itemsize
    content = bytearray()  # grows with the data: allocating what a damaged header announces could fill the memory
    while piece := file.read(min(CHUNK, needed + 1 - len(content))):
        content += piece
    if len(content) != needed:
        trouble, found = "truncated", f"{len(content)}"
        if len(content) > needed:
            trouble, found = "too long", "more"
        raise FileFormatError(
            f"{path}: {trouble}, its header announces {dtype.name} of shape {shape}, {needed} bytes, got {found}"
        )
    try:
        values: Array = np.ndarray(shape, dtype, content)
    except ValueError as error:
        raise FileFormatError(f"{path}: NumPy has no array of {rank} axes with shape {shape} ({error})") from error
    return values.astype(dtype.newbyteorder("="))
