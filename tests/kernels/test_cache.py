"""Compiled code on disk: kept where there is a place, and nobody's trouble where there is none."""

import errno
import os
import subprocess
import sys
import textwrap

import numba
import numpy as np
import pytest
from tinyres_kernels.cpu import cache, jit, turns


def twice(x):
    """A kernel."""
    for i in range(len(x)):
        x[i] *= 2.0


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the cache is: empty."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", "UserProvidedCacheLocator")
    cache._tell.cache_clear()
    yield tmp_path
    cache._tell.cache_clear()


def run():
    """As a new process would: load it or compile it, and call it; returns whether it was loaded."""
    made, x = jit.kept(twice), np.arange(5.0)
    made(x)
    np.testing.assert_array_equal(x, 2 * np.arange(5.0))
    return sum(made.stats.cache_hits.values()) == 1


def file(folder, ending):
    (found,) = folder.rglob(f"*{ending}")
    return found


def test_the_second_time_it_is_loaded(folder, capsys):
    assert [run(), run()] == [False, True]
    assert capsys.readouterr() == ("", "")


def flipped(content):
    """Six bytes in the middle of the code."""
    middle = len(content) // 2
    return content[:middle] + bytes(255 - byte for byte in content[middle : middle + 6]) + content[middle + 6 :]


DAMAGE = {
    "empty": lambda content: b"",
    "one byte": lambda content: content[:1],
    "half": lambda content: content[: len(content) // 2],
    "all but one byte": lambda content: content[:-1],
    "a byte more": lambda content: content + b"\0",
    "six bytes": flipped,
    "the first bytes": lambda content: b"\0" * 40 + content[40:],
    "zeros": lambda content: bytes(len(content)),
    "text": lambda content: b"<html>not found</html>",
    "a pickle of something else": lambda content: __import__("pickle").dumps([1, 2, 3]),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
def test_a_damaged_file_is_compiled_anew_and_heals(folder, capsys, ending, damage):
    run()
    path = file(folder, ending)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    loaded = run()
    said = capsys.readouterr().err
    if ending == ".nbi" and damage == "a byte more":  # behind the pickle: it is read as it was
        assert (loaded, said) == (True, "")
        return
    assert not loaded
    if ending == ".nbi" and damage == "a pickle of something else":  # as an index of another Numba looks
        assert (run(), said) == (True, "")
        return
    assert said.count("\n") == 1
    assert "is damaged, so what it held is compiled anew; the environment variable NUMBA_CACHE_DIR" in said
    assert run(), "it has healed"
    assert capsys.readouterr().err == ""


def test_without_any_folder_it_compiles(folder, capsys, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", os.path.join(os.devnull, "nowhere"))
    assert [run(), run()] == [False, False]
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("tinyres_kernels: there is no folder to keep compiled kernels in")


@pytest.mark.parametrize("call", ["replace", "makedirs"])
def test_on_a_full_disk_it_compiles(folder, capsys, monkeypatch, call):
    run()  # so that the folder is there, and holds another signature
    made, x = jit.kept(twice), np.arange(5, dtype="float32")

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    made(x)
    np.testing.assert_array_equal(x, 2 * np.arange(5))
    made(np.arange(3))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "cannot be kept in" in said
    assert "(No space left on device), so they are compiled anew in every process" in said


def test_what_cannot_be_read_is_compiled(folder, capsys):
    run()
    path = file(folder, ".nbi")
    path.unlink()
    path.mkdir()
    assert not run()
    said = capsys.readouterr().err
    assert "cannot be read" in said or "cannot be kept" in said


@pytest.mark.slow
def test_two_processes_at_once_on_an_empty_cache(tmp_path):
    code = """
        import numpy as np
        from tests.kernels.test_cache import twice
        from tinyres_kernels.cpu.jit import kept
        x, made = np.arange(5.0), kept(twice)
        made(x)
        print(x.sum(), sum(made.stats.cache_hits.values()))
    """
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = sorted(process.communicate(timeout=300) for process in both)
    loaded = turns.fcntl is not None  # one waits for the other; where there are no locks both compile
    assert said == [("20.0 0\n", ""), (f"20.0 {int(loaded)}\n", "")]


def test_a_kernel_of_the_rung_works_without_a_cache():
    """The whole package, in a process of its own; its sums are compiled for this machine, uncached."""
    code = "import tinyres as tr; import numpy as np; x = tr.tensor(np.ones((300, 300), 'f4')); print(tr.relu(x).sum())"
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": os.path.join(os.devnull, "nowhere"),
        "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator",
    }
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "90000" in ran.stdout
    assert ran.stderr.count("\n") == 1
    assert "no folder to keep compiled kernels in" in ran.stderr
