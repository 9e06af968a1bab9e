"""Files from the network: known by their SHA-256, kept in a cache, and there as a whole or not at all."""

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

TIMEOUT = (5.0, 30.0)  # seconds: to be connected, and from one piece of an answer to the next
DEADLINE = 1800.0  # seconds for a whole file: 170 MB, the largest, at 100 kB a second
LARGEST = 2**28  # bytes
ROUNDS = 2  # a server that did not answer in time is asked once more, after all the others
CHUNK = 1 << 16


class DownloadError(OSError):
    """A file is not in the cache, and could not be brought there; the message says where to put it by hand."""


class Refused(Exception):
    """What a server sends is not waited for to its end."""


@dataclass(frozen=True)
class Source:
    """Files that several servers offer under the same names.

    Args:
        name: of the data set; its files lie in the cache's folder of that name.
        mirrors: addresses that a file's name is appended to, the preferred one first.
        sha256: of each file, by its name. It decides what is the right file, so a mirror need not be trusted.
    """

    name: str
    mirrors: tuple[str, ...]
    sha256: Mapping[str, str]

    def fetch(self, file: str, cache: PathLike | None = None) -> Path:
        """The path of a file whose SHA-256 is right: one from the cache, or else one downloaded into it.

        A download gets its name only after its SHA-256 was found right, so whatever interrupts it, a later run finds
        either the right file or none. A cached file is checked each time; a wrong one is replaced, with a warning.

        Args:
            file: a key of `sha256`.
            cache: the folder for all data sets; None is the platform's own for caches, such as ~/.cache/tinyres.

        Raises:
            DownloadError: no mirror gave the file, or the cache cannot be read or written.
            ImportError: pooch is missing, and needed.
        """
        path = (default_cache() if cache is None else Path(cache).expanduser()) / self.name / file
        try:
            found = _sha256(path) if path.is_file() else None
            if found == self.sha256[file]:
                return path
            if found is not None:
                warnings.warn(
                    f"{path} is damaged or another file: its SHA-256 is {found}, {self.sha256[file]} is needed; "
                    "it is downloaded again",
                    stacklevel=2,
                )
            failures = self._retrieve(file, path)
        except OSError as error:
            # pooch wraps a refused permission in sentences of its own
            reason = error.__cause__ if isinstance(error.__cause__, OSError) else error
            raise DownloadError(
                f"{self.name}: {path} cannot be read or written ({reason.strerror or reason}); pass a folder that can "
                "be as cache, or take the data set digits, which needs none"
            ) from error
        if failures:
            tried = ", ".join(f"{url} ({reason})" for url, reason in failures.items())
            others = [name for name in self.sha256 if name != file and not path.with_name(name).is_file()]
            beside = f" and beside it {', '.join(others)}" if others else ""
            raise DownloadError(
                f"{self.name}: the file {file} could not be downloaded from {tried}; save it by hand as "
                f"{path}{beside}, or take the data set digits, which works offline"
            )
        return path

    def _retrieve(self, file: str, path: Path) -> dict[str, str]:
        """Put the file at `path`; if that fails, say why for each address. Only the disk's own errors are raised."""
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
                except requests.RequestException as error:  # before OSError, which it is a kind of
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
    """The platform's own folder for our caches: the one that pooch names, found without pooch."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return Path(local) / "tinyres" / "tinyres" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tinyres"
    named = os.environ.get("XDG_CACHE_HOME", "").strip()
    return (Path(named) if named else Path.home() / ".cache") / "tinyres"


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Inside, it tells errors only: what it would say of a download, the bar and our own sentences say."""
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
    """A few words for what `requests` tells in a nest of exceptions."""
    from requests import exceptions

    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return f"answers {error.response.status_code} {error.response.reason}"
    words = [  # the special before the general
        (exceptions.ProxyError, "the proxy cannot be reached"),
        (exceptions.SSLError, "its certificate is not accepted"),
        (exceptions.Timeout, "no answer in time"),
        (exceptions.ChunkedEncodingError, "the connection broke off"),
        (exceptions.ConnectionError, "no connection"),
    ]
    return next((text for kind, text in words if isinstance(error, kind)), type(error).__name__)


def _download(url: str, part: str, _: Any) -> None:
    """Fetch `url` into the file `part`: a downloader for pooch, which has one, but one that leaves connections open."""
    import requests

    os.unlink(part)  # pooch made it for one reader only; anew it has the mode that the user's umask allows
    until, room = time.monotonic() + DEADLINE, LARGEST
    plain = {"Accept-Encoding": "identity"}  # the bytes that the SHA-256 is of: nothing is inflated on the way
    with open(part, "wb") as file, requests.get(url, headers=plain, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise Refused("leads to an address without https")
        told = response.headers.get("Content-Length", "")
        size = int(told) if told.isdecimal() else None  # a server need not tell it
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
    """What has come, up to CHUNK bytes; not `iter_content`, which waits for all of them, however slowly they drip."""
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
    """A bar where standard error is a terminal, and nothing elsewhere."""
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
