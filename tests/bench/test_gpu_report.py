"""`tinyres bench gpu-report`: its verdicts, its table whatever is missing, its processes; machines without a GPU."""

import re
import sys
from importlib.util import find_spec
from pathlib import Path
from threading import Event

import pytest

from tests.bench import events
from tinyres.bench.gpu import findings, pages, parts, report, stages, table
from tinyres.bench.peers import TF32
from tinyres.bench.works import FAMILIES
from tinyres.cli import main

OFF = "PyTorch, channels last"
CUDA = "tinyres_kernels.cuda"


def times(**seconds):
    """Timings of peers: {name: seconds of the device}; as called it takes twice as long."""
    names = {"ours": "tinyres", "off": OFF, "first": "PyTorch, channels first", "tf32": OFF + TF32}
    return {
        names[key]: {"first_s": 1.0, **{how: {"median_s": f * s, "lower_quartile_s": s, "upper_quartile_s": 3 * s}
                                        for how, f in (("device", 1), ("called", 2))}}
        for key, s in seconds.items()
    }  # fmt: skip


def convolutions(ours, off, **more):
    return [
        {"part": "convolutions", "name": f"{shape} {which}", "family": family, "shape": list(shape), "pass": which,
         "rung": CUDA, "flops": shape.flops, "refused": {}, "disagree": {},
         "timings": times(ours=ours, off=off), **more}
        for family in ("performance.md", "56x56") for shape in FAMILIES[family]
        for which in ("forward", "dx", "dw")
    ]  # fmt: skip


def cells(rows):
    """{what: (measured, verdict)} of the README's table."""
    lines = [line.split("|")[1:-1] for line in table.readme(rows).splitlines() if line.startswith("| ")][1:]
    assert len(lines) == len(table.LINES)
    return {line[0].strip(): (line[3].strip(), line[4].strip()) for line in lines}


ALL = "convolutions, rate / cuDNN's, TF32 off: the next two"
STEP = "ResNet-20 step, batch 1,024, time / eager PyTorch's, TF32 off"
CONFORMS = "conformance of the CUDA kernels on CuPy arrays, failures"


def test_where_nothing_was_measured_the_table_says_so(capsys):
    table.main([])
    out = capsys.readouterr().out
    assert out == table.readme([])
    assert out.count("| not yet measured |") == len(table.LINES)
    assert out.startswith(f"{table.NOTHING}\n")
    assert sum(line.target is not None for line in table.LINES) == 5


def test_the_readme_has_the_whole_table_or_one_sentence_and_every_stages_limit():
    text = (Path(__file__).parents[2] / "README.md").read_text()
    _, shown = text[: text.index("<!-- its end -->")].split("<!-- the GPU's table -->")
    told = [line.split(" | ")[0].removeprefix("| ") for line in shown.splitlines() if line.startswith("| ")]
    if table.NOTHING in shown:
        assert shown.strip() == f"{table.NOTHING} `python -m tinyres.bench.gpu.table` prints the targets."
    else:
        assert told[1:] == [line.what for line in table.LINES]
    limits = dict(re.findall(r"^\| ([A-Z]) \| (\d+) s \|", text, re.MULTILINE))
    assert limits == {name: f"{stage.seconds:.0f}" for name, stage in parts.STAGES.items()}


@pytest.mark.parametrize(
    ("ours", "text", "verdict"),
    [(0.5, "2.00", "aim met"), (1.25, "0.80", "met"), (1.0, "1.00", "aim met"), (2.0, "0.50", "MISSED")],
)
def test_the_rate_is_cudnns_time_over_ours(ours, text, verdict):
    measured, said = cells(convolutions(ours, 1.0))[ALL]
    assert measured.startswith(text)
    assert said == verdict


def test_of_pytorchs_formats_the_faster_one_counts_and_tf32_only_where_it_is_named():
    rows = convolutions(1.0, 1.0, timings=times(ours=1.0, off=1.0, first=0.5, tf32=0.1))
    assert cells(rows)[ALL][0].startswith("0.50")
    assert cells(rows)["-- all, cuDNN with TF32"][0].startswith("0.10")


def test_what_is_missing_keeps_a_verdict_from_being_met():
    rows = convolutions(0.5, 1.0)
    wanted = len(rows)
    assert cells(rows[1:])[ALL][1] == f"incomplete: {wanted - 1} of {wanted} were measured and agree"
    wrong = [rows[0] | {"disagree": {"tinyres": 0.1}}, *rows[1:]]
    assert "incomplete" in cells(wrong)[ALL][1]
    other = [row | {"rung": "tinyres_kernels.im2col"} for row in rows]
    assert cells(other)[ALL][1] == "incomplete: rung tinyres_kernels.im2col"
    failed = [{"part": "convolutions", "name": "x", "error": "ValueError: no"}]
    assert cells(failed)[ALL][1] == "not measured: x: ValueError: no"


def test_a_step_is_judged_as_it_is_called():
    row = {"part": "resnet", "name": "resnet, batch 1024", "batch": 1024, "disagree": {}, "refused": {},
           "memory_bytes": {"tinyres": 3e6, OFF: 2e6}, "timings": times(ours=0.02, off=0.025)}  # fmt: skip
    row["timings"]["tinyres"]["device"]["median_s"] = 9.0
    found = cells([row])
    assert found[STEP] == ("0.80 (40.0 / 50.0 ms); the device alone: 360.00 (9000.0 / 25.0 ms)", "met")
    assert found["-- batch 1,024, memory / PyTorch's"][0].startswith("1.50")
    slow = row | {"timings": times(ours=0.03, off=0.025)}
    assert cells([slow])[STEP][1] == "MISSED"
    assert cells([row | {"disagree": {OFF: [1.0]}}])[STEP][1] == f"not measured: losses disagree: {OFF}"
    assert cells([row | {"batch": 128}])[STEP][1] == "not measured"


