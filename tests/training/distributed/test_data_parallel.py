"""Several processes of MPI are one process to rounding."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinyres as tr
from tests.kernels.cuda.once import within_run
from tests.training.distributed import ranks_work
from tests.training.distributed.mpiexec import NEEDS_MPI, SMALL, environment, mpiexec, same_files, several, work
from tinyres import nn, training

pytestmark = NEEDS_MPI


def assert_close(a, b, tolerance):
    assert set(a) == set(b)
    for name, value in a.items():
        size = max(1e-3, np.abs(value).max(initial=0))
        np.testing.assert_allclose(b[name], value, rtol=0, atol=tolerance * size, err_msg=name)


# What two ranks do in one world, as none of it ends a rank; and the trainings, which take long, in another.
TOGETHER = [["shares"], ["norm"], ["recorded"], ["gpu", "0"], ["gpu", "1"]]
TRAININGS = [["train", "mlp", "0"], ["train", "resnet", "1"], ["train", "stochastic_depth", "1"], ["train", "cnn", "1"]]


def together(tmp_path_factory, name, tasks):
    """The folder in which two ranks have left the files of their tasks."""

    def left():
        folder = tmp_path_factory.mktemp(name)
        status, _, err = several(folder, tasks, seconds=300)
        return json.dumps([str(folder), status, err])

    folder, *ended = json.loads(within_run(tmp_path_factory, name, left))
    assert ended == [0, ""]
    return Path(folder)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The files of `TOGETHER`: each test reads those of one task."""
    return together(tmp_path_factory, "world", TOGETHER)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return together(tmp_path_factory, "trained", TRAININGS)


@pytest.mark.parametrize("name", ["mlp", "resnet", "stochastic_depth", "cnn"])
@pytest.mark.slow
def test_two_ranks_are_one_process_to_rounding(trained, tmp_path, name):
    same_as_alone(trained, tmp_path, name, 2)


@pytest.mark.slow
def test_three_ranks_are_one_process_to_rounding(tmp_path):
    status, _, err = several(tmp_path, [["train", "resnet", "1"]], count=3)
    assert (status, err) == (0, "")
    same_as_alone(tmp_path, tmp_path, "resnet", 3)


def same_as_alone(folder, tmp_path, name, count):
    alone = ranks_work.finished(ranks_work.prepared(name))
    training.save(alone, tmp_path / "alone.safetensors")
    expected = tr.load(tmp_path / "alone.safetensors")
    paths = [folder / f"{name}.{rank}.safetensors" for rank in range(count)]
    first = tr.load(paths[0])
    assert_close(expected, first, 1e-4)
    for path in paths[1:]:  # weights, statistics, moments, losses, scores, generators: the same bits
        for key, value in tr.load(path).items():
            np.testing.assert_array_equal(value, first[key], err_msg=key)
        assert json.loads(tr.load_metadata(path)["run"]) == json.loads(tr.load_metadata(paths[0])["run"])


def test_statistics_of_each_share_are_averaged(world):
    """Without sync: momentum 1 makes the running statistics those of the last batch's shares."""
    alone, together = (tr.load(world / f"{name}.safetensors") for name in ("expected", "together"))
    assert_close(alone, together, 1e-5)


def test_synchronised_batch_norm_is_batch_norm_of_the_whole(world):
    a, b = (tr.load(world / f"norm.{rank}.safetensors") for rank in (0, 1))
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
def test_gradients_of_gpus_travel_through_the_host_or_over_nccl(world, nccl):
    """On the stand-ins for CuPy and NCCL: what is called, and that the numbers are those of the CPU."""
    run = ranks_work.prepared("resnet")
    run.total = 2
    expected = ranks_work.finished(run).losses
    for rank in (0, 1):
        found = tr.load(world / f"gpu.{nccl}.{rank}.safetensors")["losses"]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


# -- the command ------------------------------------------------------------------------------------
@pytest.mark.slow
def test_the_command_leaves_one_run_that_one_process_goes_on_with(tmp_path):
    command = "-m", "tinyres.cli", *ranks_work.SMALL  # with its pictures
    status, out, err = mpiexec(*command, "--steps", 4, "--distributed", "--sync-batch-norm", "--out", tmp_path / "two")
    assert (status, err) == (0, "")
    assert out.count("accuracy") == 1
    assert out.count("wrote") == 5
    result = json.loads((tmp_path / "two" / "result.json").read_text())
    assert (result["processes"], result["steps"]) == (2, 4)
    alone = subprocess.run(
        [sys.executable, *SMALL, "--steps", "4", "--resume", "--out", str(tmp_path / "two")],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert alone.returncode == 0
    assert "resuming from step 4 of 4" in alone.stdout


def test_what_is_recorded_is_what_rank_0_sees_of_its_share(world):
    found, expected = json.loads((world / "norms").read_text())
    assert len(found) > 1
    np.testing.assert_allclose(found, expected, rtol=1e-5)


REFUSED = {
    "2 ranks cannot share batches of 1": ["--steps", "1", "--batch-size", "1"],
    "depth must be 6 n + 2": ["--depth", "9"],
    "--timeout 0: more than 0 seconds are needed": ["--timeout", "0"],
    "to resume from": ["--resume"],
    "already holds a run": ["--steps", "1"],  # and so does the one before it
}


@pytest.mark.slow
def test_what_is_refused_is_said_once(tmp_path):
    *others, last = REFUSED.values()
    file = tmp_path / "commands.json"
    file.write_text(json.dumps([[*each, "--distributed", "--out", str(tmp_path)] for each in (*others, last, last)]))
    status, out, err = work("commands", tmp_path, file)
    assert status == 0
    for rank in (0, 1):
        statuses = json.loads((tmp_path / f"statuses.{rank}").read_text())
        assert [bool(status) for status in statuses] == [*(True for _ in others), False, True]
    assert [(out + err).count(sentence) for sentence in REFUSED] == [1] * len(REFUSED)
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_run_that_diverges_says_so_once_and_ends_all(tmp_path):
    status, out, err = mpiexec(*SMALL, "--lr", "1e12", "--steps", "20", "--distributed", "--out", tmp_path)
    assert status != 0
    assert (out + err).count("diverged") == 1
    assert "Traceback" not in err
    assert "killed" not in err


@pytest.mark.slow
def test_without_mpiexec_it_is_an_ordinary_run_and_says_so(tmp_path):
    file = tmp_path / "commands.json"
    runs = ("one", "--distributed"), ("plain",)
    file.write_text(json.dumps([["--steps", "2", "--out", str(tmp_path / name), *more] for name, *more in runs]))
    done = subprocess.run(
        [sys.executable, ranks_work.__file__, "commands", tmp_path, file],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads((tmp_path / "statuses.0").read_text()) == [0, 0]
    assert done.stdout.count("this is the only process; mpiexec -n 2 tinyres train") == 1
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
