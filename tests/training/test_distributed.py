"""Several processes of MPI are one process to rounding, and one that fails takes the others along in good order."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tinyres as tr
from tests.training import ranks_work
from tinyres import nn, training

ROOT = Path(__file__).parents[2]
BESIDE = Path(sys.executable).parent / "mpiexec"  # where the wheel of MPICH puts it
MPIEXEC = str(BESIDE) if BESIDE.exists() else shutil.which("mpiexec")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        MPIEXEC is None or importlib.util.find_spec("mpi4py") is None, reason="needs mpi4py and an MPI with mpiexec"
    ),
]


def environment():
    own = {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "kernels"))), "NUMBA_NUM_THREADS": "1"}
    return {**os.environ, **own, "PYTHONWARNINGS": "error"}


def mpiexec(*command, count=2, environ=None):
    """(exit status, what was printed, what went to stderr) of so many processes of Python."""
    done = subprocess.run(
        [MPIEXEC, "-n", str(count), sys.executable, *map(str, command)],
        env=environ or environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def work(*arguments, count=2):
    return mpiexec(ROOT / "tests" / "training" / "ranks_work.py", *arguments, count=count)


def assert_close(a, b, tolerance):
    assert set(a) == set(b)
    for name, value in a.items():
        size = max(1e-3, np.abs(value).max(initial=0))
        np.testing.assert_allclose(b[name], value, rtol=0, atol=tolerance * size, err_msg=name)


@pytest.mark.parametrize(
    ("name", "synchronised", "count"),
    [("mlp", 0, 2), ("mlp", 0, 3), ("resnet", 1, 2), ("stochastic_depth", 1, 2), ("cnn", 1, 2)],
)
def test_several_ranks_are_one_process_to_rounding(tmp_path, name, synchronised, count):
    status, _, err = work("train", tmp_path, name, synchronised, count=count)
    assert (status, err) == (0, "")
    alone = ranks_work.finished(ranks_work.prepared(name))
    training.save(alone, tmp_path / "alone.safetensors")
    expected = tr.load(tmp_path / "alone.safetensors")
    paths = [tmp_path / f"{name}.{rank}.safetensors" for rank in range(count)]
    first = tr.load(paths[0])
    assert_close(expected, first, 1e-4)
    for path in paths[1:]:  # weights, statistics, moments, losses, scores, generators: the same bits
        for key, value in tr.load(path).items():
            np.testing.assert_array_equal(value, first[key], err_msg=key)
        assert json.loads(tr.load_metadata(path)["run"]) == json.loads(tr.load_metadata(paths[0])["run"])


def test_statistics_of_each_share_are_averaged(tmp_path):
    """Without sync: momentum 1 makes the running statistics those of the last batch's shares."""
    assert work("shares", tmp_path)[0] == 0
    alone, together = (tr.load(tmp_path / f"{name}.safetensors") for name in ("expected", "together"))
    assert_close(alone, together, 1e-5)


def test_synchronised_batch_norm_is_batch_norm_of_the_whole(tmp_path):
    status, _, err = work("norm", tmp_path)
    assert (status, err) == (0, "")
    a, b = (tr.load(tmp_path / f"norm.{rank}.safetensors") for rank in (0, 1))
    rng = np.random.default_rng(0)
    whole, cotangent = rng.standard_normal((2, 7, 3, 4, 4))
    module = nn.BatchNorm2d(3).to("float64")
    x = tr.tensor(whole, requires_grad=True)
    y = module(x, residual=x * 0.5, relu=True)
    dx, dweight, dbias = tr.grad((y * cotangent).sum(), [x, module.weight, module.bias])
    for name, value in {"y": y, "dx": dx}.items():
        np.testing.assert_allclose(np.concatenate([a[name], b[name]]), value.numpy(), rtol=1e-10, atol=1e-12)
    for name, value in {"dweight": dweight, "dbias": dbias}.items():  # of each rank's loss
        np.testing.assert_allclose(a[name] + b[name], value.numpy(), rtol=1e-10, atol=1e-12)
    for name, value in module.named_buffers():
        np.testing.assert_allclose(a[name], value.numpy(), rtol=1e-12)
    np.testing.assert_array_equal(a["sum"], [3.0, 3.0])


