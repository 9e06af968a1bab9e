"""What a kernel prints: kept out of what a program reads, and shown where a reader looks for it."""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tinyres_kernels import __main__ as command
from tinyres_kernels import conformance
from tinyres_kernels.conformance import child, prints

from tests.kernels.conformance import own
from tests.kernels.conformance.test_child import HERE, check, found

__all__ = ["found"]


def arguments(name, *more):
    return ["check", f"{HERE}:{name}", "--op", "conv2d", "--examples", "0", "--dtype", "float64", *more]


def test_the_report_of_a_kernel_that_conforms_shows_what_it_printed_once():
    report = check("prints", examples=0)
    assert report.ok
    assert "what it printed in the case `plain`:\n  | the shape is (1, 5, 5, 2)\ntried: " in str(report)
    assert str(report).count("the shape is") == 1
    asked = [finding for finding in report.named if finding.asked]
    calls = {finding.printed.count("the shape is") - finding.case.again for finding in asked}
    assert calls == {1}, "one call of the three, and one before where the case asks for it"


def test_what_c_prints_is_kept_too():
    assert "  | from C\n" in str(check("prints_from_c", examples=0))


@pytest.mark.slow
def test_much_is_cut_and_said_to_be_and_stands_with_the_case_it_belongs_to():
    report = check("prints_a_lot", examples=0)
    text = str(report)
    shown = [line for line in text.splitlines() if line.startswith("     | ")]
    assert shown[0].startswith("     | line 0 of many")
    assert shown[-1].startswith("     | ... and ")
    assert len(shown) == prints.SHOWN + 1
    assert all(len(line) <= 80 for line in shown)
    assert "   what it printed in this case:\n" in text
    (kind,) = report.kinds
    assert kind.example.printed.startswith("line 0 of many")
    assert len(kind.example.printed) < 2 * prints.MOST
    assert " bytes more" in kind.example.printed


def test_a_kernel_that_crashes_has_said_something_before(monkeypatch):
    monkeypatch.setattr(child, "MOST", {"slow": 1, "ended": 1})  # each has a process of its own
    report = check("prints_and_crashes", examples=0)
    assert "what it printed in the case `plain`:\n  | so far" in str(report)


@pytest.mark.slow
def test_a_debugger_is_told_that_nobody_is_there():
    report = check("stops_in_a_debugger", examples=0)
    assert "raises BdbQuit: a debugger has nobody to talk to here: add --limit 0" in " ".join(report.breach.split())


@pytest.mark.parametrize("limit", ["20", "0"])
def test_json_on_the_standard_output_is_nothing_but_json(limit, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"loud{limit}.py").write_text(f"print('imported')\nfrom {HERE} import prints\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    more = ["--op", "conv2d", "--examples", "0", "--json", "-", "--limit", limit]
    assert command.main(["check", f"loud{limit}.py:prints", *more]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("{"), "nothing before it"
    told = json.loads(out)
    assert told["conforms"]
    assert "imported" in err
    assert ":prints as conv2d: conforms" in err
    if limit == "20":
        assert told["results"][0]["printed"] == "the shape is (1, 5, 5, 2)\n"
    assert not [path for path in tmp_path.iterdir() if path.name == "-"]


def test_junit_too_and_it_has_what_was_printed(capfd):
    assert command.main(arguments("prints", "--junit", "-")) == 0
    suite = ElementTree.fromstring(capfd.readouterr().out)[0]
    assert suite.find("testcase/system-out").text == "the shape is (1, 5, 5, 2)\n"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--json", "-", "--junit", "-"], "go to the same place: give each its own file"),
        (["--png", "-"], "would print a picture: give a file"),
        (["--json", "{folder}"], "it is a folder. Give a file in it, as in {folder}/report.json"),
        (["--json", "{folder}/no/r.json"], "there is no folder {folder}/no"),
    ],
)
def test_a_file_that_cannot_be_is_refused_before_the_check(more, said, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(conformance.search, "check", None)
    assert command.main(arguments("prints", *(one.format(folder=tmp_path) for one in more))) == 2
    assert said.format(folder=tmp_path) in capsys.readouterr().err


def test_a_kernel_may_be_given_by_its_file_from_anywhere(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "sub").mkdir()
    name = f"kernel_by_file_{abs(hash(tmp_path))}"
    (tmp_path / "sub" / f"{name}.py").write_text(Path(own.__file__).read_text())
    monkeypatch.chdir(tmp_path)
    run = ["--op", "conv2d", "--examples", "0", "--dtype", "float64"]
    assert command.main(["check", f"sub/{name}.py:right", *run]) == 0
    assert f"sub/{name}.py:right as conv2d: conforms" in capsys.readouterr().out
