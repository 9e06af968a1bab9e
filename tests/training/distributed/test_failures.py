"""A process that fails takes the others along in good order: at once, with a sentence and with what was saved."""

import json
import os
import signal

import numpy as np
import pytest

import tinyres as tr
from tests.training.distributed import ranks_work
from tests.training.distributed.mpiexec import (
    NEEDS_MPI,
    SMALL,
    ended,
    mpiexec,
    ranks_of,
    several,
    started,
    wait_for,
    work,
)
from tinyres import training

pytestmark = NEEDS_MPI


@pytest.mark.slow
def test_a_rank_that_fails_costs_no_step(tmp_path):
    """Rank 1 runs out of memory in step 3; rank 0 saves what it has, and two other ranks go on to the bits of
    a run that nothing happened to."""
    status, _, err = work("fail", tmp_path, "raise")
    assert status != 0
    assert "MemoryError: the fourth step was too much" in err
    said = (tmp_path / "said").read_text()
    assert said.startswith("rank 1 of 2 failed with MemoryError: the fourth step was too much (on ")
    assert json.loads(tr.load_metadata(tmp_path / "run.safetensors")["run"])["step"] == 3
    status, _, err = several(tmp_path, [["go_on"], ["train", "stochastic_depth", "0"]])
    assert (status, err) == (0, "")
    expected, found = (tr.load(tmp_path / f"{name}.safetensors") for name in ("stochastic_depth.0", "end"))
    for key, value in expected.items():
        np.testing.assert_array_equal(value, found[key], err_msg=key)
    alone = training.resume(ranks_work.prepared("stochastic_depth"), tmp_path / "run.safetensors")
    assert alone.step == 3
    assert len(ranks_work.finished(alone).losses) == alone.total  # and so does one process, with its own statistics


@pytest.mark.slow
@pytest.mark.parametrize(("silent", "speaker"), [(0, 1), (2, 0)])
def test_a_rank_that_does_not_come_is_not_waited_for_for_ever(tmp_path, silent, speaker):
    """One says so, and ends all: rank 0, once it has saved; another only if rank 0 does not."""
    status, _, err = work("silent", tmp_path, silent, count=3, seconds=30)
    assert status != 0
    assert err.count("a rank has not answered for 0.5 seconds") == 1
    assert f"[{speaker}]" in err
    assert (tmp_path / "saved").exists() == (silent != 0)


SAID_BY_RANK_0 = "tinyres train: rank 1 of 2 failed with "


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "sentence", "step"),
    [
        ("failing", f"{SAID_BY_RANK_0}MemoryError: too much", 3),
        ("no data", f"{SAID_BY_RANK_0}UsageError: no digits here", None),
        ("full", "cannot write run.safetensors: No space left on device", None),
        ("full afterwards", "cannot write run.safetensors: No space left on device", None),
        ("scoring", "MemoryError: too much", None),
        ("interrupted", "stopped", None),
        ("amid", "KeyboardInterrupt", None),
    ],
)
def test_whatever_fails_ends_all_at_once_and_is_said(tmp_path, what, sentence, step):
    """Long before the --timeout of half an hour, and what is saved is whole."""
    status, _, err = work("command", tmp_path, what, seconds=40)
    assert status != 0
    assert err.count(sentence) == 1
    file = tmp_path / "out" / "run.safetensors"
    assert file.exists() == (step is not None)
    if step is not None:
        assert json.loads(tr.load_metadata(file)["run"])["step"] == step
        assert "saved after step 3" in err
    assert ("a process of this run was killed or failed" in err) == (what not in ("failing", "no data"))


OTHERS = {
    "seed": "seed is 1 here and 0 there",
    "sync": "(--sync-batch-norm is True here and False there)",
    "shard": "checksum of the labels is ",
}


@pytest.mark.slow
def test_ranks_that_bring_different_runs_are_refused(tmp_path):
    status, _, _ = several(tmp_path, [["another", what] for what in OTHERS], seconds=60)
    assert status == 0
    for what, sentence in OTHERS.items():
        said = (tmp_path / f"said.{what}").read_text()
        assert said.startswith("rank 1 has another run than rank 0 (")
        assert sentence in said
        assert said in (tmp_path / f"heard.{what}").read_text()


@pytest.mark.slow
def test_a_killed_rank_ends_the_run_with_a_sentence_and_a_checkpoint(tmp_path):
    """mpiexec kills all the others at once; the file goes on, in two processes. (To which bits, is tested above.)"""
    command = (*SMALL, "--steps", 60, "--distributed")
    with started(*command, "--save-every", 1, "--out", tmp_path / "killed") as process:
        wait_for(tmp_path / "killed" / "run.safetensors", process)
        os.kill(ranks_of(process)[1], signal.SIGKILL)
        status, _, err = ended(process)
    assert status != 0
    step = json.loads(tr.load_metadata(tmp_path / "killed" / "run.safetensors")["run"])["step"]
    assert 0 < step < 60, "the kill came too late to test anything"
    file = tmp_path / "killed" / "run.safetensors"
    told = [line for line in err.splitlines() if line.startswith("a process of this run was killed")]
    assert len(told) == 1
    assert f"{file} holds the run (for --resume) as it was after step" in told[0]
    assert int(told[0].split()[-1]) in (step - 1, step)  # the kill may have come between the file and the word
    status, out, _ = mpiexec(*command, "--resume", "--out", tmp_path / "killed")
    assert status == 0
    assert f"resuming from step {step} of 60" in out
    assert json.loads(tr.load_metadata(file)["run"])["step"] == 60


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "to", "count"),
    [(signal.SIGTERM, 1, 3), (signal.SIGINT, "mpiexec", 2), (signal.SIGTERM, "mpiexec", 2), (signal.SIGTERM, "all", 2)],
)
def test_a_signal_ends_all_ranks_after_the_same_step(tmp_path, number, to, count):
    """Ctrl-C; what a batch system sends, to mpiexec, to one process (here not rank 0) or to all of them.

    If the ranks did not stop together, they would wait for each other for 60 seconds, which is too long here.
    """
    endless = *SMALL, "--epochs", 5000, "--save-every", 1, "--distributed", "--timeout", 60, "--out", tmp_path
    with started(*endless, count=count) as process:
        wait_for(tmp_path / "run.safetensors", process)
        ranks = ranks_of(process)
        for pid in {"mpiexec": [process.pid], "all": [*ranks, process.pid, *ranks], 1: [ranks[1]]}[to]:
            os.kill(pid, number)
        status, out, err = ended(process, 30)
    assert status == 130
    assert out.count("--resume continues") == 1
    assert "Traceback" not in err
    assert "has not answered" not in err
    about = json.loads(tr.load_metadata(tmp_path / "run.safetensors")["run"])
    assert about["step"] == len(json.loads((tmp_path / "result.json").read_text())["train_loss"])


@pytest.mark.slow
def test_what_only_another_rank_cannot_do_is_said_with_its_number(tmp_path):
    status, _, err = work("lonely_error", tmp_path)
    assert status != 0
    assert "tinyres train: rank 1 of 2 failed with UsageError: no room here (on " in err