@pytest.mark.parametrize("nccl", [0, 1])
def test_gradients_of_gpus_travel_through_the_host_or_over_nccl(tmp_path, nccl):
    """On the stand-ins for CuPy and NCCL: what is called, and that the numbers are those of the CPU."""
    status, _, err = work("gpu", tmp_path, nccl)
    assert (status, err) == (0, "")
    run = ranks_work.prepared("resnet")
    run.total = 2
    expected = ranks_work.finished(run).losses
    for rank in (0, 1):
        found = tr.load(tmp_path / f"gpu.{rank}.safetensors")["losses"]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


# -- failures -------------------------------------------------------------------------------------------------------
def undisturbed(path):
    """The file of two ranks that nothing happened to."""
    assert work("train", path, "stochastic_depth", 0)[0] == 0
    return tr.load(path / "stochastic_depth.0.safetensors")


def test_a_rank_that_fails_costs_no_step(tmp_path):
    """Rank 1 runs out of memory in step 3; rank 0 saves what it has, and two other ranks go on to the same bits."""
    status, _, err = work("fail", tmp_path, "raise")
    assert status != 0
    assert "MemoryError: the fourth step was too much" in err
    said = (tmp_path / "said").read_text()
    assert said.startswith("rank 1 of 2 failed with MemoryError: the fourth step was too much (on ")
    assert json.loads(tr.load_metadata(tmp_path / "run.safetensors")["run"])["step"] == 3
    status, _, err = work("go_on", tmp_path)
    assert (status, err) == (0, "")
    expected, found = undisturbed(tmp_path), tr.load(tmp_path / "end.safetensors")
    for key, value in expected.items():
        np.testing.assert_array_equal(value, found[key], err_msg=key)
    alone = training.resume(ranks_work.prepared("stochastic_depth"), tmp_path / "run.safetensors")
    assert alone.step == 3
    assert len(ranks_work.finished(alone).losses) == alone.total  # and so does one process, with its own statistics


def test_a_rank_that_does_not_come_is_not_waited_for_for_ever(tmp_path):
    began = time.monotonic()
    status, _, _ = work("silent", tmp_path)
    assert status != 0
    assert time.monotonic() - began < 30
    sentence, lost = json.loads((tmp_path / "said").read_text())
    assert lost
    assert sentence.startswith("a rank was not heard of for 0.5 seconds")


# -- the command ----------------------------------------------------------------------------------------------------
SMALL = ("-m", "tinyres.cli", "train", "resnet", "--depth", "8", "--width", "2", "--batch-size", "101", "--lr", "0.02")


def same_files(a, b):
    x, y = tr.load(a / "run.safetensors"), tr.load(b / "run.safetensors")
    assert set(x) == set(y)
    return all(np.array_equal(x[key], y[key]) for key in x)


