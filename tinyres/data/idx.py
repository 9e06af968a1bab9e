"""IDX, the format of MNIST and its relatives: a magic number, the sizes of the axes, the values."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from tinyres.data.dataset import Array
from tinyres.files import FileFormatError, PathLike

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
GZIP = b"\x1f\x8b"


def read_idx(path: PathLike) -> Array:
    """The array in an IDX file, gzip-compressed or not, in the machine's own byte order.

    The file is: two zero bytes, one for the type of the values, one for the number of axes; the length of each axis
    in four bytes; the values in C order. Everything is big-endian.

    Raises:
        FileFormatError: the content is not exactly that: another format, cut short, damaged, or with bytes too many.
        FileNotFoundError: there is no such file.
    """
    content = Path(path).read_bytes()
    if content.startswith(GZIP):
        try:
            content = gzip.decompress(content)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FileFormatError(f"{path}: the gzip compression is cut short or damaged ({error})") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES:
        codes = ", ".join(f"{code:02x}" for code in TYPES)
        raise FileFormatError(
            f"{path}: an IDX file begins with two zero bytes, a type ({codes}) and a number of axes, "
            f"this one with {content[:4].hex(' ') or 'nothing'}"
        )
    dtype, rank = np.dtype(TYPES[content[2]]).newbyteorder(">"), content[3]
    header = 4 + 4 * rank
    if len(content) < header:
        raise FileFormatError(f"{path}: cut short in its header, {len(content)} bytes of {header} are there")
    shape = tuple(np.frombuffer(content, ">u4", rank, 4).tolist())
    needed, there = math.prod(shape) * dtype.itemsize, len(content) - header
    if there != needed:
        trouble = "cut short" if there < needed else "longer than it should be"
        raise FileFormatError(
            f"{path}: {trouble}, its header promises {dtype.name} of shape {shape}, {needed} bytes, "
            f"and {there} bytes follow"
        )
    try:
        values: Array = np.ndarray(shape, dtype, content, header)
    except ValueError as error:
        raise FileFormatError(f"{path}: NumPy has no array of {rank} axes with shape {shape} ({error})") from error
    return values.astype(dtype.newbyteorder("="))
