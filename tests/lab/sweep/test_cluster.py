"""On a Dask cluster: a scheduler and two workers, processes of their own, on loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from types import SimpleNamespace

import pytest

from tinyres.cli import main
from tinyres.lab import sweep
from tinyres.lab.sweep import Results, cluster, local

pytest.importorskip("distributed")


@contextmanager
def started(module, *arguments):
    """A process that does not outlive the block."""
    command = [sys.executable, "-m", f"distributed.cli.{module}", "--host", "127.0.0.1", "--no-dashboard", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def dask_cluster(tmp_path):
    """(address, scheduler, [worker, worker])"""
    file = str(tmp_path / "scheduler.json")
    worker = ("--scheduler-file", file, "--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path))
    with ExitStack() as stack:
        scheduler = stack.enter_context(started("dask_scheduler", "--port", "0", "--scheduler-file", file))
        workers = [stack.enter_context(started("dask_worker", *worker)) for _ in range(2)]
        deadline = time.monotonic() + 60
        while True:
            assert time.monotonic() < deadline
            assert scheduler.poll() is None
            try:
                address = json.loads((tmp_path / "scheduler.json").read_text())["address"]
                break
            except (FileNotFoundError, ValueError):
                time.sleep(0.02)
        yield address, scheduler, workers


def wait_for_workers(address, count):
    from distributed import Client

    with Client(address, timeout=30, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=60)


@pytest.mark.slow
def test_a_cluster_that_loses_its_workers_and_then_its_scheduler(
    dask_cluster, tiny, tmp_path, table, capsys, monkeypatch
):
    address, scheduler, workers = dask_cluster
    recipes = tiny({"depth": [3, 5], "init": ["default", "orthogonal"], "seed": range(6)}, steps=20)
    for name in ("serial", "cluster"):
        (tmp_path / name).mkdir()
    with Results(tmp_path / "serial" / "sweep.csv") as results:
        sweep.sweep(recipes, results, local.here)

    wait_for_workers(address, 2)
    finished = []

    def kill_one():
        finished.append(1)
        if len(finished) == 3:
            os.kill(workers[0].pid, signal.SIGKILL)
            workers[0].wait(timeout=20)

    with Results(tmp_path / "cluster" / "sweep.csv") as results:
        assert sweep.sweep(recipes, results, cluster.dask(address, patience=30), kill_one) == {}
    assert len(finished) == len(recipes) == 24
    assert table(tmp_path / "cluster") == table(tmp_path / "serial")

    # the other worker goes, too, and then the scheduler: each is said, and what is finished is kept
    monkeypatch.setattr(cluster, "SILENCE", 2.0)
    more, came, said = tiny({"seed": range(30)}, steps=300), [], []

    def next_trouble():
        came.append(1)
        if len(came) == 1:
            os.kill(workers[1].pid, signal.SIGKILL)
            threading.Thread(target=watch, daemon=True).start()

    def watch():
        """The two sentences, one after the other; then the scheduler is gone, which ends the sweep."""
        for sentence, then in (("has no workers left", signal.SIGSTOP), ("does not answer", signal.SIGKILL)):
            deadline = time.monotonic() + 60
            while sentence not in "".join(said) and time.monotonic() < deadline:
                time.sleep(0.05)
            os.kill(scheduler.pid, then)

    monkeypatch.setattr(cluster, "print", lambda text, **_: said.append(text), raising=False)
    with Results(tmp_path / "cluster" / "sweep.csv") as results:
        with pytest.raises(cluster.ClusterError, match=f"scheduler at {address} is gone"):
            sweep.sweep(more, results, cluster.dask(address, patience=30), next_trouble)
        assert 1 <= len(came) < len(more)
        assert sum(recipe in results for recipe in more) == len(came)
    assert said == [
        f"tinyres sweep: the scheduler at {address} has no workers left: start some, `dask worker {address}`; waiting",
        f"tinyres sweep: the scheduler at {address} does not answer; waiting",
    ]
    assert "distributed" not in capsys.readouterr().err


class LostFuture:
    """Its result was lost with a worker, and is there again at the third look."""

    looks = 0

    def result(self, timeout):
        self.looks += 1
        if self.looks < 3:
            raise TimeoutError
        return "found"


def scheduler(workers, status="running"):
    """What a client knows of one."""
    return SimpleNamespace(
        status=status, scheduler=SimpleNamespace(identity=None), sync=lambda *_, **__: {"workers": workers}
    )


def test_a_result_that_was_lost_is_waited_for_while_there_is_a_scheduler():
    assert cluster._outcome(LostFuture(), cluster._Watch(scheduler(["one"]), "tcp://there:1")) == "found"
    with pytest.raises(cluster.ClusterError, match="scheduler at tcp://there:1 is gone"):
        cluster._outcome(LostFuture(), cluster._Watch(scheduler([], "connecting"), "tcp://there:1"))


def test_who_waits_for_a_lost_result_says_for_what(monkeypatch, capsys):
    monkeypatch.setattr(cluster, "SILENCE", -1.0)
    cluster._outcome(LostFuture(), cluster._Watch(scheduler([]), "tcp://there:1"))
    said = "tinyres sweep: the scheduler at tcp://there:1 has no workers left: start some, `dask worker tcp://there:1`"
    assert capsys.readouterr().err == said + "; waiting\n"  # once, though it looked three times
    cluster._outcome(LostFuture(), cluster._Watch(scheduler(["one"]), "tcp://there:1"))
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_a_sentence_and_finished_results_are_kept(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "dask", partial(cluster.dask, patience=0.5))
    common = ["sweep", "--arch", "mlp", "--depth", "3", "--width", "4", "--steps", "1", "--out", str(tmp_path)]
    assert main([*common, "--jobs", "1"]) == 0
    before = (tmp_path / "sweep.csv").read_bytes()
    capsys.readouterr()
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        began = time.monotonic()
        status = main([*common, "--seed", "0", "1", "--scheduler", address])
        assert time.monotonic() - began < 20
        err = capsys.readouterr().err
        assert status == 2
        assert err.startswith(f"tinyres sweep: no Dask scheduler answers at {address}: ")
        assert "1 of 2 points are finished and saved" in err
        assert err.count("\n") == 1
        assert (tmp_path / "sweep.csv").read_bytes() == before
        assert main([*common, "--scheduler", address]) == 0  # nothing is left to run: nobody is asked


@pytest.mark.parametrize("address", ["somewhere", "tcp://host", "tcp://:8786", "tcp://host:port", "host:8786"])
def test_an_address_that_is_none(capsys, address):
    assert main(["sweep", "--scheduler", address]) == 2
    assert capsys.readouterr().err == (
        f"tinyres sweep: --scheduler: an address looks like tcp://host:8786, got {address!r}\n"
    )


def test_missing_distributed_is_named(capsys, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "distributed" else find(name))
    assert main(["sweep", "--scheduler", "tcp://127.0.0.1:8786"]) == 2
    assert "needs distributed: pip install 'tinyres[cluster]'" in capsys.readouterr().err
