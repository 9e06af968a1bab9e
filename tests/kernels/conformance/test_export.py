"""Reports as files: JSON, JUnit's XML, PNG."""

import json
import os
from dataclasses import replace
from threading import Thread
from xml.etree import ElementTree

import pytest
from tinyres_kernels import conformance
from tinyres_kernels.conformance import export

from tests.kernels.conformance import own
from tests.kernels.conformance.faulty import around, groups_mixed

CASES = len(conformance.OPS["conv2d"].cases)  # five of which the contract answers


@pytest.fixture(scope="module")
def report():
    return conformance.check(groups_mixed("conv2d"), "conv2d", examples=20)


def test_json_has_every_case_and_every_kind(report, tmp_path):
    export.write_json(report, tmp_path / "report.json")
    told = json.loads((tmp_path / "report.json").read_text())
    assert (told["op"], told["conforms"], told["contract_broken"]) == ("conv2d", False, None)
    assert told["cases"] + told["answered_by_the_contract"] == len(told["results"]) == 2 * CASES + 1
    assert told["answered_by_the_contract"] == 2 * 5  # the empty batch, and what is to be refused
    assert told["passed"] == sum(result["ok"] and result["asked"] for result in told["results"]) == 2 * CASES - 10 - 10
    (kind,) = told["kinds"]
    assert kind["name"] == "groups > 1: gives wrong numbers"
    assert kind["cases"] == sorted({"groups 2", "groups 3, one output each", "depthwise", "drawn",
                                    "depthwise, 65 channels", "groups of 17 outputs (tile tail)"})  # fmt: skip
    assert kind["example"]["wrong_elements"] >= 1
    assert kind["example"]["picture"][-1].strip() == "0 X"
    assert "import numpy as np" in kind["example"]["to_reproduce"]
    failing = {result["case"] for result in told["results"] if result["kind"] == kind["name"]}
    assert "depthwise" in failing
    assert told["signature"][0] == "conv2d(x, w, out, s)"
    right = export.as_json(conformance.check(own.right, "conv2d", examples=2))
    assert (right["conforms"], right["kinds"], right["passed"]) == (True, [], right["cases"])
    beyond = conformance.check(own.right, "conv2d", examples=2)
    beyond.beyond = 1
    assert not export.as_json(beyond)["conforms"]
    assert "conforms" not in str(beyond)
    assert "DOES NOT CONFORM: 1 case above read or wrote beyond an array" in str(beyond)


def test_junit_has_a_test_for_each_case_and_a_failure_with_its_kind(report, tmp_path):
    export.write_junit(replace(report, beyond=2), tmp_path / "report.xml")
    suite = ElementTree.parse(tmp_path / "report.xml").getroot()[0]
    tests = suite.findall("testcase")
    assert int(suite.get("tests")) == len(tests) == len(report.counted) + 1 == 2 * (CASES - 5) + 2, (
        "as the text counts, and guard mode"
    )
    failures = {test.get("name"): test.find("failure") for test in tests if test.find("failure") is not None}
    assert int(suite.get("failures")) == len(failures) == 10 + 2
    assert failures["depthwise (float32)"].get("type") == "groups > 1: gives wrong numbers"
    assert "elements are wrong" in failures["depthwise (float32)"].get("message")
    assert "X" in failures["depthwise (float32)"].text
    assert failures["guard mode"].get("type") == "beyond an array"
    assert suite.get("skipped") == "0"
    assert "empty batch (float32)" not in {test.get("name") for test in tests}, "no kernel sees it"
    assert all(test.get("classname") == "conv2d" and float(test.get("time")) >= 0 for test in tests)


def test_a_kernel_that_does_nothing_passes_nothing():
    idle = conformance.check(own.nothing, "conv2d", examples=2)
    told = export.as_json(idle)
    assert (told["passed"], told["answered_by_the_contract"]) == (0, 10)
    assert f"cases: {2 * (CASES - 5)} of the {2 * (CASES - 5)} that were run fail" in str(idle)
    assert "(5 more named cases have empty arrays, or shapes that do not fit" in str(idle)
    assert "Your kernel never sees those" in " ".join(str(idle).split())


