"""`python -m tinyres_kernels`."""

import builtins
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tinyres_kernels import __main__ as command
from tinyres_kernels import conformance, reference

MODULE = """
from tinyres_kernels import im2col

conv2d = im2col.conv2d
version = 3


def without_padding(x, w, out, s):
    im2col.conv2d(x, w, out, s)
    if any(s.padding):
        out[:, 0] = 0
    return out
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    name = f"kernels_of_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / "broken_kernels.py").write_text("import nothing_of_that_name")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("HYPOTHESIS_STORAGE_DIRECTORY")  # as a user runs it
    return name


@pytest.mark.slow
def test_the_command_as_a_process(folder):
    run = [sys.executable, "-m", "tinyres_kernels", "check", f"{folder}:without_padding", "--op", "conv2d"]
    ran = subprocess.run([*run, "--examples", "20", "--verbose"], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (1, "")
    for words in (f"{folder}:without_padding as conv2d: DOES NOT CONFORM", "FAIL  padding", "ok    plain", "oh=0",
                  "every failing case has padding > 0", f"from {folder} import without_padding as kernel"):  # fmt: skip
        assert words in ran.stdout
    assert not Path(".hypothesis").exists(), "it leaves nothing behind"


def test_the_command_says_yes(folder, capsys):
    assert command.main(["check", f"{folder}:conv2d", "--op", "conv2d", "--examples", "3", "--dtype", "float32"]) == 0
    out = capsys.readouterr().out
    assert "as conv2d: conforms" in out
    assert "of 3 drawn cases none does" in out
    assert "FAIL" not in out


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("mymodule", "got 'mymodule', needed MODULE:FUNCTION"),
        ("no_such_module:conv2d", "no_such_module could not be imported: ModuleNotFoundError"),
        ("broken_kernels:conv2d", "No module named 'nothing_of_that_name'"),
        ("{folder}:conv3d", "has no conv3d; did you mean conv2d? it has conv2d, without_padding"),
        ("{folder}:conv2d.py", "after the colon comes the function, before it the module or its file"),
        ("no_such_folder/k.py:conv2d", "there is no file no_such_folder/k.py, and no folder no_such_folder"),
        ("./broken_kernel.py:conv2d", "did you mean ./broken_kernels.py?"),
        ("./broken_kernels:conv2d", "did you mean ./broken_kernels.py:conv2d?"),
        ("{folder}:version", "is of type int, needed a function"),
    ],
)
def test_the_command_says_what_it_could_not_run(folder, capsys, place, said):
    assert command.main(["check", place.format(folder=folder), "--op", "conv2d"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("arguments", ["", "check m:f", "check m:f --op conv3d", "check m:f --op conv2d --examples -1"])
def test_arguments_that_do_not_parse_are_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit:
        command.main(arguments.split())
    assert exit.value.code == 2
    assert "--help says more)" in capsys.readouterr().err


README = Path(__file__).parents[3] / "README.md"


def readme():
    """The block with the example, and the command after it."""
    text = README.read_text()
    block = re.search(r"```python\n([^`]*def my_conv2d.*?)```", text, re.DOTALL)
    command = re.search(r"^    python (-m tinyres_kernels check mymodule:.*)$", text[block.end() :], re.MULTILINE)
    return block[1], command[1]


def test_the_example_of_the_readme_runs_as_it_stands_and_shows_what_it_promises(tmp_path):
    block, arguments = readme()
    assert block.count("\n") == 9, "the import, two empty lines, six lines"
    (tmp_path / "mymodule.py").write_text(block)
    ran = subprocess.run([sys.executable, *arguments.split()], cwd=tmp_path, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (1, "")
    lines = ran.stdout.splitlines()
    assert lines[:2] == ["conv2d(x, w, out, s)", "  x (N, H, W, C)  w (KH, KW, C/groups, O)  out (N, OH, OW, O)"]
    assert "out is given: fill it" in lines[3]
    first = " ".join(lines[:24])  # a screen: both kinds, first the one that has a picture
    assert "1. dilation > 1: gives wrong" in first
    assert "2. groups > 1: raises an error" in first
    assert "smallest failing example" in first
    assert " X" in first
    assert "It ignores the dilation" in ran.stdout


def test_help_has_the_same_example_and_fits(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        command.main(["check", "--help"])
    shown = capsys.readouterr().out
    block, arguments = readme()
    assert all(line.strip() in shown for line in block.splitlines())
    assert arguments in shown


@pytest.mark.slow
def test_a_layout_a_library_and_files_are_asked_for_on_the_command_line(folder, capsys, tmp_path):
    where = Path(__file__).with_name("own.py")
    Path("own_kernels.py").write_text(where.read_text())
    arguments = ["check", "own_kernels:channels_first", "--op", "conv2d", "--examples", "3", "--dtype", "float64"]
    files = [f"--json={tmp_path / 'r.json'}", f"--junit={tmp_path / 'r.xml'}", f"--png={tmp_path / 'r.png'}"]
    assert command.main([*arguments, "--layout", "nchw", *files]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["conforms"]
    assert not (tmp_path / "r.png").exists(), "there is nothing to draw"
    assert command.main([*arguments, *files]) == 1
    out, err = capsys.readouterr()
    assert "run the check with --layout nchw" in " ".join(out.split())
    assert "r.png was not drawn: no element is wrong" in err, "it raises"
    assert command.main([arguments[0], "own_kernels:last_row", *arguments[2:], *files]) == 1
    assert (tmp_path / "r.png").stat().st_size > 1000
    for wrong, said in (
        (["--arrays", "no_such_library"], "needs the library no_such_library"),
        (["--json", "nowhere/r.json"], "cannot write nowhere/r.json: there is no folder"),
    ):
        assert command.main([*arguments, *wrong]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.slow
def test_who_stops_reading_gets_no_traceback_and_every_file(folder):
    check = f"check {folder}:without_padding --op conv2d --examples 0 --json r.json"
    run = f"{sys.executable} -m tinyres_kernels {check} | head -1"
    ran = subprocess.run(run, shell=True, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("conv2d(x, w, out, s)\n", "")
    assert not json.loads(Path("r.json").read_text())["conforms"]
    assert not [path for path in Path().iterdir() if path.name.startswith("r.json") and path.name != "r.json"]


def test_the_command_lists_operations_and_named_cases(capsys):
    assert command.main(["list"]) == 0
    assert capsys.readouterr().out.splitlines() == list(conformance.OPS)
    for arguments in (["list", "conv2d"], ["list", "--op", "conv2d"]):
        assert command.main(arguments) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "conv2d(x, w, out, s)"
        assert "  s: s.stride, s.padding, s.dilation, s.groups; pairs are vertical, horizontal" in lines
        assert {"    depthwise", "    257 channels"} <= set(lines)


def test_list_says_what_the_arrays_hold(capsys):
    """The equations of the reference: which keys a causal query sees, which variance a running one moves towards."""
    for op in conformance.OPS:
        assert command.main(["list", op]) == 0
        text = capsys.readouterr().out
        told = inspect.getdoc(getattr(reference, op))
        assert told
        assert all(f"  {line}".rstrip() in text.splitlines() for line in told.splitlines())
    assert command.main(["list", "batch_norm"]) == 0
    assert "variance M / (M - 1)" in capsys.readouterr().out


def test_without_hypothesis_one_line_says_what_to_install(monkeypatch, capsys):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "hypothesis":
            raise ModuleNotFoundError("No module named 'hypothesis'", name="hypothesis")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "tinyres_kernels.conformance")
    monkeypatch.delattr("tinyres_kernels.conformance")
    assert command.main(["list"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "tinyres_kernels: tinyres_kernels.conformance draws its cases with hypothesis, which is missing: "
        "pip install 'tinyres[conformance]'"
    ]


def test_nothing_is_left_in_the_users_folder(folder, tmp_path):
    before = {path.name for path in tmp_path.iterdir()}
    root = Path(__file__).parents[3]
    command_line = ["check", f"{folder}:conv2d", "--op", "conv2d", "--examples", "3"]
    done = subprocess.run(
        [sys.executable, "-m", "tinyres_kernels", *command_line],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [root / "kernels", root]))},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in tmp_path.iterdir()} - before <= {"__pycache__"}
