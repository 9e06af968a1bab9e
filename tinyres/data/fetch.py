"""Downloads: files with a known SHA-256, kept in a cache, and written completely or not at all."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyres.files import PathLike

TIMEOUT = (5.0, 30.0)  # seconds to connect, and between two pieces of a response
DEADLINE = 1800.0  # seconds for a file: the largest has 170 MB, at 100 kB/s
LARGEST = 2**28  # bytes of a file
ROUNDS = 2  # a server that timed out is tried once more, after all the others
CHUNK = 1 << 16


_CHOICE = (
    "name another folder in the environment variable XDG_CACHE_HOME (in Python: cache=), or use the data set digits, "
    "which needs none"
)


class DownloadError(OSError):
    """A file is not in the cache and could not be downloaded; the message says where to put it by hand."""


class Refused(Exception):
    """A download was broken off on our side: too large, too slow, or redirected away from https."""


@dataclass(frozen=True)
class Source:
    """Files that several servers offer under the same names.

    Args:
        name: of the data set, and of its folder in the cache.
        mirrors: base addresses, the preferred one first; a file's name is appended.
        sha256: of each file, by its name. Every download is checked, so a mirror need not be trusted.
    """

    name: str
    mirrors: tuple[str, ...]
    sha256: Mapping[str, str]

    def fetch(self, file: str, cache: PathLike | None = None) -> Path:
        """The path of a file with the right SHA-256, from the cache or downloaded into it.

        A download gets its final name only after the check, so after an interruption there is either the right file or
        none. A cached file is checked each time; a wrong one is replaced, with a warning.

        Args:
            file: a key of `sha256`.
            cache: the folder for all data sets; None is the platform's folder for caches, such as ~/.cache/tinyres.

        Raises:
            DownloadError: no mirror delivered the file, or the cache cannot be read or written.
            ImportError: a download needs pooch, which is missing.
        """
        path = (default_cache() if cache is None else Path(cache).expanduser()) / self.name / file
        try:
            found = _sha256(path) if path.is_file() else None
            if found == self.sha256[file]:
                return path
            if found is not None:
                warnings.warn(
                    f"{path} is damaged or another file: its SHA-256 is {found}, should be {self.sha256[file]}; "
                    "downloading it again",
                    stacklevel=2,
                )
            failures = self._retrieve(file, path)
        except OSError as error:
            # pooch wraps a PermissionError in an error with another message
            reason = error.__cause__ if isinstance(error.__cause__, OSError) else error
            raise DownloadError(
                f"{self.name}: {path} cannot be read or written ({reason.strerror or reason}); {_CHOICE}"
            ) from error
        if failures:
            tried = ", ".join(f"{url} ({reason})" for url, reason in failures.items())
            others = [name for name in self.sha256 if name != file and not path.with_name(name).is_file()]
            beside = f" and beside it {', '.join(others)}" if others else ""
            raise DownloadError(
                f"{self.name}: the file {file} could not be downloaded from {tried}; save it by hand as "
                f"{path}{beside}, or use the data set digits, which works offline"
            )
        return path

    def _retrieve(self, file: str, path: Path) -> dict[str, str]:
        """Download the file to `path`. Returns why each address failed; only errors of the disk are raised."""
        pooch = self._pooch()
        import requests

        failures: dict[str, str] = {}
        hopeful = [mirror + file for mirror in self.mirrors]
        for _ in range(ROUNDS):
            for url in tuple(hopeful):
                try:
                    with _quiet(pooch.get_logger()):
                        pooch.retrieve(url, self.sha256[file], fname=path.name, path=path.parent, downloader=_download)
                    return {}
                except requests.RequestException as error:
                    failures[url] = _reason(error)
                    if not isinstance(error, requests.Timeout):
                        hopeful.remove(url)
                except Refused as error:
                    failures[url] = str(error)
                    hopeful.remove(url)
                except ValueError:
                    failures[url] = "another file: its SHA-256 is wrong"
                    hopeful.remove(url)
        return failures

    def _pooch(self) -> Any:
        try:
            import pooch
        except ImportError as error:
            raise ImportError(
                f"{self.name}: downloading needs the package pooch; pip install 'tinyres[lab]'"
            ) from error
        return pooch


def default_cache() -> Path:
    """The platform's folder for caches: the same as pooch's, found without importing pooch."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local"
        return Path(local) / "tinyres" / "tinyres" / "Cache"
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "tinyres"
    named = os.environ.get("XDG_CACHE_HOME", "").strip()
    return (Path(named) if named else _home() / ".cache") / "tinyres"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:  # no HOME, and a user without an entry, as in some containers
        raise DownloadError(f"there is no home folder to keep downloads in; {_CHOICE}") from error


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Inside the block the logger shows errors only: pooch's messages would repeat our progress bar and errors."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(error: Exception) -> str:
    """A short reason instead of the nested exceptions of `requests`."""
    from requests import exceptions

    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return f"answers {error.response.status_code} {error.response.reason}"
    reasons = [  # subclasses before their base classes
        (exceptions.ProxyError, "the proxy cannot be reached"),
        (exceptions.SSLError, "its certificate is not accepted"),
        (exceptions.Timeout, "no answer in time"),
        (exceptions.ChunkedEncodingError, "the connection broke off"),
        (exceptions.ConnectionError, "no connection"),
    ]
    return next((text for kind, text in reasons if isinstance(error, kind)), type(error).__name__)


def _download(url: str, part: str, _: Any) -> None:
    """Download `url` into the file `part`: a downloader for pooch, whose own leaves connections open."""
    import requests

    os.unlink(part)  # pooch made it readable by its owner only; created anew, it follows the umask
    until, room = time.monotonic() + DEADLINE, LARGEST
    plain = {"Accept-Encoding": "identity"}  # the file's own bytes, which the SHA-256 is of
    with open(part, "wb") as file, requests.get(url, headers=plain, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise Refused("redirects to an address without https")
        told = response.headers.get("Content-Length", "")
        size = int(told) if told.isdecimal() else None  # servers may omit it
        too_large = Refused(f"more than {LARGEST} bytes")
        if size is not None and size > LARGEST:
            raise too_large
        with _progress() as bar:
            task = bar.add_task(url.rpartition("/")[2], total=size)
            while piece := _piece(response):
                file.write(piece)
                bar.advance(task, len(piece))
                room -= len(piece)
                if room < 0:
                    raise too_large
                if time.monotonic() > until:
                    raise Refused(f"not finished after {DEADLINE:g} seconds")


def _piece(response: Any) -> bytes:
    """The bytes that have arrived, up to CHUNK. (`iter_content` would wait for all CHUNK, past the deadline.)"""
    import requests
    from urllib3 import exceptions

    try:
        read = getattr(response.raw, "read1", response.raw.read)  # urllib3 1 has no read1
        return read(CHUNK)  # type: ignore[no-any-return]
    except exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from error
    except exceptions.HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from error


def _progress() -> Any:
    """A progress bar, shown only if standard error is a terminal."""
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    columns = [
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TimeRemainingColumn(),
    ]
    return progress.Progress(*columns, console=console, disable=not console.is_terminal)
