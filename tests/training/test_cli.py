"""`tinyres train` as a user types it."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from tinyres_kernels import cpu

import tinyres as tr
from tinyres.cli import main

pytestmark = pytest.mark.usefixtures("sketched")

UNDRAWN = Path(__file__).parent / "distributed" / "undrawn.py"
SMALL = ("resnet", "--depth", "8", "--width", "2", "--batch-size", "400", "--lr", "0.05")


def train(capsys, *arguments):
    status = main(["train", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def test_a_run_leaves_weights_curves_and_figures(capsys, tmp_path):
    status, out, _ = train(capsys, *SMALL, "--steps", 6, "--record", 2, "--out", tmp_path)
    assert status == 0
    assert "accuracy" in out
    used = [f"{0.05 * (1 + math.cos(math.pi * t / 6)) / 2:.2g}" for t in (2, 5)]  # of the step before, not of the next
    assert re.findall(r"step +(\d+)  lr (\S+)", out) == [("3", used[0]), ("6", used[1])]
    written = sorted(path.name for path in tmp_path.iterdir())
    pages = ["flow.json", "model.safetensors", "result.json", "run.html", "run.safetensors"]
    pictures = ["flow-dark.png", "flow.png", "training-dark.png", "training.png"]
    assert written == sorted([*pages, *pictures])
    result = json.loads((tmp_path / "result.json").read_text())
    assert len(result["train_loss"]) == result["steps"] == 6
    assert [score["step"] for score in result["scores"]] == [3, 6]
    found = json.loads((tmp_path / "flow.json").read_text())
    assert found["labels"]["step"] == [0, 2, 4]
    page = (tmp_path / "run.html").read_text()
    assert '"steps":[0,2,4]' in page.replace(" ", "")
    model = tr.load(tmp_path / "model.safetensors")
    assert model["head.2.weight"].shape == (10, 8)


@pytest.mark.slow
def test_a_killed_run_goes_on_bit_for_bit(capsys, tmp_path):
    """The process is killed while it runs (it cannot clean up); the run that goes on ends as one never stopped."""
    arguments = [*SMALL, "--steps", "60", "--save-every", "1"]
    command = [sys.executable, "-m", "tinyres.cli", "train", *arguments, "--out", str(tmp_path / "killed")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "killed" / "run.safetensors").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    about = json.loads(tr.load_metadata(tmp_path / "killed" / "run.safetensors")["run"])
    assert 0 < about["step"] < 60, "the kill came too late to test anything"
    status, out, _ = train(capsys, *arguments, "--resume", "--out", tmp_path / "killed")
    assert status == 0
    assert "resuming from step" in out
    train(capsys, *arguments, "--out", tmp_path / "whole")
    whole, killed = (tr.load(tmp_path / name / "run.safetensors") for name in ("whole", "killed"))
    assert set(whole) == set(killed)
    for name in whole:
        np.testing.assert_array_equal(whole[name], killed[name], err_msg=name)


@pytest.mark.slow
def test_the_kernels_of_the_first_steps_can_be_checked(capsys, tmp_path, monkeypatch):
    """That changes no bit; a wrong kernel ends the run where it is first seen, and later nobody looks."""
    train(capsys, *SMALL, "--steps", 6, "--out", tmp_path / "plain")
    status, out, _ = train(capsys, *SMALL, "--steps", 6, "--check-kernels", 2, "--out", tmp_path / "checked")
    assert status == 0
    assert "checking the kernels of the first 2 steps against im2col in float64" in out
    plain, checked = (tr.load(tmp_path / name / "model.safetensors") for name in ("plain", "checked"))
    for name in plain:
        np.testing.assert_array_equal(plain[name], checked[name], err_msg=name)

    right, calls = cpu.cross_entropy_dx, []

    def wrong_from_the_third_on(g, probabilities, target, out):
        calls.append(0)
        right(g, probabilities, target, out)
        out[5, 3] *= 1.5 if len(calls) > 2 else 1
        return out

    monkeypatch.setattr(cpu, "cross_entropy_dx", wrong_from_the_third_on)
    assert train(capsys, *SMALL, "--steps", 3, "--check-kernels", 2, "--out", tmp_path / "unseen")[0] == 0
    calls.clear()
    status, _, err = train(capsys, *SMALL, "--steps", 3, "--check-kernels", 3, "--out", tmp_path / "seen")
    assert status == 1
    assert err.startswith(
        "tinyres train: tinyres_kernels.cpu.cross_entropy_dx [loop: one thread] in float32 of g (400,)"
    )
    assert "1 of 4000 elements are wrong, the worst at [5, 3]" in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_control_c_finishes_the_step_and_saves(tmp_path):
    command = [sys.executable, str(UNDRAWN), "train", *SMALL, "--epochs", "5000", "--out", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, env=environment, **streams) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "run.safetensors").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume continues" in out
    assert "Traceback" not in out
    about = json.loads(tr.load_metadata(tmp_path / "run.safetensors")["run"])
    assert about["step"] == len(json.loads((tmp_path / "result.json").read_text())["train_loss"])


def test_a_folder_that_holds_a_run_is_not_overwritten(capsys, tmp_path):
    train(capsys, *SMALL, "--steps", 1, "--out", tmp_path)
    before = (tmp_path / "run.safetensors").read_bytes()
    status, _, err = train(capsys, *SMALL, "--steps", 1, "--out", tmp_path)
    assert status == 2
    assert "already holds a run: resume it (--resume), or choose" in err
    status, _, err = train(capsys, *SMALL, "--steps", 2, "--resume", "--out", tmp_path)
    assert status == 2
    assert "a run of another recipe (steps is 1 there and 2 here); a run cannot be lengthened" in err
    assert (tmp_path / "run.safetensors").read_bytes() == before


def test_going_on_needs_no_setting_again(capsys, tmp_path):
    train(capsys, *SMALL, "--steps", 1, "--seed", 3, "--out", tmp_path)
    recipe = json.loads((tmp_path / "result.json").read_text())["recipe"]
    status, out, _ = train(capsys, "resnet", "--resume", "--out", tmp_path)
    assert status == 0
    said = "depth 8, width 2, steps 1, batch_size 400, lr 0.05, seed 3\n"
    assert f"resuming from step 1 of 1: resnet on digits, {said}" in out
    assert f"wrote {tmp_path / 'result.json'}\n" in out
    assert json.loads((tmp_path / "result.json").read_text())["recipe"] == recipe
    for other in (("plain",), ("resnet", "--lr", "0.1"), ("resnet", "--seed", "0"), ("resnet", "--data", "mnist")):
        status, _, err = train(capsys, *other, "--resume", "--out", tmp_path)
        assert (status, "a run of another recipe" in err, err.count("\n")) == (2, True, 1)


def test_a_run_that_diverges_says_so_and_keeps_what_it_has(capsys, tmp_path):
    status, out, _ = train(capsys, "mlp", "--steps", 20, "--lr", "1e6", "--out", tmp_path)
    assert status == 1
    assert "diverged" in out
    assert "is too high; try a tenth, lr=" in out
    assert json.loads((tmp_path / "result.json").read_text())["steps"] < 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rasnet",), "no architecture called 'rasnet'; did you mean resnet"),
        (("resnet", "--depth", "0"), "depth must be 6 n + 2"),
        (("resnet", "--data", "imagenet"), "no data set called 'imagenet'"),
        (("resnet", "--lr", "-1"), "lr must be at least 0, got -1"),
        (("resnet", "--steps", "2", "--epochs", "2"), "--steps 2 and --epochs 2 both say how long"),
        (("resnet", "--init", "he"), "no init called 'he'"),
        (("resnet", "--record", "0"), "--record 0: at least 1"),
        (("resnet", "--check-kernels", "-1"), "--check-kernels -1: a number of steps is needed"),
        (("resnet", "--out", "/proc/nowhere"), "cannot write into /proc/nowhere"),
        (("resnet", "--resume", "--out", "EMPTY"), "there is no EMPTY/run.safetensors to resume from"),
    ],
)
def test_what_cannot_be_run_is_one_sentence(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    status, _, err = train(capsys, *arguments)
    assert status == 2
    assert err.startswith("tinyres train: ")
    assert message in err
    assert err.count("\n") == 1


def test_without_a_network_it_says_which_file_and_that_digits_works(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    status, _, err = train(capsys, "cnn", "--data", "mnist")
    assert status == 2
    (sentence,) = err.splitlines()
    assert sentence.startswith("tinyres train: ")
    assert "train-images-idx3-ubyte.gz" in sentence
    assert "digits" in sentence


def test_what_needs_no_download_needs_no_pooch(capsys, tmp_path, monkeypatch):
    for name in ("pooch", "platformdirs", "requests"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    status, _, err = train(capsys, *SMALL, "--steps", 1, "--out", tmp_path / "run")
    assert (status, err) == (0, "")
    assert main(["sweep", *SMALL[1:], "--steps", "1", "--jobs", "1", "--out", str(tmp_path / "sweep")]) == 0
    capsys.readouterr()
    status, _, err = train(capsys, "cnn", "--data", "mnist", "--out", tmp_path / "mnist")
    assert status == 2
    assert "mnist: downloading needs the package pooch; pip install 'tinyres[lab]'" in err.lower()
    assert not (tmp_path / "mnist").exists()


def test_a_run_that_has_ended_has_nothing_left_to_record(capsys, tmp_path):
    train(capsys, *SMALL, "--steps", 1, "--out", tmp_path)
    status, _, err = train(capsys, *SMALL, "--steps", 1, "--resume", "--record", "--out", tmp_path)
    assert (status, err) == (0, "")
    assert not (tmp_path / "flow.json").exists()


@pytest.mark.parametrize("name", ["run.safetensors", "model.safetensors", "result.json", "training.png", "flow.json"])
def test_a_file_that_cannot_be_written_is_one_sentence(capsys, tmp_path, name):
    (tmp_path / name).mkdir()
    resume = ["--resume"] if name == "run.safetensors" else []
    status, _, err = train(capsys, *SMALL, "--steps", 1, "--record", *resume, "--out", tmp_path)
    assert status == 2
    assert err.startswith("tinyres train: ")
    assert str(tmp_path / name) in err
    assert err.count("\n") == 1


def test_a_file_in_the_place_of_the_folder(capsys, tmp_path):
    (tmp_path / "taken").touch()
    status, _, err = train(capsys, *SMALL, "--steps", 1, "--out", tmp_path / "taken")
    assert (status, err) == (2, f"tinyres train: {tmp_path / 'taken'} is not a folder; choose another one with --out\n")


def test_a_run_of_another_version_is_refused_in_a_sentence(capsys, tmp_path):
    train(capsys, *SMALL, "--steps", 1, "--out", tmp_path)
    path = tmp_path / "run.safetensors"
    texts, arrays = tr.load_metadata(path), tr.load(path)
    arrays["model.gone.weight"] = np.ones(2)
    tr.save(arrays, path, texts)
    status, _, err = train(capsys, *SMALL, "--steps", 1, "--resume", "--out", tmp_path)
    assert status == 2
    assert "does not fit the models and optimisers of this run" in err
    assert "gone.weight" in err


@pytest.mark.slow
def test_a_notebooks_backend_is_no_trouble(tmp_path):
    """`!tinyres train` inherits the variable; the package that it names may be missing."""
    command = [sys.executable, "-m", "tinyres", "train", *SMALL, "--steps", "1", "--out", str(tmp_path)]
    environment = {**os.environ, "MPLBACKEND": "module://there_is_no.such_backend"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")


def test_numbers_are_written_before_pictures(capsys, tmp_path, monkeypatch):
    def fails(figure, description, numbers):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tinyres.files.png", fails)
    status, _, err = train(capsys, *SMALL, "--steps", 2, "--record", 1, "--out", tmp_path)
    assert status == 2
    assert "No space left on device" in err
    assert json.loads((tmp_path / "result.json").read_text())["steps"] == 2
    assert json.loads((tmp_path / "flow.json").read_text())["labels"]["step"] == [0, 1]


def test_the_help_names_every_architecture():
    from tinyres import models
    from tinyres.cli.train import ARCHITECTURES, READERS

    assert list(ARCHITECTURES) == list(models.CLASSIFIERS)
    assert list(READERS) == list(models.READERS)


def test_a_recorded_run_that_diverges_still_gives_its_page(capsys, tmp_path):
    status, out, _ = train(capsys, *SMALL[:-1], "1e9", "--steps", 6, "--record", 1, "--out", tmp_path)
    assert status == 1
    assert "diverged:" in out
    assert (tmp_path / "run.html").exists()


def test_a_divergence_is_a_sentence_and_no_warning_stands_beside_it(capsys, tmp_path):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")  # as errors, which they are to the suite, some would be caught
        status, out, err = train(capsys, "mlp", "--width", 8, "--lr", "1e4", "--steps", 30, "--out", tmp_path)
    assert status == 1
    assert re.search(
        r"diverged: at step \d+ the loss is (nan|inf): .* learning rate .* is too high; try a tenth, lr=1e\+03",
        out,
    )
    assert [str(warning.message) for warning in seen] == []
    assert "Warning" not in out + err
