"""IDX, the format of MNIST and its relatives: a magic number, the sizes of the axes, the values."""

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
        FileFormatError: the content is not exactly that: another format, cut short, damaged, or with bytes too many.
        FileNotFoundError: there is no such file.
    """
    with open(path, "rb") as file:
        packed = file.peek(len(GZIP))[: len(GZIP)] == GZIP
        content: IO[bytes] | gzip.GzipFile = gzip.GzipFile(fileobj=file) if packed else file
        try:
            return _read(path, content)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FileFormatError(f"{path}: the gzip compression is cut short or damaged ({error})") from error


def _read(path: PathLike, file: IO[bytes] | gzip.GzipFile) -> Array:
    """The header, then what it promises and one byte: three compressed megabytes may hold gigabytes."""
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES:
        codes = ", ".join(f"{code:02x}" for code in TYPES)
        raise FileFormatError(
            f"{path}: an IDX file begins with two zero bytes, a type ({codes}) and a number of axes, "
            f"this one with {start.hex(' ') or 'nothing'}"
        )
    dtype, rank = np.dtype(TYPES[start[2]]).newbyteorder(">"), start[3]
    axes = file.read(4 * rank)
    if len(axes) < 4 * rank:
        raise FileFormatError(f"{path}: cut short in its header, {4 + len(axes)} bytes of {4 + 4 * rank} are there")
    shape = tuple(np.frombuffer(axes, ">u4").tolist())
    needed = math.prod(shape) * dtype.itemsize
    content = bytearray()  # a header may promise more than any memory has, so that what is there decides
    while piece := file.read(min(CHUNK, needed + 1 - len(content))):
        content += piece
    if len(content) != needed:
        trouble, there = "cut short", f"{len(content)} bytes follow"
        if len(content) > needed:
            trouble, there = "longer than it should be", "more follow"
        raise FileFormatError(
            f"{path}: {trouble}, its header promises {dtype.name} of shape {shape}, {needed} bytes, and {there}"
        )
    try:
        values: Array = np.ndarray(shape, dtype, content)
    except ValueError as error:
        raise FileFormatError(f"{path}: NumPy has no array of {rank} axes with shape {shape} ({error})") from error
    return values.astype(dtype.newbyteorder("="))
