"""`tinyres gan sample`, `score` and `probe` as a user types them."""

import json
import re

import pytest
from rich.console import Console

from tests.gan.command import run
from tinyres import gan
from tinyres.cli import gan_evaluate
from tinyres.gan.losses import OF_FAKES


@pytest.mark.slow
def test_samples_of_a_run_by_seed(capsys, trained, tmp_path):
    made = []
    for seed in (1, 1, 2):
        status, out, _ = run(capsys, "sample", trained, "--n", 9, "--seed", seed, "--out", tmp_path / "x.png")
        assert (status, "x.png" in out) == (0, True)
        made.append((tmp_path / "x.png").read_bytes())
    assert made[0].startswith(b"\x89PNG")
    assert made[0] == made[1] != made[2]


def test_the_score_of_a_run(capsys, trained):
    status, out, _ = run(capsys, "score", trained, "--n", 100)
    assert status == 0
    assert "of 8 modes" in out
    assert "from 100 samples" in out


def test_the_score_of_images_is_a_table(capsys):
    figures = dict.fromkeys(
        ("frechet", "frechet_real", "frechet_ratio", "mmd", "mmd_error", "precision", "recall", "inception_score"), 0.25
    )
    found = gan.Score(figures | {"sure": 0.829}, [], [0.8, 0.029], "features of a judge")
    console = Console(width=80)
    gan_evaluate._print_images(found, console)
    out = capsys.readouterr().out
    assert out.count("features of a judge") == 1
    assert "these by class: 0: 80.0 %, 1: 2.9 %\n" in out
    assert re.search(r"recall +0\.250 +share of the real data that samples reach *\n", out)


@pytest.mark.slow
@pytest.mark.usefixtures("sketched")
def test_the_probe_writes_a_table_a_picture_and_its_figures(capsys, tmp_path):
    status, out, _ = run(capsys, "probe", "--data", "gaussians", "--steps", 20, "--out", tmp_path)
    assert status == 0
    for name in ("sat.", "non-sat.", "LSQ", "hinge", "W", "cosine to that of nonsaturating"):
        assert name in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["probe.json", "probe.png"]
    document = json.loads((tmp_path / "probe.json").read_text())
    assert [point["step"] for point in document["points"]] == [0, 1, 3, 10, 20]
    assert set(document["points"][0]["gradient_norm"]) == set(OF_FAKES)


@pytest.mark.slow
@pytest.mark.usefixtures("sketched")
def test_nothing_of_the_probe_is_cut_at_80_columns(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = run(capsys, "probe", "--data", "gaussians", "--distance", 300, "--steps", 100, "--out", tmp_path)
    points = json.loads((tmp_path / "probe.json").read_text())["points"]
    last = next(line for line in out.splitlines() if line.split()[:1] == ["100"])
    assert last.split()[4:] == [f"{value:.2g}" for value in points[-1]["gradient_norm"].values()]
    assert points[-1]["gradient_norm"]["saturating"] < 1e-10
    assert "…" not in out


@pytest.mark.usefixtures("sketched")
def test_the_probe_takes_the_generator_of_a_run(capsys, trained, tmp_path):
    taken = ("--checkpoint", trained, "--steps", 2, "--out", tmp_path)
    assert run(capsys, "probe", "--data", "ring8", *taken)[0] == 0
    assert json.loads((tmp_path / "probe.json").read_text())["generator"].endswith("run")
    status, _, err = run(capsys, "probe", *taken)
    assert (status, "a generator of ring8, not of digits; say --data ring8" in err) == (2, True)


@pytest.mark.slow
def test_a_classifier_that_cannot_be_read_is_one_sentence(capsys, tmp_path):
    """Its file is a folder here; any other failure of a disk is told in the same way."""
    digits = ("train", "--width", "4", "--batch-size", "8", "--steps", 1, "--no-score", "--out", tmp_path / "run")
    assert run(capsys, *digits)[0] == 0
    (tmp_path / "classifier-digits-0.safetensors").mkdir()
    status, _, err = run(capsys, "score", tmp_path / "run", "--n", 4)
    assert status == 2
    assert err.startswith("tinyres gan score: ")
    assert "classifier-digits-0.safetensors" in err
    assert err.count("\n") == 1
