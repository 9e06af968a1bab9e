"""`tinyres bench kernels` at sizes that take no time, and the measures that it rests on."""

import ast
import importlib.util
import inspect
import json
from itertools import pairwise

import numpy as np
import pytest
from tinyres_kernels.cpu import conv, depthwise, dot, matmul, outer
from tinyres_kernels.cpu.fast import strided, subpixel, winograd

from tinyres.bench import accuracy, figures, kernels, machine, process, scaling, streams, words, works
from tinyres.bench.agreement import disagreements
from tinyres.bench.convolutions import PASSES, Shape
from tinyres.bench.peers import FORMATS
from tinyres.cli import main

NARROW = (Shape(2, 4, 6, 4, 3, 1, 1, 4), Shape(2, 4, 6, 4, (1, 3), 1, (0, 1)))
TINY = (Shape(2, 3, 6, 4, 3, 1), Shape(2, 32, 6, 4, 4, 2))
TORCH = importlib.util.find_spec("torch") is not None
IMAGES = works.STREAMS["cpu"]["images"]


@pytest.fixture
def tiny(monkeypatch):
    """Everything as it is, but small."""
    families = {"batch": [Shape(n, 2, 4, 2, 3, 1) for n in (1, 2)]}
    for place, name, value in (
        (works, "SHAPES", TINY),
        (works, "NARROW", NARROW),
        (scaling, "FAMILIES", families),
        (works, "STREAMS", {"cpu": {"images": (2, 6, 6, 4), "parameters": 100, "rows": 8}}),
        (machine, "STEPS", 1000),
        (machine, "CACHED_BYTES", 1 << 14),
        (machine, "large_bytes", lambda cache: 1 << 16),
    ):
        monkeypatch.setattr(place, name, value)


@pytest.mark.slow
def test_tables_pictures_and_json(capsys, tmp_path, tiny):
    arguments = ["--rounds", "1", "--json", str(tmp_path / "k.json"), "--out", str(tmp_path / "pictures")]
    assert main(["bench", "kernels", *arguments]) == 0
    out = capsys.readouterr().out
    assert "scaled up from" in out
    assert "fused multiply-add" in out
    for name in ("roofline.png", "scaling.png"):
        assert (tmp_path / "pictures" / name).read_bytes().startswith(b"\x89PNG")
    result = json.loads((tmp_path / "k.json").read_text())
    rows = result["convolutions"]
    measured = [(tuple(tuple(v) if isinstance(v, list) else v for v in r["shape"].values()), r["pass"]) for r in rows]
    assert measured == [(s, p) for s in TINY + NARROW for p in PASSES]
    assert "2, 4, 6 -> 4, 1x3, 1" in out
    assert "2, 4, 6 -> 4, 3, 1, 4 groups" in out
    assert all(set(r["timings"]) == {"cpu", "im2col", *(FORMATS if TORCH else ())} for r in rows)
    for what in ("", " in groups, 1 x n and 1 x 1", ", streaming memory"):
        assert (f"worst of ours / PyTorch{what}" in result["targets"]) == TORCH
    assert result["machine"]["flops"] > 0
    assert set(result["ladder_s"]) == {"reference", "im2col", "cpu"}
    assert set(result["scaling"]["batch"]["slope"]) == set(PASSES)


def test_it_says_which_way_each_goes_and_measures_nothing(capsys, tiny, monkeypatch):
    monkeypatch.setattr(kernels, "measure", None)
    assert main(["bench", "kernels", "--why"]) == 0
    out = capsys.readouterr().out
    assert "depthwise: one thread" in out
    assert "outer: copied" in out
    assert "phases: one of [dot: copied" in out
    assert "worth_a_thread" in out
    ways, _, explained = out.partition("The words above\n")
    assert {"dot", "outer", "depthwise", "phases", "one thread"} <= {
        line[4:24].strip() for line in explained.splitlines()
    }
    assert "winograd " not in explained or "winograd" in ways


