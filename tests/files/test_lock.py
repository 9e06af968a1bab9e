"""One run a folder: two that are alive never share one, and a dead one's is in nobody's way."""

import errno
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest

from tinyres.cli import main
from tinyres.cli.common import make_folder
from tinyres.lock import NAME, FolderLock, FolderTaken

fcntl = pytest.importorskip("fcntl")
pytestmark = pytest.mark.usefixtures("sketched")

HOLDS = """
    import sys, time
    from pathlib import Path
    from tinyres.lock import FolderLock, FolderTaken
    try:
        lock = FolderLock(Path(sys.argv[1]))
    except FolderTaken:
        print("taken", flush=True)
    else:
        print("held", flush=True)
        time.sleep(60)
"""
TRAIN = ("train", "mlp", "--steps", "1")
COMMANDS = {
    "train": TRAIN,
    "gan": ("gan", "train", "--data", "ring8", "--width", "4", "--steps", "1", "--no-score"),
    "sweep": ("sweep", "--arch", "mlp", "--steps", "1", "--jobs", "1"),
}


def holder(folder):
    """A process that tries to hold the folder, and what it said of that."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDS), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_a_folder_has_one_holder_at_a_time(tmp_path):
    with FolderLock(tmp_path) as lock:
        assert lock.held
        with pytest.raises(
            FolderTaken, match=rf"into {tmp_path} \(process {os.getpid()} on .+\): wait for it, or choose"
        ):
            FolderLock(tmp_path)
    with FolderLock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_second_run_in_a_folder_is_told_of_the_first_until_that_is_dead(capsys, tmp_path, command):
    arguments = [*COMMANDS[command], "--out", str(tmp_path)]
    with holder(tmp_path) as first:
        assert first.stdout.readline() == "held\n"
        assert main(arguments) == 2
        err = capsys.readouterr().err
        called = {"gan": "gan train"}.get(command, command)
        assert err.startswith(f"tinyres {called}: another run is writing into {tmp_path} (process {first.pid} on ")
        assert err.count("\n") == 1
        assert [path.name for path in tmp_path.iterdir()] == [NAME]
        first.kill()
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert NAME not in out
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_of_many_that_come_at_once_one_holds_it(tmp_path):
    processes = [holder(tmp_path) for _ in range(4)]
    try:
        assert sorted(process.stdout.readline() for process in processes) == ["held\n", *["taken\n"] * 3]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_a_lock_that_goes_while_another_looks_at_it_is_not_taken_for_its_own(tmp_path, monkeypatch):
    """The second opens the file, the first ends and removes it, a third makes another: the second is late."""
    first, flock, others = FolderLock(tmp_path), fcntl.flock, []

    def late(handle, how):
        if first.held:
            first.close()
            others.append(FolderLock(tmp_path))
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(FolderTaken):
        FolderLock(tmp_path)
    others[0].close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_system_without_locks_is_told_and_no_hindrance(capsys, tmp_path, monkeypatch, command):
    def without(*_):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(fcntl, "flock", without)
    another = tmp_path / ".tinyres-01.tmp"
    another.touch()  # it may be a live run's
    assert main([*COMMANDS[command], "--out", str(tmp_path)]) == 0
    assert f"the file system of {tmp_path} has no locks: make sure" in capsys.readouterr().out
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == [another]


def test_what_a_killed_run_left_half_written_goes_and_nothing_else(tmp_path):
    orphans = [tmp_path / ".tinyres-01.tmp", tmp_path / "samples" / ".tinyres-02.tmp"]
    others = [tmp_path / "tinyres.tmp", tmp_path / "samples" / "a.png", tmp_path / "mine" / ".tinyres-03.tmp"]
    for path in (*orphans, *others):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    with FolderLock(tmp_path, "samples"):
        pass
    assert [path.exists() for path in orphans] == [False, False]
    assert all(path.exists() for path in others)


def test_many_may_make_the_same_folder_at_once(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        for made in [pool.submit(make_folder, tmp_path / f"{i // 40}") for i in range(400)]:
            made.result()
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(map(str, range(10)))
