"""`tinyres gan train --watch`: what it writes, what it costs, and that it goes on where it stopped."""

import json

import numpy as np
import pytest

import tinyres as tr
from tests.gan.command import SMALL, run
from tinyres import flow, gan
from tinyres.cli import gan_watch

pytestmark = pytest.mark.usefixtures("sketched")

PLAN = (*SMALL, "--steps", 6, "--no-score", "--sample-every", 6)


@pytest.mark.slow
def test_it_writes_the_game_and_a_page_and_says_what_that_took(capsys, tmp_path):
    status, out, _ = run(capsys, "train", *PLAN, "--watch", 2, "--out", tmp_path / "watched")
    assert status == 0
    assert "watching the game took" in out
    game = json.loads((tmp_path / "watched" / "game.json").read_text())
    assert game["labels"]["step"] == [0, 2, 4, 6]
    page = (tmp_path / "watched" / "report.html").read_text()
    # game, samples and training, for light and for dark pages, wide and narrow
    assert page.count("data:image/png") == 12
    assert "sideways" not in page.partition("</style>")[2], "a picture that a phone would cut off"
    assert "step 6" in page
    assert "The cost of a look" in page
    lanes = (tmp_path / "watched" / "run.html").read_text()
    assert "the field" in lanes
    assert (tmp_path / "watched" / "game-dark.png").exists()
    assert run(capsys, "train", *PLAN, "--out", tmp_path / "alone")[0] == 0
    assert not (tmp_path / "alone" / "game.json").exists()
    watched, alone = (tr.load(tmp_path / name / "generator.safetensors") for name in ("watched", "alone"))
    for name in alone:
        np.testing.assert_array_equal(watched[name], alone[name], err_msg=name)


def test_it_goes_on_without_being_told(capsys, tmp_path):
    """Steps 2 and 4 from one process, 6 from another."""
    recipe = gan.GANRecipe.of("nonsaturating", "ring8", width=8, batch_size=64, steps=6)
    trainer = gan.prepare(recipe)
    watch = flow.GameWatch(trainer, 2)
    watch.look()
    for _ in trainer.steps():
        if watch.due:
            watch.look()
        if trainer.step == 4:
            break
    trainer.notes = watch.notes()
    (tmp_path / "run").mkdir()
    gan.save(trainer, tmp_path / "run" / "run.safetensors")
    assert run(capsys, "train", "--resume", "--no-score", "--out", tmp_path / "run")[0] == 0
    game = json.loads((tmp_path / "run" / "game.json").read_text())
    assert game["labels"]["step"] == [0, 2, 4, 6]


@pytest.mark.parametrize(("steps", "every"), [(6, 1), (39, 1), (40, 2), (1_000, 50)])
def test_without_a_number_it_looks_twenty_times(steps, every, tmp_path):
    trainer = gan.prepare(gan.GANRecipe.of("nonsaturating", "ring8", width=8, batch_size=64, steps=steps))
    assert gan_watch.make(trainer, 0, tmp_path).every == every
    assert gan_watch.make(trainer, 3, tmp_path).every == 3
    assert gan_watch.make(trainer, None, tmp_path) is None


@pytest.mark.slow
def test_the_number_is_optional_and_at_least_1(capsys, tmp_path):
    status, _, err = run(capsys, "train", *PLAN, "--watch", -1, "--out", tmp_path)
    assert (status, "--watch -1: at least 1 is needed" in err) == (2, True)
    assert run(capsys, "train", *SMALL, "--steps", 2, "--no-score", "--watch", "--out", tmp_path)[0] == 0
    assert json.loads((tmp_path / "game.json").read_text())["labels"]["step"] == [0, 1, 2]
