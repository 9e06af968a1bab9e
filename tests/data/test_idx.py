"""IDX files, and the data sets made of them: exactly the format, or an error that names the file and the fault."""

import gzip
import hashlib
import re
import struct
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyres import data
from tinyres.data.fetch import Source
from tinyres.data.mnist import read_pair
from tinyres.files import FileFormatError

CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}


def idx(array):
    """The format from its description, independently of the reader: one struct call for each number."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, CODES[array.dtype.name], array.ndim, *array.shape)
    letter = {"uint8": "B", "int8": "b", "int16": "h", "int32": "i", "float32": "f", "float64": "d"}[array.dtype.name]
    return header + b"".join(struct.pack(">" + letter, value) for value in array.ravel().tolist())


def packed(content):
    """In gzip's format, which keeps the time of its making: here always the same."""
    return gzip.compress(content, mtime=0)


GOOD = idx(np.arange(6, dtype=np.int16).reshape(2, 3))


@given(
    array=hnp.arrays(st.sampled_from(sorted(CODES)), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)),
    compressed=st.booleans(),
)
def test_what_is_written_comes_back(tmp_path_factory, array, compressed):
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(packed(idx(array)) if compressed else idx(array))
    found = data.read_idx(path)
    assert found.dtype == array.dtype
    assert found.dtype.isnative
    assert found.flags.writeable
    np.testing.assert_array_equal(found, array)  # NaN counts as equal; its payload may not survive struct


def test_bytes_in_full():
    assert bytes.fromhex("00000b02 00000002 00000003 0000 0001 0002 0003 0004 0005") == GOOD


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with two zero bytes, .* got an empty file"),
        (b"\0\0\x08", "got 00 00 08"),
        (b"\0\1" + GOOD[2:], "got 00 01 0b 02"),
        (b"\0\0\x0a" + GOOD[3:], r"a type \(08, 09, 0b, 0c, 0d, 0e\)"),
        (b"\x89PNG\r\n", "got 89 50 4e 47"),
        (GOOD[:11], "truncated in its header, got 11 bytes of 12"),
        (GOOD[:-1], r"truncated, .* int16 of shape \(2, 3\), 12 bytes, got 11"),
        (GOOD[:12], "12 bytes, got 0"),
        (GOOD + b"\0", "too long, .* 12 bytes, got more"),
        (b"\0\0\x08\x02" + b"\xff" * 8 + b"abc", r"shape \(4294967295, 4294967295\), 18446744065119617025 bytes"),
        (b"\0\0\x08\x41" + b"\0\0\0\1" * 65 + b"x", "NumPy has no array of 65 axes"),
        (packed(GOOD)[:-9], "gzip data is truncated or damaged"),
        (packed(GOOD)[:-1], "gzip data is truncated or damaged"),
        (packed(GOOD)[:5], "gzip data is truncated or damaged"),
        (packed(GOOD) + b"more", "gzip data is truncated or damaged"),
        (packed(GOOD)[:-8] + b"\0" * 8, "gzip data is truncated or damaged"),
        (packed(GOOD[:-1]), "bytes, got 11"),
    ],
)
def test_anything_else_is_refused(tmp_path, content, message):
    path = tmp_path / "some-images.idx"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=re.escape(str(path)) + ": .*" + message):
        data.read_idx(path)


@pytest.mark.parametrize("promised", [6, 2**32 - 1], ids=["less", "more"])
def test_a_bomb_takes_no_memory(tmp_path, promised):
    """64 MB of zeros in 64 KB, behind a header that promises six bytes, or more than there are."""
    path = tmp_path / "bomb.gz"
    path.write_bytes(packed(b"\0\0\x08\x01" + struct.pack(">I", promised) + bytes(2**26)))
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match=r"bomb\.gz: (too long|truncated), .* got (more|[0-9]+)$"):
            data.read_idx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < (2**22 if promised == 6 else 2**27)  # what is there has to be read where it was promised


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        data.read_idx(tmp_path / "none")


