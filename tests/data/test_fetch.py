"""Downloads: the right file or none, whatever the network does, and a sentence that says what to do."""

import hashlib
import io
import logging
import os
import re
import socket
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.data.served import BODY, RIGHT, WRONG, left
from tinyres import data
from tinyres.data import fetch
from tinyres.data.fetch import DownloadError, Source


def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_a_file_is_downloaded_once(server, source, tmp_path):
    server.answers["/one/file.gz"] = [BODY]
    path = source.fetch("file.gz", tmp_path / "new" / "cache")
    assert path == tmp_path / "new" / "cache" / "set" / "file.gz"
    assert path.read_bytes() == BODY
    assert source.fetch("file.gz", tmp_path / "new" / "cache") == path
    assert server.asked == ["/one/file.gz"]
    assert left(tmp_path) == ["new/cache/set/file.gz"]


def test_a_cached_file_needs_neither_network_nor_pooch(source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"set: .*pip install 'tinyres\[lab\]'"):
        source.fetch("file.gz", tmp_path)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file.gz").write_bytes(BODY)  # as by hand
    assert source.fetch("file.gz", str(tmp_path)).read_bytes() == BODY


def test_the_cache_is_the_platforms_own(server, source, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    server.answers["/one/file.gz"] = [BODY]
    assert source.fetch("file.gz") == tmp_path / "tinyres" / "set" / "file.gz"


@pytest.mark.parametrize("home", ["", "  ", "/somewhere/else"])
def test_without_pooch_the_cache_is_where_pooch_would_put_it(home, monkeypatch):
    pooch = pytest.importorskip("pooch")
    monkeypatch.setenv("XDG_CACHE_HOME", home)
    named = pooch.os_cache("tinyres")
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert fetch.default_cache() == named


@pytest.mark.parametrize("first", [404, 500, WRONG, b"", "cut"], ids=["404", "500", "wrong", "empty", "cut"])
def test_the_next_mirror_serves_where_one_does_not(server, source, cut, tmp_path, first):
    server.answers = {"/one/file.gz": [cut(BODY) if first == "cut" else first], "/two/file.gz": [BODY]}
    assert source.fetch("file.gz", tmp_path).read_bytes() == BODY
    assert server.asked == ["/one/file.gz", "/two/file.gz"]
    assert left(tmp_path) == ["set/file.gz"]


def test_only_a_server_that_was_too_slow_is_asked_again(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT", (1, 0.05))
    source = Source("set", (server.url(),), {"file.gz": RIGHT})
    server.answers["/file.gz"] = [503, BODY]
    with pytest.raises(DownloadError, match="answers 503"):
        source.fetch("file.gz", tmp_path)
    server.answers["/file.gz"] = [None, BODY]
    assert source.fetch("file.gz", tmp_path).read_bytes() == BODY
    assert len(server.asked) == 3
    assert left(tmp_path) == ["set/file.gz"]


def test_pooch_says_nothing_of_its_own(server, source, tmp_path):
    import pooch

    said = io.StringIO()
    handler, logger = logging.StreamHandler(said), pooch.get_logger()
    level = logger.level
    logger.addHandler(handler)
    try:
        server.answers = {"/one/file.gz": [WRONG], "/two/file.gz": [BODY]}
        source.fetch("file.gz", tmp_path)
    finally:
        logger.removeHandler(handler)
    assert said.getvalue() == ""
    assert logger.level == level


def test_nothing_stays_of_what_went_wrong(server, source, cut, tmp_path):
    server.answers = {"/one/file.gz": [cut(BODY)], "/two/file.gz": [WRONG]}
    with pytest.raises(DownloadError) as caught:
        source.fetch("file.gz", tmp_path)
    assert str(caught.value) == (
        f"set: the file file.gz could not be downloaded from {server.url('one/')}file.gz (the connection broke off), "
        f"{server.url('two/')}file.gz (another file: its SHA-256 is wrong); save it by hand as "
        f"{tmp_path / 'set' / 'file.gz'}, or use the data set digits, which works offline"
    )
    assert server.asked == ["/one/file.gz", "/two/file.gz"]  # what broke off or is wrong is not asked for twice
    assert left(tmp_path) == []


def test_an_interrupt_leaves_nothing(server, source, tmp_path, monkeypatch):
    server.answers["/one/file.gz"] = [BODY]

    def interrupt(*args):
        assert len(left(tmp_path)) == 1  # a part is there, under another name
        raise KeyboardInterrupt

    monkeypatch.setattr("rich.progress.Progress.advance", interrupt)
    with pytest.raises(KeyboardInterrupt):
        source.fetch("file.gz", tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("damaged", [WRONG, BODY[:-1], BODY + b"\0", b""], ids=["bit", "short", "long", "empty"])
def test_a_damaged_cached_file_is_replaced_and_that_is_said(server, source, tmp_path, damaged):
    server.answers["/one/file.gz"] = [BODY]
    path = tmp_path / "set" / "file.gz"
    path.parent.mkdir()
    path.write_bytes(damaged)
    found = hashlib.sha256(damaged).hexdigest()
    with pytest.warns(UserWarning, match=rf"file.gz is damaged.*SHA-256 is {found}, should be {RIGHT}"):
        source.fetch("file.gz", tmp_path)
    assert path.read_bytes() == BODY
    server.answers.clear()
    path.write_bytes(damaged)
    with pytest.warns(UserWarning, match="is damaged"), pytest.raises(DownloadError, match="save it by hand as"):
        source.fetch("file.gz", tmp_path)


def test_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    source = Source("set", (f"http://127.0.0.1:{closed_port()}/",), {"file.gz": RIGHT})
    with pytest.raises(DownloadError, match=r"file\.gz \(no connection\); .*digits, which works offline"):
        source.fetch("file.gz", tmp_path)
    assert left(tmp_path) == []


def test_behind_a_proxy_that_does_not_answer(tmp_path, monkeypatch):
    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    source = Source("set", ("http://data.invalid/",), {"file.gz": RIGHT})
    with pytest.raises(DownloadError, match=r"data\.invalid/file\.gz \(the proxy cannot be reached\)"):
        source.fetch("file.gz", tmp_path)


def test_a_server_that_keeps_silent(server, source, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT", (1, 0.05))
    server.answers = {"/one/file.gz": [None], "/two/file.gz": [BODY]}
    assert source.fetch("file.gz", tmp_path).read_bytes() == BODY
    server.answers["/two/file.gz"] = [None]
    with pytest.raises(
        DownloadError, match=r"one/file\.gz \(no answer in time\), .*two/file\.gz \(no answer in time\)"
    ):
        source.fetch("file.gz", tmp_path / "other")


def test_a_file_without_end_is_not_waited_for(server, source, drip, tmp_path, monkeypatch):
    """Neither one that is announced as too large, nor one that turns out so, nor one that drips."""
    monkeypatch.setattr(fetch, "LARGEST", len(BODY) - 1)
    server.answers = {"/one/file.gz": [BODY], "/two/file.gz": [404]}
    with pytest.raises(DownloadError, match=rf"one/file\.gz \(more than {len(BODY) - 1} bytes\)"):
        source.fetch("file.gz", tmp_path)
    monkeypatch.setattr(fetch, "LARGEST", len(BODY))
    monkeypatch.setattr(fetch, "DEADLINE", 0.1)
    server.answers = {"/one/file.gz": [drip(BODY)], "/two/file.gz": [BODY]}
    began = time.monotonic()
    assert source.fetch("file.gz", tmp_path).read_bytes() == BODY
    assert time.monotonic() - began < 5
    assert server.asked == [f"/{mirror}/file.gz" for mirror in ("one", "two", "one", "two")]  # and not asked again
    assert left(tmp_path) == ["set/file.gz"]


@pytest.mark.parametrize("obstacle", ["a file for a folder", "a folder for a file", "no permission"])
def test_a_cache_that_cannot_be_used(server, source, tmp_path, monkeypatch, obstacle):
    server.answers["/one/file.gz"] = [BODY]
    cache = tmp_path / "cache"
    if obstacle == "a file for a folder":
        cache.write_text("")
    elif obstacle == "a folder for a file":
        (cache / "set" / "file.gz").mkdir(parents=True)
    else:
        (cache / "set").mkdir(parents=True)

        def refuse(*args, **kwargs):  # a mode would not stop an administrator
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    with pytest.raises(DownloadError) as caught:
        source.fetch("file.gz", cache)
    told = rf"set: {re.escape(str(cache))}\S+file\.gz cannot be read or written \([A-Z][a-z ]+\); name another "
    told += r"folder in the environment variable XDG_CACHE_HOME \(in Python: cache=\), or use the data set digits, .*"
    assert re.fullmatch(told, str(caught.value))


def test_without_a_home_the_cache_can_be_named(source, monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(DownloadError, match=r"no home folder to keep downloads in; name another folder in .*XDG_CACHE"):
        source.fetch("file.gz")


def test_a_full_disk_is_told_from_a_bad_network(server, source, tmp_path, monkeypatch):
    server.answers["/one/file.gz"] = [BODY]

    def full(*args):  # where a piece has just been written
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rich.progress.Progress.advance", full)
    with pytest.raises(DownloadError, match=r"cannot be read or written \(No space left on device\)"):
        source.fetch("file.gz", tmp_path)
    assert left(tmp_path) == []
    assert len(server.asked) == 1  # another mirror would not help


def test_progress_is_shown_on_a_terminal_only(server, source, tmp_path, monkeypatch, capsys):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    server.answers["/one/file.gz"] = [BODY]
    source.fetch("file.gz", tmp_path / "quiet")
    assert "512.0/512.0" not in capsys.readouterr().err
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "100")
    source.fetch("file.gz", tmp_path / "shown")
    shown = capsys.readouterr()
    assert "\x1b[2Kfile.gz " in shown.err  # drawn over its own line
    assert "512.0/512.0 kB" in shown.err
    assert shown.out == ""


def test_the_error_is_public():
    assert data.DownloadError is DownloadError
    assert issubclass(DownloadError, OSError)


def test_all_that_is_missing_is_named_at_once(tmp_path):
    address = f"http://127.0.0.1:{closed_port()}/"
    four = Source("set", (address,), dict.fromkeys("abcd", RIGHT))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "b").write_bytes(BODY)
    with pytest.raises(DownloadError) as caught:
        four.fetch("a", tmp_path)
    assert f"save it by hand as {tmp_path / 'set' / 'a'} and beside it c, d, or use" in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_a_download_may_be_read_by_whom_the_umask_allows(server, source, tmp_path, umask, mode):
    server.answers["/one/file.gz"] = [BODY]
    before = os.umask(umask)
    try:
        path = source.fetch("file.gz", tmp_path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode
