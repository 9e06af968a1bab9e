"""`tinyres bench kernels` at sizes that take no time, and the measures that it rests on."""

import json
from itertools import pairwise

import numpy as np
import pytest

from tinyres.bench import accuracy, convolutions, figures, machine, peers, process, scaling, works
from tinyres.bench.convolutions import FORMATS, PASSES, Shape
from tinyres.cli import main

TINY = (Shape(2, 3, 6, 4, 3, 1), Shape(2, 32, 6, 4, 4, 2))
TORCH = peers.load_torch()


@pytest.fixture
def tiny(monkeypatch):
    """Everything as it is, but small."""
    families = {"batch": [Shape(n, 2, 4, 2, 3, 1) for n in (1, 2)]}
    entries = works.works((2, 6, 6, 4), 100, 8)
    for place, name, value in (
        (convolutions, "SHAPES", TINY),
        (scaling, "FAMILIES", families),
        (works, "works", lambda: entries),
        (machine, "STEPS", 1000),
        (machine, "CACHED_BYTES", 1 << 14),
        (machine, "large_bytes", lambda cache: 1 << 16),
    ):
        monkeypatch.setattr(place, name, value)


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
    assert [(tuple(r["shape"].values()), r["pass"]) for r in rows] == [(s, p) for s in TINY for p in PASSES]
    assert all(set(r["timings"]) == {"cpu", "im2col", *(FORMATS if TORCH else ())} for r in rows)
    assert ("worst of ours / PyTorch" in result["targets"]) == (TORCH is not None)
    assert result["machine"]["flops"] > 0
    assert set(result["ladder_s"]) == {"reference", "im2col", "cpu"}
    assert set(result["scaling"]["batch"]["slope"]) == set(PASSES)


def test_work_and_traffic_are_those_of_the_direct_convolution():
    shape = Shape(2, 3, 8, 5, 4, 2)
    assert shape.out == 4
    assert shape.flops == 2 * (2 * 4 * 4 * 5) * (4 * 4 * 3)
    assert shape.bytes == 4 * (2 * 8 * 8 * 3 + 4 * 4 * 3 * 5 + 2 * 4 * 4 * 5)
    assert [s.out for s in convolutions.SHAPES] == [32, 32, 16, 16, 8, 16, 8, 4, 56]


def test_a_wrong_result_is_not_measured():
    with pytest.raises(AssertionError, match="b and a differ by"):
        convolutions.check(TINY[0], "forward", {"a": lambda: np.ones(3), "b": lambda: np.array([1, 1, 1.01])})
    with pytest.raises(AssertionError, match="differ by nan"):
        convolutions.check(TINY[0], "forward", {"a": lambda: np.ones(1), "b": lambda: np.array([np.nan])})


def test_errors_are_relative_to_the_largest_and_to_the_rms():
    found = accuracy.error(np.array([2.0, -4.0, 0.1]), np.array([2.0, -4.0, 0.0]))
    assert found.largest == pytest.approx(0.1 / 4)
    assert found.rms == pytest.approx(0.1 / 20**0.5)


def test_float32_errors_of_our_kernels_are_rounding_errors():
    for row in accuracy.measure(None, TINY, {(s, p): None for s in TINY for p in PASSES}):
        assert 0 < row.ours.rms < 1e-6
        assert row.ratio is None


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


def test_a_fresh_process_tells_its_memory_and_its_first_step():
    found = process.fresh("resnet", "ours", batch=1, threads=1, steps=2)
    assert 1 << 20 < found["peak_after_imports"] <= found["peak"]
    assert 0 < found["imports_s"] < found["first_step_s"]


def test_a_process_that_fails_says_why():
    with pytest.raises(RuntimeError, match="no_such_bench"):
        process.fresh("no_such_bench", "ours", batch=1, threads=1)


def test_memory_and_first_steps_are_judged(capsys, monkeypatch):
    from tinyres.bench import report

    def fresh(bench, peer, batch, threads, steps=5, cache=None):
        peak = 3e8 if peer == "ours" else 4e8 if peer == "last" else 5e8
        return {"peak": peak, "peak_after_imports": 2e8, "imports_s": 1.0, "first_step_s": 20.0 if steps == 1 else 2.0}

    monkeypatch.setattr(process, "fresh", fresh)
    document, verdicts = process.study(report.console(), "resnet", 1, object(), 1)
    assert {v.what: v.value for v in verdicts} == {
        "first step of a process, empty kernel cache": 20.0,
        "first step of a process, filled kernel cache": 2.0,
        "peak memory, tinyres / PyTorch": 0.75,  # of the format that needs less
    }
    assert document["empty_cache"]["first_step_s"] == 20.0
    assert "300" in capsys.readouterr().out
