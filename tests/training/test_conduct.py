"""A run conducted from Python, of either kind: it stops, resumes, saves and reports as the commands do."""

import json
import os
import signal
import threading

import numpy as np
import pytest

import tinyres as tr
from tests.training.kills import different, left
from tinyres import gan, training
from tinyres.lock import FolderLock, FolderTaken
from tinyres.training.conduct import CheckpointError
from tinyres.training.interrupts import Interrupts

pytestmark = pytest.mark.usefixtures("sketched")

RECIPES = {
    "train": training.Recipe(arch="mlp", depth=3, width=8, batch_size=600, steps=4, optimizer="adam", lr=0.01),
    "gan": gan.GANRecipe.of("nonsaturating", "ring8", width=4, batch_size=32, steps=4),
}
ROOMS = {"train": training, "gan": gan}
EACH = pytest.mark.parametrize("kind", RECIPES)


def conduct(kind, folder, **options):
    """The outcome, and the lines that were said."""
    lines = []
    made = ROOMS[kind].prepare(RECIPES[kind])
    return ROOMS[kind].conduct(made, folder, say=lines.append, **options), lines


@EACH
def test_it_takes_every_step_and_leaves_its_files(tmp_path, kind):
    ticks = []
    outcome, lines = conduct(kind, tmp_path / "new" / "run", tick=lambda *both: ticks.append(both))
    assert outcome == ("finished", 4, "")
    assert ticks == [(step, 4) for step in range(5)]
    assert lines[-1].startswith("step      4  ")
    weights = {"train": "model.safetensors", "gan": "generator.safetensors"}[kind]
    written = {path.name for path in (tmp_path / "new" / "run").iterdir()}
    assert written >= {"run.safetensors", weights, "result.json", "training.png"}
    assert json.loads((tmp_path / "new" / "run" / "result.json").read_text())["steps"] == 4
    by_hand = ROOMS[kind].prepare(RECIPES[kind])
    for _ in by_hand.steps():
        if kind == "train" and by_hand.epoch_ends:
            by_hand.score()
    ROOMS[kind].save(by_hand, tmp_path / "by hand")
    for name, value in tr.load(tmp_path / "by hand").items():
        np.testing.assert_array_equal(value, tr.load(tmp_path / "new" / "run" / "run.safetensors")[name])


@EACH
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupted_run_finishes_its_step_and_resumes_to_the_same_files(tmp_path, kind, number):
    def interrupt(step, total):
        if step == 2:
            os.kill(os.getpid(), number)

    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    seldom = {"gan": {"sample_every": 3}, "train": {}}[kind]
    outcome, _ = conduct(kind, tmp_path / "stopped", tick=interrupt, **seldom)
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
    assert outcome.status == "stopped"
    assert 2 <= outcome.step < 4
    found = ROOMS[kind].resume(ROOMS[kind].prepare(RECIPES[kind]), tmp_path / "stopped" / "run.safetensors")
    assert found.step == outcome.step
    orphan = tmp_path / "stopped" / ".tinyres-01.tmp"
    orphan.touch()
    again, lines = conduct(kind, tmp_path / "stopped", resume=True, **seldom)
    assert again.status == "finished"
    assert lines[0].startswith(f"resuming from step {outcome.step} of 4: {RECIPES[kind].title}, ")
    conduct(kind, tmp_path / "whole", **seldom)
    extra = {"gan": [f"samples{os.sep}{outcome.step:06}.png is left over"], "train": []}[kind]  # drawn when it stopped
    if outcome.step == 3:
        extra = []
    assert different(left(tmp_path / "stopped"), left(tmp_path / "whole")) == extra


@pytest.mark.slow
def test_a_checkpoint_comes_every_so_many_steps(tmp_path, monkeypatch):
    saved = []
    write = training.checkpoint.save
    monkeypatch.setattr(training.checkpoint, "save", lambda run, path: saved.append(run.step) or write(run, path))
    conduct("gan", tmp_path / "gan", save_every=3, sample_every=99)
    assert saved == [3, 4]
    saved.clear()
    conduct("train", tmp_path / "train")
    assert saved == [2, 4]  # two batches an epoch
    saved.clear()
    conduct("train", tmp_path / "often", save_every=1)
    assert saved == [1, 2, 3, 4]


@EACH
@pytest.mark.slow
def test_a_folder_holds_one_run(tmp_path, kind):
    with pytest.raises(CheckpointError, match=r"there is no .*run\.safetensors to resume from"):
        conduct(kind, tmp_path, resume=True)
    conduct(kind, tmp_path)
    before = left(tmp_path)
    with pytest.raises(CheckpointError, match="already holds a run: resume it"):
        conduct(kind, tmp_path)
    with FolderLock(tmp_path), pytest.raises(FolderTaken, match="another run is writing into"):
        conduct(kind, tmp_path, resume=True)
    assert different(left(tmp_path), before) == []
    assert list(left(tmp_path)) == list(before)


@EACH
def test_a_folder_that_cannot_be_written_is_an_oserror(tmp_path, kind):
    (tmp_path / "taken").touch()
    for folder in (tmp_path / "taken", "/proc/nowhere"):
        with pytest.raises(OSError, match=r"taken|nowhere"):
            conduct(kind, folder)


@pytest.mark.parametrize(("save_every", "kept"), [(None, "nothing was saved before"), (1, "as it was after step ")])
def test_a_run_that_diverges_says_why_and_what_is_saved(tmp_path, save_every, kept):
    recipe = training.Recipe(arch="mlp", steps=20, lr=1e6)
    outcome = training.conduct(training.prepare(recipe), tmp_path, save_every=save_every)
    assert outcome.status == "diverged"
    assert "is too high; try a tenth" in outcome.reason
    assert kept in outcome.reason
    assert json.loads((tmp_path / "result.json").read_text())["steps"] == outcome.step < 20


@pytest.mark.slow
def test_it_runs_in_a_thread_which_gets_no_signals(tmp_path):
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(conduct("gan", tmp_path)[0].status))
    thread.start()
    thread.join()
    assert outcomes == ["finished"]


def test_a_second_control_c_is_not_waited_for_unless_it_is_the_same(monkeypatch):
    with Interrupts() as interrupts:
        assert not interrupts
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts
        os.kill(os.getpid(), signal.SIGINT)  # handed on twice
    monkeypatch.setattr("tinyres.training.interrupts.SAME", 0.0)
    with Interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
