"""The command as a user types it."""

import json

import pytest

from tinyres.cli import main


def run(capsys, *arguments):
    status = main(list(arguments))
    out, err = capsys.readouterr()
    return status, out, err


def test_list(capsys):
    status, out, _ = run(capsys, "flow", "--list")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == ["E2", "E3", "check", "digits"]


def test_digits_and_laws_end_in_tables_pictures_and_json(capsys, tmp_path):
    arguments = ("flow", "check", "digits", "--depth", "8", "--steps", "12", "--out")
    status, out, _ = run(capsys, *arguments, str(tmp_path / "a"))
    assert status == 0
    assert "who trains?" in out
    assert "Are the gradients true?" in out
    written = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert written == ["gradients.png", "result.json", "routes.png", "training.png"]
    assert all((tmp_path / "a" / name).read_bytes().startswith(b"\x89PNG") for name in written if name.endswith("png"))
    result = json.loads((tmp_path / "a" / "result.json").read_text())
    assert set(result) == {"laws", "training", "seed", "options", "versions", "seconds"}
    assert all(law["ok"] for law in result["laws"])
    assert {(r["arch"], r["depth"], r["steps"]) for r in result["training"]} == {("plain", 8, 12), ("resnet", 8, 12)}
    residual = result["training"][1]
    assert (len(residual["train_loss"]), len(residual["gradient_norm"]), len(residual["skip_share"])) == (12, 3, 3)

    # the same seed gives the same files, timings aside; another seed does not
    run(capsys, *arguments, str(tmp_path / "b"))
    run(capsys, *arguments, str(tmp_path / "c"), "--seed", "1")
    again, other = (json.loads((tmp_path / name / "result.json").read_text()) for name in "bc")
    assert {**again, "seconds": 0} == {**result, "seconds": 0}
    assert other["training"] != result["training"]
    for name in ("gradients.png", "routes.png", "training.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_law_that_fails_makes_the_exit_status_1(capsys, tmp_path, monkeypatch):
    from tinyres.flow import block_check

    monkeypatch.setattr(block_check, "STEP", 10.0)  # no difference quotient of this size is a derivative
    status, out, _ = run(capsys, "flow", "check", "--out", str(tmp_path))
    assert status == 1
    assert "do not hold" in out
    assert not all(law["ok"] for law in json.loads((tmp_path / "result.json").read_text())["laws"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("E22",), "no experiment called 'E22'; did you mean E2"),
        (("--depth", "0"), "--depth 0: the nets have 6 n + 2 layers"),
        (("--depth", "21"), "--depth 21"),
        (("--arch", "rasnet"), "no architecture called 'rasnet'; there are plain, resnet"),
        (("--steps", "0"), "--steps 0: at least one step"),
        (("--seed", "-1"), "--seed -1: a seed is not negative"),
        (("--out", "/proc/nowhere"), "cannot write into /proc/nowhere"),
    ],
)
def test_what_cannot_be_run_is_one_sentence(capsys, arguments, message):
    status, _, err = run(capsys, "flow", *arguments)
    assert status == 2
    assert err.startswith("tinyres flow: ")
    assert message in err
    assert err.count("\n") == 1


def test_names_in_any_case_go_into_a_folder_of_their_own(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, _ = run(capsys, "flow", "CHECK")
    assert status == 0
    assert (tmp_path / "flow-results" / "check" / "result.json").exists()


def test_what_cannot_be_written_is_said_in_a_sentence(capsys, tmp_path):
    (tmp_path / "result.json").mkdir()
    status, _, err = run(capsys, "flow", "check", "--out", str(tmp_path))
    assert status == 2
    assert "cannot write" in err
    assert "result.json" in err


def test_without_a_command_there_is_help(capsys):
    status, out, _ = run(capsys)
    assert status == 0
    assert "flow" in out


def test_one_step_is_enough_for_every_picture(capsys, tmp_path):
    status, _, _ = run(capsys, "flow", "digits", "--depth", "8", "--steps", "1", "--out", str(tmp_path))
    assert status == 0


def test_a_missing_extra_is_named(capsys, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    status, _, err = run(capsys, "flow")
    assert status == 2
    assert "needs rich, matplotlib, scikit-learn: pip install 'tinyres[lab]'" in err


def test_a_diverging_net_still_gives_valid_json(tmp_path):
    from tinyres.flow import Options, Result, report

    report.save_json([Result(training=[{"loss": [1.0, float("nan")]}])], Options(), [], {}, tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["training"] == [{"loss": [1.0, None]}]
