"""`tinyres gan train` as a user types it."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tinyres_kernels import cpu

import tinyres as tr
from tests.gan.command import PICTURES, SMALL, run
from tests.sketches import sketching
from tests.training.kills import left
from tinyres import gan, training
from tinyres.cli import main

pytestmark = pytest.mark.usefixtures("sketched")


def test_a_run_leaves_weights_pictures_curves_and_its_score(trained):
    written = sorted(path.name for path in trained.iterdir())
    assert written == sorted(["generator.safetensors", *PICTURES, "result.json", "run.safetensors", "samples"])
    assert sorted(path.name for path in (trained / "samples").iterdir()) == ["000002.png", "000004.png"]
    for name in (*PICTURES, "samples/000002.png"):
        assert (trained / name).read_bytes().startswith(b"\x89PNG")
    result = json.loads((trained / "result.json").read_text())
    assert {name: len(column) for name, column in result["history"].items()} == dict.fromkeys(gan.StepRecord._fields, 4)
    assert set(result["score"]["figures"]) == {"modes", "high_quality", "reverse_kl"}
    recipe, generator = gan.load_generator(trained / "run.safetensors")
    assert result["recipe"] == recipe.to_json()
    assert (recipe.width, recipe.norm) == (8, "batch")
    averaged = tr.load(trained / "generator.safetensors")
    for name, value in generator.state_dict().items():
        np.testing.assert_array_equal(averaged[name], value.numpy())


@pytest.mark.slow
def test_a_stopped_run_goes_on_bit_for_bit(capsys, tmp_path):
    """Ctrl-C finishes the step and saves; the run that goes on ends as one never stopped."""
    arguments = [*SMALL, "--steps", "300", "--save-every", "5", "--sample-every", "500", "--no-score", "--out"]
    code = "import sys; from tinyres.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "gan", "train", *arguments, str(tmp_path / "stopped")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, env=environment, **streams) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "stopped" / "run.safetensors").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume continues" in said
    assert "Traceback" not in said
    step = json.loads(tr.load_metadata(tmp_path / "stopped" / "run.safetensors")["gan"])["step"]
    assert 0 < step < 300
    orphan = tmp_path / "stopped" / ".tinyres-0123.tmp"
    orphan.touch()
    status, out, _ = run(capsys, "train", *arguments, tmp_path / "stopped", "--resume")
    assert status == 0
    assert f"resuming from step {step} of 300" in out
    assert not orphan.exists()
    run(capsys, "train", *arguments, tmp_path / "whole")
    whole, stopped = (tr.load(tmp_path / name / "run.safetensors") for name in ("whole", "stopped"))
    assert set(whole) == set(stopped)
    for name in whole:
        np.testing.assert_array_equal(whole[name], stopped[name], err_msg=name)


class Killed(BaseException):
    """In the place of a SIGKILL: nobody catches it."""


PLAN = (*SMALL, "--steps", 4, "--save-every", 2, "--sample-every", 2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nobody killed."""
    folder = tmp_path_factory.mktemp("whole")
    with sketching():
        assert main(["gan", "train", *map(str, PLAN), "--out", str(folder)]) == 0
    return folder


@pytest.mark.parametrize(
    "before",
    [
        "000002.png",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("interpolations.png", "000004.png", "result.json")),
    ],
)
def test_pictures_that_a_kill_prevented_are_drawn_when_the_run_is_resumed(capsys, tmp_path, monkeypatch, whole, before):
    replace, first = os.replace, ["interpolations.png"]  # the run comes by there at its second step, too

    def killed(source, target):
        name = os.path.basename(target)
        if name == before and name not in first:
            raise Killed
        first[:] = [other for other in first if other != name]
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed)
        with pytest.raises(Killed):
            run(capsys, "train", *PLAN, "--out", tmp_path)
    saved = tmp_path / "run.safetensors"
    step = json.loads(tr.load_metadata(saved)["gan"])["step"] if saved.exists() else 0
    assert step == {"000002.png": 0, "result.json": 4}.get(before, 2)  # a step is saved after its pictures
    resume = ["--resume"] if step else []
    assert run(capsys, "train", *PLAN, *resume, "--out", tmp_path)[0] == 0
    assert left(tmp_path) == left(whole)


