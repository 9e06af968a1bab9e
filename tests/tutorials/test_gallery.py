"""The gallery's text: what is shown, what is escaped, and where results come from."""

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest

from tinyres.lab.registry import EXPERIMENTS, Law, Options, Result
from tinyres.lab.report import save

pytestmark = pytest.mark.usefixtures("sketched")

SOURCE = Path(__file__).parents[2] / "tutorials" / "_gallery.py"
SPEC = importlib.util.spec_from_file_location("gallery_of_the_site", SOURCE)
gallery = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(gallery)


class App:
    """As much of Sphinx as `fill` asks for."""

    def __init__(self, folder):
        self.srcdir, self.doctreedir, self.env = str(folder), str(folder / "trees"), self
        self.reread = 0

    def note_reread(self):
        self.reread += 1


def laws(n):
    return [Law(f"a|b_{i} *c*", 1.0, 1.0 + (i == 0), 0.5, "exact", "derived") for i in range(n)]


def written(folder, n):
    folder.mkdir()
    result = Result(laws(n), note="where |g| < 1", figures={"": lambda figure: figure.subplots()})
    save(EXPERIMENTS["E3"], result, Options(), 1.0, folder)
    return folder


def filled(monkeypatch, tmp_path, n):
    monkeypatch.setenv("TINYRES_RESULTS", str(written(tmp_path / "results", n)))
    content, app = ["# The experiments\n"], App(tmp_path)
    gallery.fill(app, "gallery", content)
    assert app.reread == 1
    return content[0]


def test_an_experiment_that_was_run_is_shown_with_its_figure_and_verdicts(monkeypatch, tmp_path):
    text = filled(monkeypatch, tmp_path, 3)
    assert "![E3.png](<results/E3.png>){.gallery-figure}" in text
    assert r"| a\|b\_0 \*c\* | [FAILS]{.fails} | 1 | 2 ± 0.5 | exact |" in text
    assert r"| a\|b\_1 \*c\* | [holds]{.holds} | 1 | 1 ± 0.5 | exact |" in text
    assert r"where \|g\| \< 1" in text
    assert "seed 0, 1.0 s" in text
    assert "<details>" not in text


def test_many_laws_fold_away_below_their_count(monkeypatch, tmp_path):
    assert "<details><summary>9 figures: 8 of 9 laws hold</summary>" in filled(monkeypatch, tmp_path, 9)


def test_what_was_not_run_is_listed_with_its_command(monkeypatch, tmp_path):
    text = filled(monkeypatch, tmp_path, 1)
    assert text.count("Not run for this page: ") == len(EXPERIMENTS) - 1
    assert "Not run for this page: `tinyres flow E2`, about 3 s." in text


def test_other_pages_are_left_alone(tmp_path):
    content = ["# Another\n"]
    gallery.fill(App(tmp_path), "index", content)
    assert content == ["# Another\n"]


def test_without_results_the_starred_experiments_are_run(monkeypatch, tmp_path):
    monkeypatch.delenv("TINYRES_RESULTS", raising=False)
    monkeypatch.setattr(gallery, "ROOT", tmp_path)
    ran = []

    def instead(command, **options):
        ran.append(command)
        return subprocess.CompletedProcess(command, returncode=status, stderr="out of luck")

    monkeypatch.setattr(subprocess, "run", instead)
    own, status = tmp_path / "own", 2
    with pytest.raises(RuntimeError, match="out of luck"):
        gallery._results(own)
    status = 1  # a law does not hold: that is shown
    assert gallery._results(own) == own
    assert ran[1][1:] == ["-m", "tinyres.cli", "flow", "starred", "--out", str(own)]
    written(tmp_path / "flow-results", 1)
    assert gallery._results(own) == tmp_path / "flow-results"
    assert len(ran) == 2


def test_a_folder_that_was_named_has_to_hold_results_that_are_readable(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYRES_RESULTS", str(tmp_path))
    with pytest.raises(RuntimeError, match="holds no result"):
        gallery._results(tmp_path)
    written(tmp_path / "results", 1)
    (tmp_path / "results" / "E2.json").write_text(json.dumps({"format": "tinyres experiment 1"}))
    monkeypatch.setenv("TINYRES_RESULTS", str(tmp_path / "results"))
    with pytest.raises(RuntimeError, match=r"not readable: E2\.json"):
        gallery.fill(App(tmp_path), "gallery", [""])
