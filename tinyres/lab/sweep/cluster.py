"""Run sweep points on an existing Dask cluster."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import queue
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tinyres.lab.sweep.conduct import Execute, Outcome
from tinyres.lab.sweep.point import Finding, attempt
from tinyres.lab.sweep.results import key
from tinyres.training.recipe import Recipe

SILENCE = 10.0  # seconds without a result before looking for a reason
PULSE = 1.0  # seconds between checks that the scheduler is alive


class ClusterError(RuntimeError):
    """The cluster does not answer, or was lost."""


def dask(address: str, patience: float = 8.0, device: str = "cpu") -> Execute:
    """Run on the workers of the Dask scheduler at `address`, "tcp://host:port", each with tinyres installed.

    If a worker dies, Dask gives its points to another; a point on which several workers died counts as failed.

    Args:
        patience: seconds to wait for the scheduler, and for a first worker.
        device: where each worker computes; on a worker without that device the point fails with a message.

    Raises:
        ValueError: the address is malformed.
        ClusterError: when executed, if no scheduler answers, it has no workers, or it is lost before the end.
    """
    try:
        parts = urlsplit(address)
        complete = bool(parts.scheme and parts.hostname and parts.port)
    except ValueError:
        complete = False
    if not complete:
        raise ValueError(f"an address looks like tcp://host:8786, got {address!r}")

    def execute(recipes: Sequence[Recipe]) -> Generator[Outcome]:
        if recipes:
            with _quiet(), _client(address, patience) as client:
                yield from _run(client, address, recipes, device)

    return execute


@contextmanager
def _client(address: str, patience: float) -> Iterator[Any]:
    from distributed import Client

    try:
        client: Any = Client(address, timeout=patience, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {address}: is it running, and is that the address it printed?"
        ) from error
    try:
        try:
            client.wait_for_workers(1, timeout=patience)
        except TimeoutError as error:
            raise ClusterError(
                f"the scheduler at {address} has no workers: start some, `dask worker {address}`"
            ) from error
        yield client
    finally:
        client.close(timeout=2)


def _run(client: Any, address: str, recipes: Sequence[Recipe], device: str) -> Generator[Outcome]:
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    flying = {}
    for recipe in recipes:
        future = client.submit(attempt, recipe, device, key=f"tinyres-sweep-{device}-{key(recipe)}", pure=True)
        flying[future.key] = recipe, future
        future.add_done_callback(done.put)
    watch = _Watch(client, address)
    while flying:
        try:
            future = done.get(timeout=PULSE)
        except queue.Empty:
            watch.look()
            continue
        recipe, _ = flying.pop(future.key)  # dropping the last reference frees the result on the cluster
        outcome = _outcome(future, watch)
        watch.heard()
        yield recipe, outcome


class _Watch:
    """Whether results still arrive; if none has for a while, says why, once."""

    def __init__(self, client: Any, address: str) -> None:
        self.client, self.address = client, address
        self.heard()

    def heard(self) -> None:
        self.since, self.told = time.monotonic(), ""

    def look(self) -> None:
        if self.client.status != "running":
            raise ClusterError(f"the scheduler at {self.address} is gone")
        if time.monotonic() - self.since > SILENCE:
            why = self._why_silent()
            if why and why != self.told:
                print(f"tinyres sweep: {why}; waiting", file=sys.stderr, flush=True)
            self.since, self.told = time.monotonic(), why

    def _why_silent(self) -> str:
        """What keeps them; "" if there are workers, which may simply be busy."""
        try:
            workers = self.client.sync(self.client.scheduler.identity, callback_timeout=2 * PULSE)["workers"]
        except (TimeoutError, OSError):
            return f"the scheduler at {self.address} does not answer"
        if workers:
            return ""
        return f"the scheduler at {self.address} has no workers left: start some, `dask worker {self.address}`"


def _outcome(future: Any, watch: _Watch) -> Finding | str:
    while True:
        watch.look()
        try:
            found: Finding | str = future.result(timeout=PULSE)
            return found
        except TimeoutError:
            continue  # finished, but its worker died with the result: another worker is to compute it again
        except (concurrent.futures.CancelledError, asyncio.CancelledError) as error:
            raise ClusterError(f"the scheduler at {watch.address} is gone") from error
        except Exception as error:
            if "ModuleNotFoundError" in f"{error!r} {error.__cause__!r}":
                raise ClusterError(f"scheduler and workers need tinyres installed as it is here: {error}") from error
            return f"{type(error).__name__}: {error}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the log of `distributed` when a connection breaks; the error says it in a sentence."""
    import distributed  # noqa: F401  its import sets the levels

    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in ("distributed", "tornado")]
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