# -- MNIST ------------------------------------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
PARTS = {
    "train": (RNG.integers(0, 256, (5, 28, 28), dtype=np.uint8), np.array([0, 9, 3, 3, 1], np.uint8)),
    "t10k": (RNG.integers(0, 256, (2, 28, 28), dtype=np.uint8), np.array([7, 2], np.uint8)),
}
FILES = {}
for part, (pixels, labels) in PARTS.items():
    FILES[f"{part}-images-idx3-ubyte.gz"] = packed(idx(pixels))
    FILES[f"{part}-labels-idx1-ubyte.gz"] = packed(idx(labels))


@pytest.fixture(params=["mnist", "fashion-mnist"])
def small(request, server, monkeypatch):
    """The data set's own function and name, with seven samples on a server of ours."""
    sums = {file: hashlib.sha256(content).hexdigest() for file, content in FILES.items()}
    constant = request.param.upper().replace("-", "_")
    module = sys.modules["tinyres.data.mnist"]  # as an attribute, tinyres.data.mnist is the function
    monkeypatch.setattr(module, constant, Source(request.param, (server.url(),), sums))
    for file, content in FILES.items():
        server.answers["/" + file] = [content]
    return data.BY_NAME[request.param], request.param


def test_a_data_set_of_idx_files(small, tmp_path):
    function, name = small
    split = function(cache=tmp_path)
    for part, which, (pixels, labels) in zip(split, ("train", "test"), PARTS.values(), strict=True):
        assert (part.name, part.classes) == (f"{name}/{which}", 10)
        assert part.inputs.dtype == np.float32
        assert part.inputs.transpose(0, 2, 3, 1).flags.c_contiguous
        np.testing.assert_array_equal(part.inputs, (pixels / 255)[:, None].astype(np.float32))
        assert part.targets.dtype == np.int64
        np.testing.assert_array_equal(part.targets, labels)
    raw = function(cache=tmp_path, normalize=False, dtype="uint8")
    np.testing.assert_array_equal(raw.test.inputs[:, 0], PARTS["t10k"][0])
    assert raw.test.inputs.dtype == np.uint8
    with pytest.raises(TypeError, match=f"{name}/train: .* need a float dtype, got uint8; or pass normalize=False"):
        function(cache=tmp_path, dtype="uint8")


def test_every_file_is_fetched_before_one_is_read(small, server, tmp_path):
    function, name = small
    server.answers["/t10k-labels-idx1-ubyte.gz"] = [404]
    with pytest.raises(data.DownloadError, match=f"{name}: the file t10k-labels-idx1-ubyte.gz .*answers 404 Not Found"):
        function(cache=tmp_path)


@pytest.mark.parametrize(
    ("pixels", "labels", "message"),
    [
        (np.zeros((2, 28, 27), "u1"), np.zeros(2, "u1"), r"images: needs bytes of shape \(N, 28, 28\), got .*27"),
        (np.zeros((2, 28, 28), "i1"), np.zeros(2, "u1"), "images: .*got int8"),
        (np.zeros(4, "u1"), np.zeros(4, "u1"), r"images: .*got uint8 \(4,\)"),
        (
            np.zeros((2, 28, 28), "u1"),
            np.zeros(3, "u1"),
            r"labels: needs one byte for each of 2 images, .*uint8 \(3,\)",
        ),
        (np.zeros((2, 28, 28), "u1"), np.zeros((2, 1), "u1"), "labels: needs one byte for each"),
        (np.zeros((2, 28, 28), "u1"), np.zeros(2, "i2"), "labels: .*got int16"),
        (np.zeros((3, 28, 28), "u1"), np.array([9, 10, 11], "u1"), "labels: labels are 0 to 9, sample 1 has 10"),
    ],
)
def test_files_that_are_no_mnist(tmp_path, pixels, labels, message):
    (tmp_path / "images").write_bytes(idx(pixels))
    (tmp_path / "labels").write_bytes(idx(labels))
    with pytest.raises(FileFormatError, match=message):
        read_pair(tmp_path / "images", tmp_path / "labels", name="m")


def test_no_samples_are_a_data_set_too(tmp_path):
    (tmp_path / "images").write_bytes(idx(np.zeros((0, 28, 28), "u1")))
    (tmp_path / "labels").write_bytes(idx(np.zeros(0, "u1")))
    assert read_pair(tmp_path / "images", tmp_path / "labels", name="m").inputs.shape == (0, 1, 28, 28)
