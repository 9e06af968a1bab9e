"""Experiments at several seeds: the spread, what is kept, what is run again."""

import json
import re

import pytest

from tinyres.cli import main
from tinyres.lab import report, seeds
from tinyres.lab.registry import EXPERIMENTS, ROOMS, Experiment, Law, Options, Result
from tinyres.lab.report.files import describe

pytestmark = pytest.mark.usefixtures("sketched")

CALLED = []


def draws(options, tick):
    """A law that holds at even seeds, and a training that comes to its seed."""
    CALLED.append(options.seed)
    if options.seed in (13, 98, 99):
        raise MemoryError("no room")
    measured = float(options.seed)
    laws = [
        Law("even", measured % 2, 0, 0.1, "exact", "a"),
        Law("grows", measured, -1, 0, "ordering", "b"),
        Law("same", measured, measured, 0.0, "check", "c"),
        Law("seen", measured, float("nan"), float("nan"), "figure", ""),
    ]
    return Result(laws, figures={"": lambda figure: figure.subplots().plot([0, measured])}, found=f"found {measured:g}")


@pytest.fixture
def here(monkeypatch, tmp_path):
    """The experiment E0, its seeds run in this process, since no other one knows it; returns the folder."""
    experiment = Experiment("E0", "seeds", "none", "a", lambda options: 1, draws, 0.1, varies="the seed", seeds=5)
    for known in (EXPERIMENTS, ROOMS["laws"]):
        monkeypatch.setitem(known, "E0", experiment)
    monkeypatch.setattr(seeds, "each", lambda work, items, jobs: ((item, work(item)) for item in items))
    CALLED.clear()
    return tmp_path


def run(folder, *arguments):
    return main(["flow", "E0", "--out", str(folder), *arguments])


def test_figures_with_their_spread(here, capsys):
    assert run(here, "--seeds", "5") == 1
    out = capsys.readouterr().out
    assert re.search(r"even .* 0.4 ± 0.55 .* 0 ± 0.1 .* 3 .* FAILS", out)
    assert re.search(r"grows .* 2 ± 1.6 .* > -1 .* 5 .* holds", out)
    assert re.search(r"same .* 5 .* agrees", out)
    assert re.search(r"seen .* 2 ± 1.6 .* - .* - .* shown", out)
    assert "1 of 2 laws hold; 1 of 1 check agrees" in out
    document = json.loads((here / "E0.json").read_text())
    even, grows, *_ = document["seeds"]["laws"]
    assert (even["measured"], even["holds"]) == ([0, 1, 0, 1, 0], 3)
    assert grows["interval"][0] == pytest.approx(3 - 1.9632, abs=1e-3)  # of measured - predicted; t(4) 2.776
    assert document["found"] == "found 0"
    assert document["figures"] == ["E0.png", "E0-seeds.png"]
    page = (here / "report.html").read_text()
    assert "At 5 seeds (0 to 4): 1 of 2 laws hold; 1 of 1 check agrees. What depends on the seed: the seed." in page
    assert '<td class="number">3 of 5</td>' in page


def test_with_fewer_seeds_there_is_no_verdict(here, capsys):
    assert run(here, "--seeds", "2") == 0
    out = capsys.readouterr().out
    assert "1 of 1 check agrees\n" in out
    assert "no verdict yet; run more seeds: tinyres flow E0 --seeds 5" in out
    assert run(here) == 0
    assert "more seeds: tinyres flow E0 --seeds 5" in capsys.readouterr().out
    assert "A verdict needs 5 seeds: <code>tinyres flow E0 --seeds 5</code>." in (here / "report.html").read_text()


@pytest.mark.slow
def test_what_is_finished_is_not_run_again(here, capsys, monkeypatch):
    run(here, "--seeds", "2")
    run(here, "--seeds", "4")
    assert CALLED == [0, 1, 2, 3]
    run(here, "--seeds", "2", "--seed", "3")  # the pictures of seed 3 are missing
    assert CALLED == [0, 1, 2, 3, 3, 4]
    (here / "seeds" / "E0-seed1.json").write_text("{")
    (here / "E0.png").unlink()
    run(here, "--seeds", "3")
    assert sorted(CALLED[6:]) == [0, 1]
    monkeypatch.setattr(seeds, "code", lambda: "of another day")
    run(here, "--seeds", "3")
    assert sorted(CALLED[8:]) == [0, 1, 2]


@pytest.mark.slow
def test_a_kept_figure_that_was_edited_is_measured_again(here, capsys):
    run(here, "--seeds", "2")
    path = here / "seeds" / "E0-seed1.json"
    whole = path.read_text()
    for damaged in (whole.replace("found 1", "found 7"), "[" * 100_000, whole[:-50], '{"check": 1}'):
        path.write_text(damaged)
        run(here, "--seeds", "2")
        kept, first = json.loads(path.read_text()), json.loads(whole)
        assert kept["found"] == first["found"] == "found 1"
    assert CALLED == [0, 1, 1, 1, 1, 1]


def test_a_seed_that_fails_spares_the_others(here, capsys):
    assert run(here, "--seeds", "5", "--seed", "10") == 1
    out = capsys.readouterr().out
    assert "E0, seed 13 failed: MemoryError: no room" in out
    assert "1 of 1 check agrees" in out
    assert json.loads((here / "E0.json").read_text())["seeds"]["done"] == [10, 11, 12, 14]
    assert "Seed 13 failed: MemoryError: no room" in (here / "report.html").read_text()
    assert run(here, "--seeds", "5", "--seed", "10") == 1
    assert CALLED.count(13) == 2
    assert CALLED.count(12) == 1
    assert run(here, "--seeds", "2", "--seed", "98") == 2
    assert "E0 failed at every seed: MemoryError: no room" in capsys.readouterr().err


def test_laws_have_the_same_names_at_every_seed():
    experiment = EXPERIMENTS["E3"]
    found = {
        k: describe(experiment, Result([Law(f"law {k}", 1, 1, 0, "exact", "")]), Options(seed=k), 0.0, [])
        for k in range(2)
    }
    with pytest.raises(ValueError, match="E3: the laws of seed 1 have other names"):
        report.gather(found, {})


def test_a_threshold_that_depends_on_the_seed_is_shown_as_the_mean_that_it_is():
    """Beside the largest one, a mean that holds at nearly all seeds would seem to lie below what it must exceed."""
    experiment = EXPERIMENTS["E3"]
    found = {
        k: describe(experiment, Result([Law("more", 2, 0, noise, "ordering", "")]), Options(seed=k), 0.0, [])
        for k, noise in enumerate((1.0, 1.5, 3.5))
    }
    (row,) = report.gather(found, {})["seeds"]["laws"]
    assert (row["tolerance"], row["holds"]) == (2.0, 2)


@pytest.mark.slow
def test_on_all_cores_it_finds_what_one_finds(tmp_path, capsys):
    """In processes of their own, and equal to the command without --seeds but for the last bits of threaded sums."""
    assert main(["flow", "E8", "--seeds", "2", "--jobs", "2", "--out", str(tmp_path / "two")]) == 0
    assert main(["flow", "E8", "--out", str(tmp_path / "one")]) == 0
    two, one = (json.loads((tmp_path / name / "E8.json").read_text()) for name in ("two", "one"))
    for spread, law in zip(two["seeds"]["laws"], one["laws"], strict=True):
        assert spread["measured"][0] == pytest.approx(law["measured"], rel=1e-6, abs=1e-9)
    assert (tmp_path / "two" / "E8.png").read_bytes().startswith(b"\x89PNG")