def test_the_picture_is_of_a_case_that_shows_a_pattern(report):
    (kind,) = report.kinds
    drawn = export.clearest([kind.example, *kind.findings, *kind.telling])
    assert kind.example.wrong == 1, "the smallest example is a single square"
    assert drawn.wrong >= 8
    assert (drawn.marks["out"] == ".").any(), "beside what is wrong, something right"
    last = conformance.check(own.last_row, "conv2d", examples=0)
    drawn = export.clearest([last.kinds[0].example, *last.kinds[0].findings])
    (grid, *_) = export._parts(drawn)
    assert (grid.marks == ".").any()
    assert (grid.marks[-1] == "X").all()


def test_a_broken_contract_and_odd_characters_are_written_too(tmp_path):
    def odd(x, out):
        raise ValueError("\x00\x1b[1m < & \ud800 é")

    for kernel in (own.returned, around(after=odd)):
        broken = conformance.check(kernel, "conv2d")
        export.write_junit(broken, tmp_path / "report.xml")
        failure = ElementTree.parse(tmp_path / "report.xml").getroot()[0].find("testcase/failure")
        assert failure.get("type") == "the contract is broken"
    assert "??[1m < & ? é" in failure.get("message")


def test_the_png_has_a_row_for_each_kind(report, tmp_path):
    image = pytest.importorskip("matplotlib.image")
    export.write_png(report, tmp_path / "report.png")
    pixels = image.imread(tmp_path / "report.png")
    assert pixels.shape[1] >= 600
    red = (abs(pixels[..., :3] - (0xC1 / 255, 0x27 / 255, 0x2D / 255)).sum(-1) < 0.02).sum()
    assert red > 100, "the wrong element"
    export.write_png(conformance.check(own.returned, "conv2d"), tmp_path / "breach.png")
    assert not export.write_png(conformance.check(own.right, "conv2d", examples=0), tmp_path / "right.png")
    assert not (tmp_path / "right.png").exists()


@pytest.mark.slow
def test_the_png_has_whole_indices_on_its_axes(report, tmp_path, monkeypatch):
    figures = pytest.importorskip("matplotlib.figure")
    made = []
    real = figures.Figure
    monkeypatch.setattr(figures, "Figure", lambda *given, **how: made.append(real(*given, **how)) or made[-1])
    for checked in (report, conformance.check(own.last_row, "conv2d", examples=0)):
        export.write_png(checked, tmp_path / "report.png")
        drawn = [ax for ax in made[-1].get_axes() if ax.images]
        assert drawn
        for ax in drawn:
            for axis, size in (
                (ax.xaxis, ax.images[0].get_array().shape[1]),
                (ax.yaxis, len(ax.images[0].get_array())),
            ):
                ticks = [tick for tick in axis.get_majorticklocs() if -0.5 <= tick < size]
                assert ticks, "at least one index"
                assert all(tick == int(tick) for tick in ticks)
                assert len(ticks) >= min(size, 5)


def raises_with_groups(x, w, out, s):
    if s.groups > 1:
        raise RuntimeError("no groups")
    own.right(x, w, out, s)


def test_of_a_kernel_that_raises_no_elements_are_drawn_anywhere(tmp_path):
    report = conformance.check(raises_with_groups, "conv2d", examples=0)
    told = export.as_json(report)["kinds"][0]["example"]
    assert (told["wrong_elements"], told["picture"]) == (0, [])
    (fault,) = told["faults"]
    assert fault.startswith("raised RuntimeError: no groups (line ")
    assert fault.endswith(' of test_export.py: raise RuntimeError("no groups"))')
    assert "rows: oh" not in str(report)
    assert not export.write_png(report, tmp_path / "report.png")
    assert not list(tmp_path.iterdir())


def test_a_device_is_written_to_and_not_replaced(report, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    lines = []
    reader = Thread(target=lambda: lines.append((tmp_path / "pipe").read_text()))
    reader.start()
    export.write_json(report, tmp_path / "pipe")
    reader.join(20)
    assert json.loads(lines[0])["op"] == "conv2d"
    assert (tmp_path / "pipe").is_fifo()


def test_without_matplotlib_one_line_says_so(report, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ValueError, match="pip install matplotlib"):
        export.write_png(report, tmp_path / "report.png")