def test_every_word_that_a_plan_can_say_is_explained_and_only_those_that_appear():
    """What planners of convolutions write down as traits, and the names of ways."""
    said = set()
    for module in (conv, depthwise, dot, matmul, outer, strided, subpixel, winograd):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Assign) and any(getattr(to, "id", "") == "traits" for to in node.targets):
                tests = {id(part) for one in ast.walk(node) if isinstance(one, ast.Compare) for part in ast.walk(one)}
                said |= {
                    one.value for one in ast.walk(node)
                    if isinstance(one, ast.Constant) and isinstance(one.value, str) and id(one) not in tests
                }  # fmt: skip
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Plan" and node.args:
                said |= {one.value for one in ast.walk(node.args[0]) if isinstance(one, ast.Constant)}
    said |= {conv.ZEROS, conv.PHASES}
    assert {"dot", "outer", "winograd", "strided", "subpixel", "im2col", "in a row", "parts of a row"} <= said
    assert {word.strip() for word in said if word} <= set(words.WORDS)
    assert list(words.appearing("dx  dot: in a row; several tiles, threads_least")) == [
        "dx",
        "tile",
        "dot",
        "tiles",
        "in a row",
    ]


def test_work_and_traffic_are_those_of_the_direct_convolution():
    shape = Shape(2, 3, 8, 5, 4, 2)
    assert shape.out == 4
    assert shape.flops == 2 * (2 * 4 * 4 * 5) * (4 * 4 * 3)
    assert shape.bytes == 4 * (2 * 8 * 8 * 3 + 4 * 4 * 3 * 5 + 2 * 4 * 4 * 5)
    narrow = Shape(2, 6, 8, 6, (1, 5), 1, (0, 2), 3)
    assert narrow.out == 8
    assert narrow.weight == (1, 5, 2, 6)
    assert narrow.flops == 2 * (2 * 8 * 8 * 6) * (5 * 2)
    assert [s.out for s in works.SHAPES] == [32, 32, 16, 16, 8, 16, 8, 4, 56]


def test_a_disagreement_is_a_row_with_its_figure():
    def found(*results):
        return disagreements("the work", {f"p{i}": result for i, result in enumerate(results)}, 1e-4)

    assert found(np.ones(3), np.ones(3) * 1.00005, np.ones(3)) == []
    (wrong,) = found(np.ones(3), np.ones(3), np.array([1, 1, 1.01]))
    assert wrong.peers == ("p2", "p0")
    assert str(wrong) == (
        "the work: p2 and p0 DISAGREE by 1.0e-02 of the largest number, 1e-04 is rounding: the times of this row mean "
        "nothing"
    )
    assert [np.isnan(pair.gap) for pair in found(np.ones(1), np.array([np.nan]))] == [True]
    assert found(np.zeros(2), np.zeros(2)) == []
    assert found(np.zeros(2), np.ones(2))[0].gap == np.inf


