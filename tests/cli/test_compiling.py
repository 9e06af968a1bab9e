"""The person at the terminal is told that kernels are being compiled, and a pipe is not."""

import io
import os
import subprocess
import sys
import time

import pytest
from tinyres_kernels import waiting

from tinyres.cli import common, compiling
from tinyres.cli.compiling import TEXT, Prompt, Watch, shown


class Terminal(io.StringIO):
    def isatty(self):
        return True


def take(watch, seconds, kernels=1):
    for _ in range(kernels):
        watch(True)
        time.sleep(seconds / kernels)
        watch(False)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(compiling, "PATIENCE", 0.05)
    monkeypatch.setattr(compiling, "LINGER", 0.05)
    monkeypatch.setattr(compiling, "EACH", 0.01)


def test_a_short_wait_says_nothing(quick):
    stream = Terminal()
    watch = Watch(stream)
    take(watch, 0.01)
    watch.close()
    assert stream.getvalue() == ""
    assert watch.count == 1


def test_a_terminal_sees_the_count_and_then_a_clean_line(quick):
    stream = Terminal()
    watch = Watch(stream)
    take(watch, 0.3, kernels=3)
    time.sleep(0.2)
    seen = stream.getvalue()
    assert f"\r{TEXT}: 1 in 0 s " in seen
    assert seen.endswith("\r\x1b[K"), "gone as soon as nothing is compiled any more"
    watch.close()
    assert watch.count == 3
    assert 0.3 <= watch.seconds < 3


def test_kernels_that_call_for_others_are_not_counted_twice_in_time():
    watch = Watch(io.StringIO())
    watch(True)
    take(watch, 0.1)
    time.sleep(0.1)
    watch(False)
    watch.close()
    assert watch.count == 2
    assert 0.2 <= watch.seconds < 0.35


def test_a_pipe_gets_one_line_at_the_end(quick, capsys):
    before = waiting.told
    with shown():
        take(waiting.told, 0.2, kernels=2)
        assert capsys.readouterr() == ("", "")
    assert capsys.readouterr() == ("", f"{TEXT}: 2 in 0 s\n")
    assert waiting.told is before
    with shown():
        pass
    assert capsys.readouterr() == ("", "")


def test_bars_on_the_screen_get_one_more(quick):
    rich = pytest.importorskip("rich.console")
    console = rich.Console(file=Terminal(), force_terminal=True, width=80)
    with common.progress(console) as bars:
        bars.add_task("training", total=3)
        watch = Watch(Terminal())
        watch(True)
        time.sleep(0.3)
        assert [task.description for task in bars.tasks] == ["training", TEXT]
        watch(False)
        time.sleep(0.3)
        assert [task.description for task in bars.tasks] == ["training"]
        watch.close()
    assert watch._stream.getvalue() == ""


def test_a_notebook_is_told_once(quick):
    stream = io.StringIO()
    watch = Prompt(stream)
    take(watch, 0.3, kernels=3)
    watch.close()
    assert stream.getvalue() == f"{TEXT} ...\n"


@pytest.mark.slow
def test_a_prompt_is_told_and_a_program_is_not(tmp_path):
    """A kernel is compiled in an empty folder, at a prompt and in a program."""
    code = (
        "import sys; {} import numpy as np, tinyres as tr; from tinyres_kernels import waiting; "
        "from tinyres.cli import compiling; compiling.PATIENCE = 0.0; compiling.EACH = 0.01; "
        "tr.conv2d(tr.tensor(np.ones((1, 1, 5, 5), 'f')), tr.tensor(np.ones((1, 1, 3, 3), 'f')))"
    )
    for start, told in (("sys.ps1 = '>>> ';", True), ("", False)):
        folder = tmp_path / str(told)
        env = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "TINYRES_COMPILE_AHEAD": "0"}
        env["PYTHONPATH"] = os.pathsep.join(sys.path)
        done = subprocess.run([sys.executable, "-c", code.format(start)], capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stderr
        assert (TEXT in done.stderr) is told