@pytest.mark.slow
def test_the_kernels_of_the_first_steps_can_be_checked(capsys, tmp_path, monkeypatch):
    plan = (*SMALL, "--steps", 2, "--no-score")
    for name, more in (("plain", ()), ("checked", ("--check-kernels", 2))):
        assert run(capsys, "train", *plan, *more, "--out", tmp_path / name)[0] == 0
    plain, checked = (tr.load(tmp_path / name / "generator.safetensors") for name in ("plain", "checked"))
    for name in plain:
        np.testing.assert_array_equal(plain[name], checked[name], err_msg=name)
    monkeypatch.setattr(cpu, "adam", lambda p, *rest, **how: np.copyto(rest[3], p) or rest[3])
    status, _, err = run(capsys, "train", *plan, "--check-kernels", 1, "--out", tmp_path / "wrong")
    assert status == 1
    assert err.startswith("tinyres gan train: tinyres_kernels.cpu.adam [loop: one thread] in float32 of p (")


def test_a_folder_that_holds_a_run_is_not_overwritten(capsys, trained):
    before = (trained / "run.safetensors").read_bytes()
    status, _, err = run(capsys, "train", *SMALL, "--steps", 4, "--out", trained)
    assert status == 2
    assert "already holds a run: resume it (--resume), or choose" in err
    status, _, err = run(capsys, "train", *SMALL, "--steps", 4, "--loss", "hinge", "--resume", "--out", trained)
    assert status == 2
    assert "a run of another recipe (loss is 'nonsaturating' there and 'hinge' here)" in err
    assert (trained / "run.safetensors").read_bytes() == before


@pytest.mark.slow
def test_going_on_needs_no_setting_again(capsys, trained):
    before = json.loads((trained / "result.json").read_text())
    status, out, _ = run(capsys, "train", "--resume", "--no-score", "--out", trained)
    assert status == 0
    assert "resuming from step 4 of 4: nonsaturating on ring8, batch_size 64, steps 4, width 8\n" in out
    assert json.loads((trained / "result.json").read_text())["recipe"] == before["recipe"]
    for option, value, said in (
        ("--data", "digits", "data is 'ring8' there"),
        ("--width", 9, "width is 8 there"),
        ("--method", "r1", "method is 'nonsat"),
        ("--steps", 9, "a run cannot be lengthened"),
    ):
        status, _, err = run(capsys, "train", option, value, "--resume", "--out", trained)
        assert (status, said in err, err.count("\n")) == (2, True, 1)


def test_a_run_whose_losses_explode_has_diverged(capsys, tmp_path):
    status, out, _ = run(capsys, "train", *SMALL[:-2], "--lr-d", "1e9", "--steps", 50, "--out", tmp_path)
    assert status == 1
    assert re.search(r"diverged: at step \d+ .* is \S+e\+\d+, beyond 1e\+06 in absolute value: try a smaller", out)


@pytest.mark.parametrize(("method", "name"), [("nonsaturating", "D"), ("hinge", "score")])
def test_only_a_probability_is_called_d(capsys, tmp_path, method, name):
    _, out, _ = run(capsys, "train", *SMALL[:-1], method, "--steps", 1, "--no-score", "--out", tmp_path)
    assert f" {name}(real) " in out
    assert f" {name}(fake) " in out


@pytest.mark.slow
def test_a_truncated_checkpoint_is_one_sentence_everywhere(capsys, trained):
    path = trained / "run.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    for arguments in (("train", *SMALL, "--steps", 4, "--resume", "--out", trained), ("sample", path), ("score", path)):
        status, _, err = run(capsys, *arguments)
        assert status == 2
        assert "needs a complete safetensors file, got 500 bytes" in err
        assert err.count("\n") == 1


def test_a_full_disk_is_one_sentence_and_the_last_save_stays(capsys, tmp_path, monkeypatch):
    fsync, calls, seldom = os.fsync, [], ("--save-every", 2, "--sample-every", 99)

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 4:  # two saves, of the file and of its folder each
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        status, _, err = run(capsys, "train", *SMALL, "--steps", 9, *seldom, "--out", tmp_path)
    assert status == 2
    assert err.count("\n") == 1
    assert "No space left on device" in err
    assert json.loads(tr.load_metadata(tmp_path / "run.safetensors")["gan"])["step"] == 4
    status, out, _ = run(capsys, "train", *SMALL, "--steps", 9, *seldom, "--resume", "--out", tmp_path)
    assert status == 0
    assert "resuming from step 4 of 9" in out