@pytest.mark.slow
def test_a_wrong_work_is_told_after_all_rows_with_exit_status_1(tiny, capsys, tmp_path, monkeypatch):
    first = streams.streams(**works.STREAMS["cpu"])[0]
    one = first._replace(pytorch=lambda *_: lambda: 2 * first.ours()())
    (row,) = kernels.measure_streams("PyTorch", [one], 1)
    assert [pair.peers for pair in row.disagreements] == [(name, "tinyres") for name in FORMATS]
    assert {round(pair.gap, 3) for pair in row.disagreements} == {1}
    monkeypatch.setattr(kernels, "measure_streams", lambda *_: [row])
    assert main(["bench", "kernels", "--rounds", "1", "--json", f"{tmp_path}/k.json", "--out", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert out.count("DISAGREE") == 2
    assert out.index("DISAGREE") > out.index("worst") if TORCH else out.index("least share")
    assert len(json.loads((tmp_path / "k.json").read_text())["disagreements"]) == 2


@pytest.mark.parametrize("residual", [False, True])
def test_inputs_of_a_benchmark_lie_away_from_kinks(residual):
    """1e-7 must not decide between 0 and a whole gradient: a window has one maximum, no ReLU's argument is near 0."""
    image, _, other = streams._far_from_0(IMAGES, 0)
    y = (image - image.mean(axis=(0, 1, 2))) / image.std(axis=(0, 1, 2)) + (other if residual else 0)
    assert abs(y).min() > 0.2
    x = streams._distinct(IMAGES, 0, 0)
    assert len(np.unique(x)) == x.size


def test_errors_are_relative_to_the_largest_and_to_the_rms():
    found = accuracy.error(np.array([2.0, -4.0, 0.1]), np.array([2.0, -4.0, 0.0]))
    assert found.largest == pytest.approx(0.1 / 4)
    assert found.rms == pytest.approx(0.1 / 20**0.5)


def test_float32_errors_of_our_kernels_are_rounding_errors():
    for shape in TINY:
        for each in kernels.measure(None, shape, 1):
            assert set(each.errors) == {"cpu"}
            assert 0 < each.errors["cpu"].rms < 1e-6
            assert each.error_ratio is None


def test_labels_keep_their_distance_and_their_order():
    values = [1.0, 10.0, 10.1, 10.2, 11.0, 30.0]
    places = figures._apart(values, 1.2)
    assert all(b / a > 1.2 * 0.999 for a, b in pairwise(places))
    assert places[0] == pytest.approx(1.0)
    assert places[-1] == pytest.approx(30.0)
    assert np.prod(places) == pytest.approx(np.prod(values))  # groups keep their centre


def test_the_burst_computes_what_it_says():
    lanes, sums = machine.TARGET.lanes, machine.SUMS
    numbers = np.linspace(0, 1, (sums + 2) * lanes).astype("f")
    expected = numbers.reshape(-1, lanes).astype("d")
    for _ in range(3):
        expected[:sums] = expected[:sums] * expected[sums] + expected[sums + 1]
    machine._fma(1, 3, numbers, 0)
    np.testing.assert_allclose(numbers.reshape(-1, lanes), expected, rtol=1e-6)


def test_the_last_level_cache_is_the_largest():
    assert machine.last_level_cache() >= 1 << 16
    assert machine.large_bytes(1 << 20) == 4 << 20


@pytest.mark.slow
def test_a_fresh_process_tells_its_memory_and_its_first_step():
    found = process.fresh("resnet", "ours", batch=1, threads=1, steps=2)
    assert 1 << 20 < found["peak_after_imports"] <= found["peak"]
    assert 0 < found["imports_s"] < found["first_step_s"]


def test_a_process_that_fails_says_why():
    with pytest.raises(RuntimeError, match="no_such_bench"):
        process.fresh("no_such_bench", "ours", batch=1, threads=1)


def test_memory_and_first_steps_are_judged(capsys, monkeypatch):
    from tinyres.bench import report, works

    def fresh(bench, peer, batch, threads, steps=5, cache=None):
        peak = 3e8 if peer == "ours" else 4e8 if peer == "last" else 5e8
        return {"peak": peak, "peak_after_imports": 2e8, "imports_s": 1.0, "first_step_s": 20.0 if steps == 1 else 2.0}

    monkeypatch.setattr(process, "fresh", fresh)
    document, verdicts = process.study(report.console(), "resnet", 1, object(), 1, works.NETS["resnet"].memory)
    assert {v.what: v.value for v in verdicts} == {
        "first step of a process, empty kernel cache": 20.0,
        "first step of a process, filled kernel cache": 2.0,
        "peak memory, tinyres / PyTorch": 0.75,  # of the format that needs less
    }
    assert document["empty_cache"]["first_step_s"] == 20.0
    assert "300" in capsys.readouterr().out
