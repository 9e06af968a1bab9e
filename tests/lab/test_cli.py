"""The command as a user types it."""

import json
import re

import pytest

from tinyres.cli import main
from tinyres.lab.registry import EXPERIMENTS, GROUPS, TOUR


def run(capsys, *arguments):
    status = main(list(arguments))
    out, err = capsys.readouterr()
    return status, out, err


def test_list(capsys):
    status, out, _ = run(capsys, "flow", "--list")
    assert status == 0
    names = {line.split()[0].strip("*") for line in out.splitlines() if line.strip()}
    assert set(EXPERIMENTS) <= names


def test_the_help_names_the_tour_and_the_groups(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["flow", "--help"])
    assert stopped.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"a tour of {', '.join(TOUR[:-1])} and {TOUR[-1]}." in text
    assert f"Groups: {', '.join(GROUPS)}." in text


@pytest.mark.usefixtures("sketched")
def test_digits_and_laws_end_in_tables_pictures_and_json(capsys, tmp_path):
    arguments = ("flow", "check", "digits", "--depth", "8", "--steps", "12", "--out", str(tmp_path))
    status, out, _ = run(capsys, *arguments)
    assert status == 0
    assert "check: the gradients are correct" in out
    assert "6 of 6 checks agree" in out
    assert "branch.0.weight" not in out  # its rows are on the page, and behind --rows
    assert "which nets train?" not in out
    pictures = ["digits.png", "digits-gradients.png", "digits-routes.png", "digits-training.png"]
    pictures += [name.replace(".png", "-narrow.png") for name in pictures]
    dark = [name.replace(".png", "-dark.png") for name in pictures]
    written = sorted(p.name for p in tmp_path.iterdir())
    assert written == sorted(["check.json", "digits.json", "report.html", *pictures, *dark])
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    check, digits = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("check", "digits"))
    assert out.endswith(f"\n\n{digits['found']}\n")  # the tour ends with its sentence
    assert out.count(digits["found"]) == 1, "and says it once"
    assert "Not complete" not in (tmp_path / "report.html").read_text()
    assert len(out.splitlines()) < 30
    assert len(check["laws"]) == 6
    assert all(law["ok"] for law in check["laws"])
    assert digits["figures"] == [pictures[i] for i in (0, 1, 3, 2)]
    runs = digits["data"]["training"]
    assert {(r["arch"], r["depth"], r["steps"]) for r in runs} == {("plain", 8, 12), ("resnet", 8, 12)}
    assert (len(runs[1]["train_loss"]), len(runs[1]["gradient_norm"]), len(runs[1]["skip_share"])) == (12, 3, 3)


@pytest.mark.slow
@pytest.mark.usefixtures("sketched")
def test_the_same_seed_gives_the_same_files_timings_aside_and_another_seed_does_not(capsys, tmp_path):
    """A sketch tells all that a figure shows."""
    for name, seed in zip("abc", "001", strict=True):
        run(capsys, "flow", "digits", "--depth", "8", "--steps", "2", "--seed", seed, "--out", str(tmp_path / name))
    first, again, other = (json.loads((tmp_path / name / "digits.json").read_text()) for name in "abc")
    assert {**again, "seconds": 0} == {**first, "seconds": 0}
    assert other["data"] != first["data"]
    pictures = [path.name for path in (tmp_path / "a").glob("*.png")]
    assert len(pictures) == 16
    for name in pictures:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("sketched")
def test_the_page_needs_no_network_and_grows_with_the_folder(capsys, tmp_path):
    run(capsys, "flow", "check", "--out", str(tmp_path))
    first = (tmp_path / "report.html").read_text()
    assert "6 of 6 checks agree" in first
    assert 'id="digits"' not in first
    (tmp_path / "other.json").write_text("[1, 2]")  # not ours: passed over
    (tmp_path / "broken.json").write_text("{")
    status, _, _ = run(capsys, "flow", "digits", "--depth", "8", "--steps", "1", "--out", str(tmp_path))
    assert status == 0, "one step is enough for every picture"
    page = (tmp_path / "report.html").read_text()
    assert 'id="check"' in page
    assert page.count("data:image/png;base64,") == 16  # each for light and for dark pages, wide and narrow
    assert page.count("<picture>") == page.count('<source media="(prefers-color-scheme: dark)"') == 4
    found = json.loads((tmp_path / "digits.json").read_text())["found"]
    assert (
        page.index("<picture>")
        < page.index(f'<p class="lead">{found.replace(chr(39), "&#39;")}')
        < page.index('aria-label="All experiments"')
    )
    assert page.index('id="digits"') < page.index('id="check"')
    assert page.count("<details>") == page.count("<summary>") >= 3
    assert not re.search(r"(src|href)=.?https?:", page)
    assert "<script" not in page


