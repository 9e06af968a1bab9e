"""`gan.compare` and its command: every run is taken once, goes on where it was killed, and is never mixed up."""

import json
import re

import numpy as np
import pytest

from tests.gan.command import run
from tinyres import gan, training
from tinyres.gan.compare import figures_of, finished

pytestmark = pytest.mark.usefixtures("sketched")

SMALL = "width=8,batch_size=32,steps=4"
TEXTS = [f"nonsaturating,{SMALL}", f"r3gan,{SMALL},penalty_every=2"]
NAMES = {"modes", "high_quality", "reverse_kl"}


def compare(folder, texts=TEXTS, seeds=(0, 1), **options):
    return gan.compare("ring8", [gan.Entrant.of(text) for text in texts], seeds, folder, **options)


def test_each_run_is_scored_once_and_read_again(tmp_path):
    ticks = []
    first = compare(tmp_path, tick=lambda step, total: ticks.append(step))
    assert [entry.entrant.text for entry in first] == TEXTS
    assert all(set(entry.found) == {0, 1} and not entry.failed for entry in first)
    assert all(set(figures) == NAMES for entry in first for figures in entry.found.values())
    assert max(ticks) == 4
    ticks.clear()
    assert compare(tmp_path, tick=lambda step, total: ticks.append(step)) == first
    assert not ticks
    assert len(compare(tmp_path, seeds=(0, 1, 2))[0].values("modes")) == 3
    assert max(ticks or [4]) == 4


@pytest.mark.slow
def test_a_killed_run_goes_on_bit_for_bit(tmp_path):
    whole = compare(tmp_path / "whole", TEXTS[1:], [0])
    trainer = gan.prepare(gan.Entrant.of(TEXTS[1]).recipe("ring8", 0))
    steps = trainer.steps()
    next(steps)
    next(steps)
    folder = tmp_path / "killed" / f"{TEXTS[1]}-seed0"
    folder.mkdir(parents=True)
    training.save(trainer, folder / "run.safetensors")
    began = []
    assert compare(tmp_path / "killed", TEXTS[1:], [0], tick=lambda step, total: began.append(step)) == whole
    assert began[0] == 2


def test_a_run_killed_before_its_score_is_scored(tmp_path):
    whole = compare(tmp_path, TEXTS[:1], [0])
    (tmp_path / f"{TEXTS[0]}-seed0" / "result.json").unlink()
    assert compare(tmp_path, TEXTS[:1], [0]) == whole


def test_another_recipe_and_a_damaged_result_are_refused(tmp_path):
    compare(tmp_path, TEXTS[:1], [0])
    folder = tmp_path / f"{TEXTS[0]}-seed0"
    with pytest.raises(gan.CheckpointError, match="other settings"):
        finished(folder, gan.Entrant.of(TEXTS[0]).recipe("ring8", 1))
    result = folder / "result.json"
    for damage in ("{", "[]", json.dumps(json.loads(result.read_text()) | {"score": {"figures": {"modes": "many"}}})):
        result.write_text(damage)
        with pytest.raises(gan.CheckpointError, match="is damaged"):
            compare(tmp_path, TEXTS[:1], [0])


def test_a_run_that_diverges_is_listed_and_the_others_go_on(tmp_path):
    wild = f"nonsaturating,{SMALL},lr_g=1e30,lr_d=1e30"
    found = compare(tmp_path, [wild, TEXTS[0]], [0])
    assert not found[0].found
    assert "loss is nan" in found[0].failed[0]
    assert np.isfinite(found[1].values("modes")).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("r4gan", "no method called 'r4gan'"),
        ("r3gan,steps", "must be a setting of the run and its value"),
        ("r3gan,seed=1", "must be a setting"),
        ("r3gan,colour=red", "must be a setting"),
        ("r3gan,steps=many", "steps=many: needs int"),
        ("r3gan,spectral_norm=maybe", "needs bool"),
    ],
)
def test_what_cannot_be_read(text, said):
    with pytest.raises(ValueError, match=said):
        gan.Entrant.of(text)


def test_settings_have_their_types():
    changes = gan.Entrant.of("r3gan,steps=5,lr_g=1e-3,spectral_norm=true,penalty=none,beta2_end=0.9").changes
    assert changes == {"steps": 5, "lr_g": 1e-3, "spectral_norm": True, "penalty": "none", "beta2_end": 0.9}


def test_each_kind_of_data_has_its_figures():
    assert "frechet_ratio" in figures_of("digits")
    assert figures_of("stacked-digits") == ("modes", "reverse_kl")
    assert set(figures_of("grid25")) == NAMES


@pytest.mark.slow
def test_the_command_prints_a_table_and_draws_it(tmp_path, capsys):
    status, out, _ = run(capsys, "compare", "--data", "ring8", "--methods", *TEXTS, "--seeds", 2, "--out", tmp_path)
    assert status == 0
    assert "high quality" in out
    assert "±" in out
    assert "ring8, 2 seeds" in out
    _, alone, _ = run(capsys, "compare", "--data", "ring8", "--methods", *TEXTS, "--seeds", 1, "--out", tmp_path)
    assert re.search(r"ring8, 1 seed\b", alone)
    assert not re.search("±| to ", alone), "of one value there is no spread"
    _, again, _ = run(capsys, "compare", "--data", "ring8", "--methods", *TEXTS, "--seeds", 2, "--out", tmp_path)
    assert again.split("ring8, 2 seeds")[1] == out.split("ring8, 2 seeds")[1]
    document = json.loads((tmp_path / "compare.json").read_text())
    assert [entry["method"] for entry in document["entries"]] == TEXTS
    assert set(document["entries"][0]["seeds"]) == {"0", "1"}
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")
    for wrong, said in (
        (["--seeds", 0], "--seeds 0"),
        (["--methods", "r4gan"], "r4gan"),
        (["--data", "ring"], "ring8"),
    ):
        status, _, err = run(capsys, "compare", "--out", tmp_path, *wrong)
        assert (status, said in err) == (2, True)
