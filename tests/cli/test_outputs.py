"""Every output of every command is checked before anything long begins, and can be anywhere that is writable."""

import argparse
import errno
import tempfile
from importlib import import_module
from pathlib import Path

import pytest

from tinyres.cli import main, make_parser

FOLDERS = (
    "flow check --out", "train mlp --out", "sweep --arch mlp --depth 3 --out", "gan train --data ring8 --out",
    "gan probe --data gaussians --out", "gan compare --data ring8 --out", "bench kernels --out",
    "bench gpu-report --out", "tutorials copy", "tutorials run 01 --figures",
)  # fmt: skip
FILES = (
    "gan sample RUN --out", "step model.py --html", "port script.py --out", "tutorials results . --csv",
    *(f"bench {kind} --json" for kind in ("engine", "kernels", "resnet", "gan", "r3gan", "gpt", "mpi")),
)  # fmt: skip
INPUTS = ("checkpoint", "file", "folders", "run_folder")
LONG = (  # where the work of a command begins
    "training.prepare", "gan.prepare", "gan.players", "gan.load_generator", "lab.registry.Experiment.run",
    "cli.flow._one_seed", "cli.sweep._grid", "cli.step._traced", "cli.marks.students_of", "cli.tutorials.write",
    "bench.steps.main", "bench.engine.main", "bench.kernels.main", "bench.mpi.main",
)  # fmt: skip


@pytest.fixture
def nothing_begins(monkeypatch, tmp_path):
    def began(*_, **__):
        raise AssertionError("the work began before the output was checked")

    for name in LONG:
        room, _, function = name.rpartition(".")
        try:
            owner = import_module(f"tinyres.{room}")
        except ModuleNotFoundError:
            room, _, kind = room.rpartition(".")
            owner = getattr(import_module(f"tinyres.{room}"), kind)
        monkeypatch.setattr(owner, function, began, raising=False)
    monkeypatch.setattr("subprocess.run", began)
    monkeypatch.setattr("tinyres.cli.bench.on_device", lambda name: None)
    monkeypatch.setattr("tinyres.cli.bench.mpiexec", began)
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text("loss = 1")
    Path("script.py").write_text("import torch\ntorch.zeros(2)\n")
    Path("a file").write_text("kept")
    Path("a folder").mkdir()


def refused(capsys, line, place):
    """The sentence about a place that cannot be written to."""
    before = sorted(Path().rglob("*"))
    assert main([*line.split(), place]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert sorted(Path().rglob("*")) == before, "nothing was made"
    assert Path("a file").read_text() == "kept"
    if line != "tutorials copy":
        assert err.endswith(f" {line.split()[-1]}\n") or f"with {line.split()[-1]}, such as" in err
    return err


@pytest.mark.parametrize("line", FOLDERS)
def test_a_folder_that_cannot_be_one_is_told_at_once(line, capsys, nothing_begins):
    for place in ("a file", "a file/below"):
        assert "a file is not a folder; choose another one" in refused(capsys, line, place)


@pytest.mark.parametrize("line", FILES)
def test_a_file_that_cannot_be_one_is_told_at_once(line, capsys, nothing_begins):
    assert "a folder is a folder; name a file with" in refused(capsys, line, "a folder")
    assert "a file is not a folder; choose another one" in refused(capsys, line, "a file/below")


@pytest.mark.parametrize("line", FOLDERS + FILES)
def test_a_disk_that_takes_nothing_is_told_at_once(line, capsys, monkeypatch, nothing_begins):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    assert "Read-only file system; choose another folder" in refused(capsys, line, "new")


def test_no_output_is_forgotten():
    """An option that is a path, and is not read, has its row above."""
    for parser in all_parsers(make_parser()):
        for action in parser._actions:
            if action.type is Path and action.dest not in INPUTS:
                option = "".join(action.option_strings)
                command = parser.prog.removeprefix("tinyres ")
                assert any(row.startswith(command) and row.endswith(option) for row in FOLDERS + FILES), action


def all_parsers(parser):
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from all_parsers(inner)
