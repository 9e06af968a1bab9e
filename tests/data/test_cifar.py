"""CIFAR-10's archive: six regular members of one size, read in place, and everything else refused."""

import gzip
import hashlib
import io
import re
import tarfile
import tracemalloc

import numpy as np
import pytest

from tinyres import data
from tinyres.data import cifar
from tinyres.data.fetch import Source
from tinyres.files import FileFormatError

SAMPLES = 20
NAMES = [*cifar.TRAIN, *cifar.TEST]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(cifar, "SAMPLES", SAMPLES)


def table(number):
    rng = np.random.default_rng(number)
    rows = rng.integers(0, 256, (SAMPLES, 3073), dtype=np.uint8)
    rows[:, 0] = rng.integers(0, 10, SAMPLES)
    return rows


TABLES = {name: table(number) for number, name in enumerate(NAMES)}


def member(name, content):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


def link(name, kind, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def archive(changes=None, extra=()):
    """The six, with some of them changed or (None) left out, and others beside them; in no particular order."""
    members = {name: member(name, rows.tobytes()) for name, rows in TABLES.items()} | (changes or {})
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for each in [*extra, *reversed(members.values())]:
            if each:
                tar.addfile(each[0], io.BytesIO(each[1]))
    return raw.getvalue()


def test_the_photographs(server, tmp_path, monkeypatch):
    readme = member("cifar-10-batches-bin/readme.html", b"<html>")
    content = archive(extra=[readme, link("cifar-10-batches-bin/other.bin", tarfile.SYMTYPE, "/etc/passwd")])
    server.answers["/" + cifar.ARCHIVE] = [content]
    source = Source("cifar10", (server.url(),), {cifar.ARCHIVE: hashlib.sha256(content).hexdigest()})
    monkeypatch.setattr(cifar, "CIFAR10", source)
    train, test = data.cifar10(cache=tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [cifar.ARCHIVE]  # nothing is extracted
    assert (train.name, test.name, train.classes) == ("cifar10/train", "cifar10/test", 10)
    assert train.inputs.shape == (5 * SAMPLES, 3, 32, 32)
    assert train.inputs.dtype == np.float32
    assert train.targets.dtype == np.int64
    assert train.inputs.transpose(0, 2, 3, 1).flags.c_contiguous
    rows = np.concatenate([TABLES[name] for name in cifar.TRAIN])
    np.testing.assert_array_equal(train.targets, rows[:, 0])
    for i, channel, y, x in [(0, 0, 0, 0), (3, 0, 0, 31), (41, 1, 5, 7), (99, 2, 31, 31)]:
        assert train.inputs[i, channel, y, x] == np.float32(rows[i, 1 + 1024 * channel + 32 * y + x] / 255)
    raw = data.load("cifar10", cache=tmp_path, normalize=False, dtype="uint8").test
    np.testing.assert_array_equal(raw.inputs.reshape(SAMPLES, -1), TABLES[cifar.TEST[0]][:, 1:])
    assert raw.inputs.transpose(0, 2, 3, 1).flags.c_contiguous


VICTIM = NAMES[2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (archive({VICTIM: None}), f"the archive lacks {VICTIM}"),
        (archive(dict.fromkeys(NAMES), [member("x", b"")]), "the archive lacks .*data_batch_1.bin, .*test_batch.bin"),
        (archive({VICTIM: link(VICTIM, tarfile.SYMTYPE, "/etc/passwd")}), f"{VICTIM} must be a regular file"),
        (archive({VICTIM: link(VICTIM, tarfile.LNKTYPE, NAMES[5])}), f"{VICTIM} must be a regular file"),
        (archive({VICTIM: link(VICTIM, tarfile.DIRTYPE, "")}), f"{VICTIM} must be a regular file"),
        (archive({VICTIM: member(VICTIM, b"\0" * (SAMPLES * 3073 - 1))}), "20 rows of 3073 bytes, 61460 .* got 61459"),
        (archive({VICTIM: member(VICTIM, b"\0" * (SAMPLES * 3073 + 1))}), "got 61461"),
        (archive(extra=[member(VICTIM, TABLES[VICTIM].tobytes())]), f"{VICTIM} is there twice"),
        (archive({VICTIM: member("../" + VICTIM, TABLES[VICTIM].tobytes())}), f"the archive lacks {VICTIM}"),
        (archive()[:-20_000], "truncated or damaged"),
        (archive()[:100], "truncated or damaged"),
        (archive()[:-4] + b"\0" * 4, "truncated or damaged"),
        (archive()[:-1], "truncated or damaged"),
        (archive()[:40_000] + b"\0" * 64 + archive()[40_064:], "truncated or damaged"),
        (b"", "truncated or damaged"),
        (b"<html>not found</html>", "needs a complete tar.gz archive"),
    ],
    ids=["missing", "all missing", "symbolic link", "hard link", "folder", "a byte short", "a byte long", "twice",
         "elsewhere", "cut", "cut early", "wrong length", "a byte cut", "overwritten", "empty", "a page"],
)  # fmt: skip
def test_any_other_archive_is_refused(tmp_path, content, message):
    path = tmp_path / "archive.tar.gz"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=re.escape(str(path)) + ": .*" + message):
        cifar.read_archive(path)


def bomb(kind):
    """64 MB, or more files than tarfile should hold, in a few KB; the six are behind."""
    if kind == "files":
        return archive(extra=[member(f"f{k}", b"") for k in range(cifar.MOST_MEMBERS)])
    if kind == "a long name" or kind == "an extended header":
        info, content = member("x", bytes(2**26))
        info.type = tarfile.GNUTYPE_LONGNAME if kind == "a long name" else tarfile.XHDTYPE
        return archive(extra=[(info, content)])
    if kind == "headers of headers":
        info, content = member("x", b"")
        info.type = tarfile.XHDTYPE
        return archive(extra=[(info, content)] * 2000)
    whole = gzip.decompress(archive(extra=[member("x", bytes(2**26))] if kind == "a file" else ()))
    return gzip.compress(whole + (b"" if kind == "a file" else bytes(2**26)))


@pytest.mark.parametrize(
    "kind", ["files", "a long name", "an extended header", "headers of headers", "a file", "what follows"]
)
def test_a_bomb_takes_no_memory(tmp_path, kind):
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(bomb(kind))
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match=re.escape(str(path)) + ": .*(cannot be CIFAR-10|damaged)"):
            cifar.read_archive(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**24


def test_a_label_that_is_no_class(server, tmp_path, monkeypatch):
    rows = TABLES[VICTIM].copy()
    rows[4, 0] = 10
    content = archive({VICTIM: member(VICTIM, rows.tobytes())})
    server.answers["/" + cifar.ARCHIVE] = [content]
    source = Source("cifar10", (server.url(),), {cifar.ARCHIVE: hashlib.sha256(content).hexdigest()})
    monkeypatch.setattr(cifar, "CIFAR10", source)
    with pytest.raises(FileFormatError, match=r"cifar-10-binary.tar.gz: labels are 0 to 9, sample 44 has 10"):
        data.cifar10(cache=tmp_path)


def test_no_archive(tmp_path):
    with pytest.raises(FileNotFoundError):
        cifar.read_archive(tmp_path / "none")
