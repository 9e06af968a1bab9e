"""A law at other settings than its own, from the command and from Python."""

import json

import pytest

from tinyres import lab
from tinyres.cli import main
from tinyres.lab import report
from tinyres.lab.registry import EXPERIMENTS, ROOMS, Experiment, Law, Options, Result, Setting, SettingError, chosen
from tinyres.lab.report.files import file_name

SETTINGS = {
    "m": Setting(1.0, "scale of the shortcut", low=0, high=3),
    "depth": Setting(10, "blocks", low=1),
    "way": Setting("there", "which way", choices=("there", "back")),
}


def half(options, tick):
    """A law of three settings: it shows what it was given."""
    m = options.settings.get("m", 0.5)
    return Result([Law("m", m, 0.5, 1e-9, "exact", "")], data=dict(options.settings), found=f"m is {m:g}")


@pytest.fixture
def half_law(monkeypatch):
    experiment = Experiment("E0", "a half", "1/2", "nobody", lambda options: 1, half, 0.1, settings=SETTINGS)
    for known in (EXPERIMENTS, ROOMS["laws"]):
        monkeypatch.setitem(known, "E0", experiment)
    return experiment


def test_what_is_not_given_keeps_its_default():
    assert chosen("E0", SETTINGS, {}) == {}
    assert chosen("E0", SETTINGS, {"m": "0.9"}) == {"m": 0.9, "depth": 10, "way": "there"}
    assert chosen("E0", SETTINGS, {"depth": 20, "way": "back"}) == {"m": 1.0, "depth": 20, "way": "back"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": 1}, r"E0 has no setting 'n'; it has m \(scale of the shortcut\), depth \(blocks\), way"),
        ({"dept": 1}, r"did you mean depth\?"),
        ({"m": "x"}, r"E0: m=x \(scale of the shortcut\): a number from 0 to 3 is needed"),
        ({"m": 3.5}, "a number from 0 to 3 is needed"),
        ({"m": "nan"}, "a number from 0 to 3 is needed"),
        ({"depth": 2.5}, "a whole number of at least 1 is needed"),
        ({"depth": "inf"}, "a whole number of at least 1 is needed"),
        ({"depth": 0}, "a whole number of at least 1 is needed"),
        ({"way": "up"}, "one of there, back is needed"),
    ],
)
def test_what_cannot_be_run_says_what_can(given, message):
    with pytest.raises(SettingError, match=message):
        chosen("E0", SETTINGS, given)


def test_from_python(half_law):
    result = lab.run("E0", m=0.5, way="back")
    assert result.data == {"m": 0.5, "depth": 10, "way": "back"}
    assert "holds" in str(result)
    assert "m is 0.5" in str(result)
    with pytest.raises(KeyError, match="no experiment called 'E33'; did you mean"):
        lab.run("E33")
    with pytest.raises(SettingError, match="has no settings"):
        lab.run("check", m=1)
    with pytest.raises(ValueError, match="device"):
        lab.run("E0", device="tpu")


def test_files_of_other_settings_lie_beside_the_experiments_own(half_law, tmp_path, capsys):
    assert main(["flow", "E0", "--out", str(tmp_path)]) == 0
    assert main(["flow", "E0", "--set", "m=0.9", "depth=3", "--out", str(tmp_path)]) == 1
    assert "E0 at m=0.9, depth=3, way=there: one case" in capsys.readouterr().out, "defaults are told as well"
    found = json.loads((tmp_path / "E0-m=0.9,depth=3.json").read_text())
    assert found["data"] == {"m": 0.9, "depth": 3, "way": "there"}
    assert json.loads((tmp_path / "E0.json").read_text())["data"] == {}
    page = (tmp_path / "report.html").read_text()
    assert "E0 at m=0.9, depth=3: a half" in page
    assert "1 of 2 laws hold" in page
    at_defaults = Options(settings=chosen("E0", SETTINGS, {"m": 1.0}))
    assert file_name(half_law, at_defaults) == "E0-m=1,depth=10,way=there"
    assert report.save(half_law, Result(), at_defaults, 0.0, tmp_path)[0].name == "E0-m=1,depth=10,way=there.json"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("E0", "check", "--set", "m=1"), "--set works with one experiment at a time, got E0, check; name one"),
        (("E0", "--set", "m"), "--set m: expected NAME=VALUE, as in --set m=0.9"),
        (("E0", "--set", "q=1"), "--set: E0 has no setting 'q'"),
        (("check", "--set", "q=1"), "--set: check has no settings"),
        (("E0", "--seeds", "0"), "--seeds 0: must be at least 1"),
        (("E0", "--jobs", "2"), "--jobs is for several experiments or seeds, not for E0 at one seed"),
        (("E0", "--seeds", "2", "--jobs", "0"), "--jobs 0: must be at least 1"),
    ],
)
def test_what_the_command_refuses_is_one_sentence(half_law, capsys, arguments, message):
    assert main(["flow", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
