"""`tinyres step`."""

import argparse
import json
import os
import re
import select
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tinyres.cli import main, step
from tinyres.cli.common import UsageError

MODEL = """
import numpy as np
import tinyres as tr
from tinyres import nn

model = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Residual(nn.Linear(2, 2, rng=1)))
x = tr.tensor(np.ones((1, 2), np.float32))

def loss():
    y = model(x)
    return (y * y).sum()

if __name__ == "__main__":
    raise SystemExit("not to be run")
"""


def run(*arguments):
    parser = argparse.ArgumentParser()
    step.add(parser.add_subparsers())
    parsed = parser.parse_args(["step", *map(str, arguments)])
    return parsed.run(parsed)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return path


@pytest.mark.parametrize(
    ("loss", "hinted"), [("loss = (x * 2.0 + 1.0).sum()", True), ("def loss(): return (x * 2.0).sum()", False)]
)
def test_a_finished_graph_is_told_to_have_values_missing(tmp_path, capsys, loss, hinted):
    (tmp_path / "m.py").write_text(f"import tinyres as tr\nx = tr.tensor([1.0, 2.0], requires_grad=True)\n{loss}\n")
    assert run(tmp_path / "m.py") == 0
    told = capsys.readouterr().out
    assert ("not kept" in told) == ("make the loss a function" in told) == hinted


def test_for_two_finished_losses_the_advice_serves_both(tmp_path, capsys):
    head = "import tinyres as tr\nx = tr.tensor([1.0, 2.0], requires_grad=True)\ndef trace(): return tr.trace("
    for given, told in (("(x * 2).sum()", True), ("lambda: (x * 2).sum()", False)):
        (tmp_path / "m.py").write_text(f"{head}D={given}, G={given})\n")
        assert run(tmp_path / "m.py") == 0
        out = capsys.readouterr().out
        assert ("hand over functions: tr.trace(D=lambda: ..., G=lambda: ...)" in out) == told
        assert "def loss" not in out


def test_without_a_terminal_every_event_is_a_line(file, capsys):
    assert run(file) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split()[0]) for line in lines[:-2]] == list(range(1, len(lines) - 1))
    assert sum(line.split()[1] == "forward" for line in lines) == 5
    sources = [line.partition("    model.py:")[2] for line in lines if "    model.py:" in line]
    assert "11  return (y * y).sum()" in sources
    assert all(one != after for one, after in pairwise(sources)), "a line of the file stands where it begins"
    assert any("[skip]" in line for line in lines)
    assert lines[-3].split()[1] == "accumulate"
    assert lines[-2].startswith("trace of loss")
    assert lines[-2].endswith("--html FILE writes a page to step through")
    event = re.match(r"Look first at event (\d+): The routes of .* rejoin: ", lines[-1])
    assert "rejoin" in lines[int(event[1]) - 1]
    assert run(file, "--limit", 3) == 0
    limited = capsys.readouterr().out.splitlines()
    assert limited[:3] == lines[:3]
    assert limited[3] == f"and {len(lines) - 2 - 3} more"


def test_a_tensor_and_a_trace_of_several(tmp_path, capsys):
    path = tmp_path / "m.py"
    path.write_text("import tinyres as tr\nw = tr.tensor(2.0, requires_grad=True)\nloss = w * w\n")
    run(path)
    assert "accumulate  w: g = 2. += g = 2., now g = 4." in capsys.readouterr().out
    path.write_text(
        "import tinyres as tr\nfrom tinyres import viewer\nw = tr.tensor(2.0, requires_grad=True)\nloss = 3\n"
        "def trace():\n    return viewer.trace(D=lambda: w * w, G=lambda: w * 2)\n"
    )
    run(path)
    assert "G: accumulate  w: nothing so far += g = 2." in capsys.readouterr().out


def test_html(file, tmp_path, capsys, monkeypatch):
    target, opened = tmp_path / "out.html", []
    monkeypatch.setattr(step.webbrowser, "open", opened.append)
    assert run(file, "--html", target) == 0
    found = json.loads(re.search(r'id="tinyres-data">(.*?)</script>', target.read_text())[1])
    assert found["title"] == "model.py, step by step"
    assert opened == []
    run(file, "--html", target, "--open")
    assert opened == [target.as_uri()]
    assert run(file, "--html", tmp_path / "new" / "x.html") == 0
    assert (tmp_path / "new" / "x.html").is_file()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", r"m.py defines no `loss` to step through"),
        ("loss = 1\n", r"its `loss` is of type int"),
        ("\n\n1 / 0\n", r"^m.py:3: ZeroDivisionError: division by zero$"),
        ("def loss():\n    x = 1\n    return x / 0\n", r"^m.py:3: ZeroDivisionError"),
        ("def (\n", r"^m.py:1: invalid syntax"),
        ("raise SystemExit(3)\n", r"^m.py:1: SystemExit: 3"),
        ("def loss():\n    return 3\n", r"must return the loss, a tensor of one element"),
        ("def trace():\n    return 3\n", r"trace\(\) must return the result of tr.trace\(...\), it returned int"),
        ("import tinyres as tr\ntr.tensor([1.0]) @ tr.tensor([[1.0], [2.0]])\n", r"^m.py:2: ValueError: matmul"),
    ],
)
def test_errors_are_one_sentence(tmp_path, text, message):
    path = tmp_path / "m.py"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as error:
        run(path)
    assert "\n" not in str(error.value)
    assert str(tmp_path) not in sys.path


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        run(tmp_path / "none.py")
    with pytest.raises(UsageError, match="--limit -1: must not be negative"):
        run(tmp_path / "none.py", "--limit", -1)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_in_a_terminal(file):
    import pty

    master, slave = pty.openpty()
    code = "import sys; from tests.viewer.test_step import run; run(sys.argv[1])"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(file)],
        stdin=slave, stdout=slave, stderr=subprocess.PIPE, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    os.close(slave)
    seen, keys, deadline = b"", [b"n\x1b[15~", b"\x1b[C", b"q"], time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            if not select.select([master], [], [], 1)[0]:
                continue
            try:
                seen += os.read(master, 4096)
            except OSError:  # the other side has closed
                break
            if keys and f"event {4 - len(keys)} of".encode() in seen:
                os.write(master, keys.pop(0))
        assert process.wait(20) == 0, process.stderr.read()
    finally:
        process.kill()
        process.stderr.close()
        os.close(master)
    assert b"event 3 of" in seen
    assert b"does nothing here" in seen
    assert b"no key" not in seen, "a special key is read as a whole"


def test_a_mistyped_file_is_answered_with_what_is_near(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text("loss = 1")
    for given, told in (
        ("modle.py", "there is no file modle.py; did you mean model.py?"),
        (".", ". is a folder; name"),
    ):
        assert main(["step", given]) == 2
        assert told in capsys.readouterr().err
