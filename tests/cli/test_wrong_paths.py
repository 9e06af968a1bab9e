"""What the command line says of files that are wrong: one line, with the reader's own name, and status 2."""

import errno
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tinyres.cli import flow, main, reading


def told(capsys, *words):
    status = main([str(word) for word in words])
    err = capsys.readouterr().err
    assert status == 2
    assert err.count("\n") == 1
    return err


def test_an_archive_is_no_program(capsys, tmp_path):
    with zipfile.ZipFile(tmp_path / "ckpt.pt", "w") as archive:
        archive.writestr("data.pkl", "x")
    assert "ckpt.pt is not a Python file" in told(capsys, "step", tmp_path / "ckpt.pt")


def test_a_syntax_error_has_its_line_and_no_made_up_file(capsys, tmp_path):
    (tmp_path / "bad.py").write_text("x = 1\ndef f(:\n")
    assert told(capsys, "port", tmp_path / "bad.py").endswith("bad.py: is not Python: line 2: invalid syntax\n")


@pytest.mark.parametrize("words", [("copy",), ("run", "01", "--figures")])
def test_a_folder_that_cannot_be_one_names_an_option_that_exists(capsys, tmp_path, words):
    (tmp_path / "file").write_text("")
    err = told(capsys, "tutorials", *words, tmp_path / "file")
    assert "file is not a folder; choose another one" in err
    assert "--out" not in err


def test_a_device_is_refused_without_an_inner_name(capsys):
    assert "--device: no device called 'mps'" in told(capsys, "train", "resnet", "--device", "mps")


@pytest.mark.parametrize(
    "line", ["port b.py --force --out old", "step a.py --html old", "tutorials results . --csv old", "tutorials copy ."]
)
def test_a_full_disk_says_how_to_go_on_and_leaves_what_was_there(line, capsys, monkeypatch, tmp_path):
    def full(handle):
        if len(list(Path().glob("0*.py"))) in (0, 3):  # of the tutorials, three fit
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.chdir(tmp_path)
    Path("a.py").write_text("import tinyres as tr\nloss = tr.ones(1, requires_grad=True).sum()\n")
    Path("b.py").write_text("import torch\ntorch.zeros(2)\n")
    Path("old").write_text("kept")
    monkeypatch.setattr(os, "fsync", full)
    if line.startswith("tutorials copy"):
        Path("00_mine.py").write_text("kept")
    before = {path: path.read_text() for path in Path().iterdir()}
    assert main(line.split()) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    called = " ".join(line.split()[: 2 if line.startswith("tutorials") else 1])
    assert err.startswith(f"tinyres {called}: cannot write ")
    assert err.endswith(": No space left on device; free some space, and repeat the command")
    assert {path: path.read_text() for path in Path().iterdir()} == before


def test_a_package_that_breaks_when_it_is_imported_is_named(capsys, monkeypatch):
    def broken(arguments):
        raise ImportError("libpng.so.16: cannot open shared object file", name="matplotlib.ft2font")

    monkeypatch.setattr(flow, "run", broken)
    err = told(capsys, "flow", "--list")
    assert err.endswith("object file: install it anew, pip install --force-reinstall matplotlib\n")


def test_ctrl_c_is_heeded_before_anything_long_is_imported():
    code = "import sys; sys.orig_argv[1:] = ['-m', 'tinyres']; sys.modules['numpy'] = None\ntry: import tinyres\n"
    code += "except ImportError: pass\nprint('tinyres.starting' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "True\n"


def test_ctrl_c_at_a_guess_leaves_no_traceback(monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(reading, "read", stopped)
    monkeypatch.setattr(sys, "argv", ["reading", "01.py"])
    with pytest.raises(SystemExit) as ended:
        reading.main()
    assert ended.value.code == 130