def test_a_run_that_diverges_names_the_operation_and_keeps_the_last_good_state(capsys, tmp_path):
    arguments = ("--lr-g", "1e12", "--save-every", 1, "--steps", 20)  # four such layers overflow at the next step
    status, out, _ = run(capsys, "train", *SMALL, *arguments, "--out", tmp_path)
    assert status == 1
    assert "diverged" in out
    assert "at step 1 the discriminator's loss is nan: first in the forward pass of layer '" in " ".join(out.split())
    assert "linear made Inf" in " ".join(out.split())
    assert "run.safetensors holds the run (for --resume) as it was after step 1" in " ".join(out.split())
    gan.load_generator(tmp_path / "run.safetensors")
    for value in tr.load(tmp_path / "run.safetensors").values():
        assert np.isfinite(value).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--data", "imagenet"), "no data set called 'imagenet'"),
        (("train", "--loss", "hing"), "no loss called 'hing'; did you mean hinge"),
        (("train", "--loss", "wgan_gp"), "--method wgan_gp is a method"),
        (("train", "--method", "gan"), "no method called 'gan'; did you mean"),
        (("train", "--arch", "vae"), "no arch called 'vae'"),
        (("train", "--arch", "gan64"), "gan64 makes no samples of shape (1, 8, 8)"),
        (("train", "--d-steps", "0"), "d_steps must be at least 1, got 0"),
        (("train", "--save-every", "0"), "--save-every 0: at least 1"),
        (("train", "--method", "r1", "--norm", "batch"), "Batch norm makes each score depend on the whole batch"),
        (("train", "--data", "ring8", "--out", "/proc/nowhere"), "cannot write into /proc/nowhere"),
        (
            ("train", "--data", "ring8", "--resume", "--out", "EMPTY"),
            "there is no EMPTY/run.safetensors to resume from",
        ),
        (("sample", "nothing"), "there is no file or folder nothing; `tinyres gan train` writes checkpoints"),
        (("sample", "nothing", "--n", "0"), "--n 0: at least 1"),
        (("score", "nothing", "--n", "1"), "--n 1: at least 4"),
        (("sample", "nothing", "--seed", "-1"), "--seed -1: at least 0"),
        (("score", "nothing", "--seed", "-1"), "--seed -1: at least 0"),
        (("probe", "--seed", "-1"), "--seed -1: at least 0"),
        (("probe", "--data", "gaussians", "--distance", "nan"), "--distance nan: a finite number"),
        (("train", "--method", "hinge", "--penalty-weight", "5"), "penalty_weight 5: hinge has no penalty"),
        (("probe", "--data", "gauss"), "no data set called 'gauss'; did you mean gaussians"),
        (("probe", "--steps", "0"), "--steps 0: at least 1"),
        (("probe", "--data", "gaussians", "--checkpoint", "x"), "the gaussians have a generator of their own"),
    ],
)
def test_what_cannot_be_run_is_one_sentence(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert err.startswith(f"tinyres gan {arguments[0]}: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_package_that_data_need_is_one_sentence(capsys, tmp_path, monkeypatch):
    def missing(*_, **__):
        raise ImportError("mnist needs pooch: pip install pooch")

    monkeypatch.setattr(gan, "prepare", missing)
    monkeypatch.setattr(gan, "real_data", missing)
    for part in (("train", "--out", tmp_path), ("probe", "--out", tmp_path)):
        assert run(capsys, *part)[::2] == (2, f"tinyres gan {part[0]}: mnist needs pooch: pip install pooch\n")


def test_a_plain_loss_brings_its_method(capsys, tmp_path):
    run(capsys, "train", *SMALL[:-2], "--loss", "wasserstein", "--steps", 1, "--no-score", "--out", tmp_path)
    recipe, _ = gan.load_generator(tmp_path / "run.safetensors")
    assert (recipe.method, recipe.clip, recipe.d_steps) == ("wgan", 0.01, 5)


def test_without_a_network_it_says_which_file(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    status, _, err = run(capsys, "train", "--data", "mnist")
    assert status == 2
    assert err.count("\n") == 1
    assert err.startswith("tinyres gan train: ")
    assert "train-images-idx3-ubyte.gz" in err


def test_diverged_is_the_trainings_own():
    assert gan.CheckpointError is training.CheckpointError
