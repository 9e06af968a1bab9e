"""What decides how sums round is kept with a run, and told where it goes on elsewhere; equal runs are equal files."""

import json
import os
import subprocess
import sys

import pytest

import tinyres as tr
from tinyres.cli import main
from tinyres.training.machine import differences, machine, read

TRAIN = ("train", "mlp", "--batch-size", "600", "--steps", "3", "--optimizer", "adam", "--lr", "0.01")
GAN = ("gan", "train", "--data", "ring8", "--width", "4", "--batch-size", "32", "--steps", "2", "--no-score")
FILES = ["run.safetensors", "model.safetensors", "generator.safetensors", "training.png", "samples.png"]
HERE = {"device": "cpu", "cpu": "a kind", "threads": 2, "blas_threads": 2, "processes": 1}


@pytest.mark.parametrize("command", [TRAIN, GAN], ids=["train", "gan"])
@pytest.mark.slow
def test_equal_runs_are_equal_files(tmp_path, command):
    """In two processes, whose hashes differ: texts by name stand in the order of their names, not of a hash."""
    for name in ("one", "other"):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": str(len(name))}
        arguments = [sys.executable, "-m", "tinyres", *command, "--out", str(tmp_path / name)]
        subprocess.run(arguments, env=environment, check=True, capture_output=True)
    written = {path.name for path in (tmp_path / "one").iterdir()} & set(FILES)
    assert len(written) == (3 if command is TRAIN else 4)
    for name in written:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes(), name


def resumed(capsys, command, folder, key, change):
    """The output of a run that goes on from a file whose machine was changed."""
    path = folder / "run.safetensors"
    texts = tr.load_metadata(path)
    about = json.loads(texts[key])
    change(about)
    tr.save(tr.load(path), path, texts | {key: json.dumps(about)})
    assert main([*command, "--resume", "--out", str(folder)]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(("command", "key"), [(TRAIN, "run"), (GAN, "gan")], ids=["train", "gan"])
@pytest.mark.slow
def test_a_run_that_goes_on_with_other_threads_says_so_in_a_line(capsys, tmp_path, command, key):
    assert main([*command, "--out", str(tmp_path)]) == 0
    assert "sums may round" not in capsys.readouterr().out
    assert "sums may round" not in resumed(capsys, command, tmp_path, key, lambda about: None)
    out = resumed(capsys, command, tmp_path, key, lambda about: about["machine"].update(threads=99, cpu="vax"))
    here = machine()
    said = f"(cpu vax there and {here['cpu']} here, threads 99 there and {here['threads']} here), so the result may"
    assert [said in line for line in out.splitlines() if "sums may round" in line] == [True]
    assert "sums may round" not in resumed(capsys, command, tmp_path, key, lambda about: about.pop("machine"))


def test_a_machine_tells_its_threads():
    before = tr.get_num_threads()
    try:
        tr.set_num_threads(1)
        assert machine("cpu", 3)["threads"] == 1
    finally:
        tr.set_num_threads(before)
    assert machine("cpu", 3) | {"cpu": "", "blas_threads": 0} == {
        "device": "cpu", "cpu": "", "threads": before, "blas_threads": 0, "processes": 3,
    }  # fmt: skip


def test_what_differs_is_told_and_what_a_file_lacks_is_not():
    assert differences(HERE, HERE) == differences(None, HERE) == differences({}, HERE) == ""
    there = {"device": "a card", "blas_threads": 4, "colour": "blue"}
    assert differences(there, HERE) == "device a card there and cpu here, blas threads 4 there and 2 here"


@pytest.mark.parametrize("found", [3, "x", [], {"threads": 1.0}, {"threads": None}, {"threads": True}, {"cpu": [1]}])
def test_a_machine_in_a_file_is_not_trusted(found):
    with pytest.raises(ValueError, match=r"its machine is .* texts and whole numbers by name are needed"):
        read(found)