def test_conformance_is_all_or_nothing():
    rows = [{"part": "conformance", "name": "rung", "rung": CUDA},
            {"part": "conformance", "name": "relu", "cases": 40, "failed": 0, "faults": []}]  # fmt: skip
    assert cells(rows)[CONFORMS] == ("0 of 40 cases fail, in 1 kernels", "met")
    bad = [*rows, {"part": "conformance", "name": "sgd", "cases": 2, "failed": 1, "faults": ["plain: wrong"]}]
    assert cells(bad)[CONFORMS] == ("1 of 42 cases fail, in 2 kernels", "MISSED")
    assert "- FAILS: sgd: plain: wrong" in pages.section("conformance", bad)
    cut = [*rows, {"part": "conformance", "name": "its title", "error": "stopped after 150 s"}]
    assert cells(cut)[CONFORMS][1] == "incomplete: its title: stopped after 150 s"


def test_the_suites_tests_count_when_some_passed():
    def told(**counts):
        outcomes = {f"a.py::{how}{i}": how for how, count in counts.items() for i in range(count)}
        return {"part": "suite", "name": "pytest -m gpu", "counts": counts, "outcomes": outcomes}

    row, name = told(passed=3, skipped=1), "tests of the suite that need a GPU, failures"
    assert cells([row])[name] == ("3 passed, 1 skipped", "met")
    assert cells([told(skipped=4)])[name][1] == "incomplete: no test ran to its end"
    assert cells([told(passed=3, failed=2)])[name] == ("3 passed, 2 failed", "MISSED")
    assert cells([told(passed=3, error=1)])[name][1] == "MISSED"
    assert "stopped" in cells([row | {"error": "stopped after 5 s"}])[name][1]


def test_a_figure_that_cannot_be_told_costs_no_other():
    rows = [*convolutions(1.0, 1.0), {"part": "resnet", "name": "?", "batch": 1024, "timings": {"tinyres": {}}}]
    found = cells(rows)
    assert found[ALL][1] == "aim met"
    assert "KeyError" in found[STEP][1]
    assert "cannot be read" in pages.page(rows)


# -- processes ------------------------------------------------------------------------------------------------------
def test_rows_that_broke_off_are_left_out(tmp_path):
    parts.write({"part": "card", "name": "a"}, tmp_path)
    with (tmp_path / parts.ROWS).open("ab") as file:
        file.write(b'1\nnull\n"a"\n\xff\n' + b"[" * 100_000 + b'\n{"part": "card", "na')
    assert [row["name"] for row in parts.read(tmp_path)] == ["a"]


def test_what_was_measured_again_counts_once_and_the_last_time(tmp_path):
    for name, value in (("a", 1), ("b", 2), ("a", 3)):
        parts.write({"part": "card", "name": name, "value": value}, tmp_path)
    assert [(row["name"], row["value"]) for row in parts.read(tmp_path)] == [("b", 2), ("a", 3)]


def test_figures_of_two_cards_are_not_put_into_one_table(tmp_path):
    for name, card in (("a", "H200"), ("b", "H100"), ("c", None)):
        parts.write({"part": "card", "name": name} | ({"on": card} if card else {}), tmp_path)
    assert [row["name"] for row in parts.read(tmp_path)] == ["b", "c"]
    assert parts.other_cards(tmp_path) == ["H200"]


def test_rows_say_on_which_card_they_were_found():
    with events.gpu_of_nothing():
        assert {row["on"] for row in parts.run("facts")} == {"a stand-in"}
    assert all("on" not in row for row in parts.run("facts"))


@pytest.mark.slow
def test_a_part_in_a_process_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "command", lambda name, folder: [sys.executable, events.__file__, name, str(folder)])
    assert report.launch("card", tmp_path, 120, Event()) is None, (tmp_path / report.LOG).read_text()
    assert findings.bandwidth(parts.read(tmp_path)) > 0


# -- without a GPU --------------------------------------------------------------------------------------------------
@pytest.mark.skipif(find_spec("cupy") is not None, reason="CuPy is installed")
@pytest.mark.parametrize("command", [["gpu-report"], ["kernels", "--device", "cuda"], ["resnet", "--device", "cuda"],
                                     ["gan", "--device", "cuda"]])  # fmt: skip
def test_without_a_gpu_each_says_one_sentence(capsys, command, tmp_path):
    place = ["--out", str(tmp_path / "x")] if command[0] in ("gpu-report", "kernels") else []
    assert main(["bench", *command, *place]) == 2
    err = capsys.readouterr().err
    assert "the device 'cuda' needs CuPy" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_a_device_that_does_not_exist(capsys):
    assert main(["bench", "gan", "--device", "tpu"]) == 2
    assert "no device called 'tpu'" in capsys.readouterr().err


def test_the_command_makes_the_folder_and_measures(double_report, tmp_path):
    assert main(["bench", "gpu-report", "--out", str(tmp_path / "new")]) == 0
    assert double_report == [tmp_path / "new"]
    assert (tmp_path / "new").is_dir()


@pytest.fixture
def double_report(monkeypatch):
    """`gpu-report` where there is a GPU, without what it takes long for."""
    begun = []
    monkeypatch.setattr(stages, "main", lambda out: begun.append(out) or 0)
    with events.gpu_of_nothing():
        yield begun