def test_a_law_that_fails_makes_the_exit_status_1(capsys, tmp_path, monkeypatch):
    from tinyres.lab.laws import block_check

    monkeypatch.setattr(block_check, "STEP", 10.0)  # no difference quotient of this size is a derivative
    status, out, _ = run(capsys, "flow", "check", "--out", str(tmp_path))
    assert status == 1
    assert "do not hold" in out
    assert re.search(r"branch.0.weight .* FAILS", out)  # what fails is shown without being asked for
    assert not all(law["ok"] for law in json.loads((tmp_path / "check.json").read_text())["laws"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("E220",), "no experiment called 'E220'; did you mean E22"),
        (("--depth", "0"), "--depth 0: plain: depth must be 6 n + 2 with n >= 1 (8, 14, 20, ...), got 0; 8 is near"),
        (("--depth", "21"), "--depth 21"),
        (("--arch", "rasnet"), "no architecture called 'rasnet'; did you mean resnet"),
        (("--steps", "0"), "--steps 0: must be at least 1"),
        (("--seed", "-1"), "--seed -1: must not be negative"),
        (("E3", "--depth", "8"), "--depth: only for `digits`, which is not among E3; add digits or drop"),
        (("check", "--arch", "plain", "--steps", "3"), "--arch and --steps: only for `digits`"),
        (("--out", "/proc/nowhere"), "cannot write into /proc/nowhere"),
    ],
)
def test_what_cannot_be_run_is_one_sentence(capsys, arguments, message):
    status, _, err = run(capsys, "flow", *arguments)
    assert status == 2
    assert err.startswith("tinyres flow: ")
    assert message in err
    assert err.count("\n") == 1


def test_rows_shows_each_measurement_below_what_was_found(capsys, tmp_path):
    """Unless it is asked for, a long table would bury the sentence that it leads to."""
    _, out, _ = run(capsys, "flow", "check", "--rows", "--out", str(tmp_path))
    found = json.loads((tmp_path / "check.json").read_text())["found"]
    told = " ".join(out.split())
    assert told.index(found) < told.index("6 of 6 checks agree;") < told.index("branch.0.weight")
    assert told.count(found) == 1


@pytest.mark.parametrize("seeds", ["1", "2"])
def test_ctrl_c_says_what_is_kept(capsys, tmp_path, monkeypatch, seeds):
    from tinyres.cli import flow_runs

    def stopped(console, names, options, arguments):
        yield {"name": "check", "laws": [], "seeds": {"laws": [], "failed": []}}
        raise KeyboardInterrupt

    monkeypatch.setattr(flow_runs, "one_seed", stopped)
    monkeypatch.setattr(flow_runs, "several_seeds", stopped)
    status, out, _ = run(capsys, "flow", "E2", "E3", "--seeds", seeds, "--out", str(tmp_path))
    assert status == 130
    said = " ".join(out.split())
    assert f"stopped; 1 of 2 experiments is in {tmp_path}" in said
    assert ("repeat the command to continue" in said) == (seeds == "2")


def test_names_in_any_case_and_the_folder_they_go_to(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, _ = run(capsys, "flow", "CHECK")
    assert status == 0
    assert (tmp_path / "flow-results" / "check.json").exists()


def test_what_cannot_be_written_is_said_in_a_sentence_and_what_is_finished_is_kept(capsys, tmp_path):
    (tmp_path / "E19.json").mkdir()
    arguments = ("check", "E19", "--jobs", "1", "--out", str(tmp_path))
    status, out, err = run(capsys, "flow", *arguments)
    assert status == 2
    assert "cannot write" in err
    assert "E19.json" in err
    assert "6 of 6 checks agree" in out
    assert (tmp_path / "check.json").exists()
    assert not list(tmp_path.glob(".*"))  # nothing half written


def test_without_a_command_there_is_help(capsys):
    status, out, _ = run(capsys)
    assert status == 0
    assert "flow" in out


def test_a_missing_extra_is_named(capsys, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    status, _, err = run(capsys, "flow")
    assert status == 2
    assert "needs rich, matplotlib, scikit-learn, jinja2: pip install 'tinyres[lab]'" in err


def test_a_diverging_net_still_gives_valid_json(tmp_path):
    from tinyres.lab import report
    from tinyres.lab.registry import Options, Result

    result = Result(data={"loss": [1.0, float("nan")]})
    report.save(EXPERIMENTS["check"], result, Options(), 0.0, tmp_path)
    assert json.loads((tmp_path / "check.json").read_text())["data"] == {"loss": [1.0, None]}


@pytest.mark.slow
def test_several_experiments_side_by_side_find_what_they_find_in_turn(capsys, tmp_path, sketched):
    found = {}
    for jobs in "12":
        arguments = ("check", "E19", "digits", "--depth", "8", "--steps", "2", "--jobs", jobs)
        status, out, _ = run(capsys, "flow", *arguments, "--out", str(tmp_path / jobs))
        assert status == 0
        assert all(word in out for word in ("the gradients are correct", "digits: real digits", "report.html"))
        found[jobs] = {p.name: json.loads(p.read_text()) for p in (tmp_path / jobs).glob("*.json")}
    assert found["1"].keys() == found["2"].keys() == {"check.json", "E19.json", "digits.json"}
    for name, one in found["1"].items():
        two = found["2"][name]
        assert [law["name"] for law in one["laws"]] == [law["name"] for law in two["laws"]]
        assert one["figures"] == two["figures"]
        measured = [[law["measured"] for law in document["laws"]] for document in (one, two)]
        assert measured[0] == pytest.approx(measured[1], rel=1e-4)  # sums on one thread, and on all


def test_an_experiment_that_fails_in_its_process_says_where(tmp_path, monkeypatch):
    from tinyres.lab import side_by_side
    from tinyres.lab.laws import block_check
    from tinyres.lab.registry import Options

    monkeypatch.setattr(block_check, "STEP", None)
    error = side_by_side.attempt(side_by_side.Work("check", Options(), tmp_path))
    assert isinstance(error, TypeError)
    assert "block_check.py" in error.__notes__[0]