def test_the_command_leaves_one_run_that_one_process_goes_on_with(tmp_path):
    status, out, err = mpiexec(*SMALL, "--steps", 4, "--distributed", "--sync-batch-norm", "--out", tmp_path / "two")
    assert (status, err) == (0, "")
    assert out.count("accuracy") == 1
    assert out.count("wrote") == 4
    result = json.loads((tmp_path / "two" / "result.json").read_text())
    assert (result["processes"], result["steps"]) == (2, 4)
    status, out, err = mpiexec(*SMALL, "--steps", 4, "--distributed", "--out", tmp_path / "two")
    assert status != 0
    assert err.count("holds a run already") == 1
    alone = subprocess.run(
        [sys.executable, *SMALL, "--steps", "4", "--resume", "--out", str(tmp_path / "two")],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert alone.returncode == 0
    assert "going on from step 4 of 4" in alone.stdout


def test_a_killed_rank_ends_the_run_with_a_sentence_and_a_checkpoint(tmp_path):
    """mpiexec kills all the others at once; the file goes on, in two processes, to the bits of an undisturbed run."""
    command = (*SMALL, "--steps", 120, "--save-every", 1, "--distributed")
    started = [MPIEXEC, "-n", "2", sys.executable, *map(str, command), "--out", str(tmp_path / "killed")]
    with subprocess.Popen(
        started, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "killed" / "run.safetensors").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        victim = ranks_of(process.pid)[1]
        os.kill(victim, 9)
        _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    step = json.loads(tr.load_metadata(tmp_path / "killed" / "run.safetensors")["run"])["step"]
    assert 0 < step < 120, "the kill came too late to test anything"
    file = tmp_path / "killed" / "run.safetensors"
    told = [line for line in err.splitlines() if line.startswith("tinyres train: a process of this run was killed")]
    assert len(told) == 1
    assert f"--resume goes on from {file}, saved after step" in told[0]
    assert int(told[0].split()[-1]) in (step - 1, step)  # the kill may have come between the file and the word
    status, out, _ = mpiexec(*command, "--resume", "--out", tmp_path / "killed")
    assert status == 0
    assert f"going on from step {step} of 120" in out
    assert mpiexec(*command, "--out", tmp_path / "whole")[0] == 0
    assert same_files(tmp_path / "killed", tmp_path / "whole")


def ranks_of(parent):
    """The processes that run Python below mpiexec and its proxy, in the order of their ranks."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environ = dict(e.split("=", 1) for e in (folder / "environ").read_text().split("\0") if "=" in e)
            words = (folder / "cmdline").read_text().split("\0")
            above = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            grandparent = int(Path(f"/proc/{above}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError):
            continue
        if grandparent == parent and "tinyres.cli" in words:
            found[int(environ.get("PMI_RANK", environ.get("OMPI_COMM_WORLD_RANK", "-1")))] = int(folder.name)
    return [found[rank] for rank in sorted(found)]


def test_control_c_ends_all_ranks_after_the_same_step(tmp_path):
    started = [MPIEXEC, "-n", "2", sys.executable, *SMALL, "--epochs", "5000", "--distributed", "--out", str(tmp_path)]
    with subprocess.Popen(
        started, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "run.safetensors").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(2)
        out, err = process.communicate(timeout=60)
    assert "--resume goes on" in out
    assert "Traceback" not in err
    about = json.loads(tr.load_metadata(tmp_path / "run.safetensors")["run"])
    assert about["step"] == len(json.loads((tmp_path / "result.json").read_text())["train_loss"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--steps", "1", "--batch-size", "1"], "2 ranks cannot share batches of 1"),
        (["--depth", "9"], "depth must be 6 n + 2"),
        (["--timeout", "0"], "--timeout 0: more than 0 seconds are needed"),
        (["--resume"], "to go on from"),
        (["--lr", "1e12", "--steps", "20"], "diverged"),
    ],
)
def test_what_cannot_be_run_is_said_once(tmp_path, arguments, sentence):
    status, out, err = mpiexec(*SMALL, *arguments, "--distributed", "--out", tmp_path)
    assert status != 0
    assert (out + err).count(sentence) == 1
    assert "Traceback" not in err


def test_what_only_another_rank_cannot_do_is_said_with_its_number(tmp_path):
    status, _, err = work("lonely_error", tmp_path)
    assert status != 0
    assert "tinyres train: rank 1 of 2 failed with UsageError: no room here (on " in err


def test_without_mpiexec_it_is_an_ordinary_run_and_says_so(tmp_path):
    command = [sys.executable, *SMALL, "--steps", "2"]
    for more in (["--distributed", "--out", tmp_path / "one"], ["--out", tmp_path / "plain"]):
        done = subprocess.run(
            [*command, *map(str, more)], env=environment(), capture_output=True, text=True, check=True
        )
        assert ("this is the only process; mpiexec -n 2 tinyres train" in done.stdout) == ("--distributed" in more)
    assert same_files(tmp_path / "one", tmp_path / "plain")


@pytest.mark.parametrize(
    ("hide", "sentence"),
    [
        ("sys.modules['mpi4py'] = None", "needs mpi4py, which is not installed: pip install 'tinyres[mpi]'"),
        ("os.environ['MPI4PY_LIBMPI'] = '/nowhere/libmpi.so'", "needs an MPI library, and mpi4py found none"),
    ],
)
def test_without_mpi_it_says_what_to_install(hide, sentence):
    code = f"import os, sys; {hide}; from tinyres import training; training.Ranks()"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"RuntimeError: training by several processes {sentence}")
