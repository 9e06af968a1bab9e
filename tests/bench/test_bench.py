"""The benchmarks run, agree with their peers, and say what they found. How fast is for them to say, not for a test."""

import importlib.util
import json
import time

import pytest

from tinyres.bench import gan, report, resnet, timing
from tinyres.bench.report import Target, Verdict
from tinyres.bench.timing import Timing, enough, interleave
from tinyres.cli import main

TORCH = importlib.util.find_spec("torch") is not None


def test_engine_prints_a_table_and_writes_json(capsys, tmp_path):
    assert main(["bench", "engine", "--rounds", "1", "--json", str(tmp_path / "new" / "e.json")]) == 0
    out = capsys.readouterr().out
    assert "NumPy by hand" in out
    result = json.loads((tmp_path / "new" / "e.json").read_text())
    assert set(result) == {"timings", "targets", "missing", "disagreements", "versions"}
    assert result["timings"]["tinyres"]["median_s"] > 0
    assert result["targets"]["tinyres / NumPy by hand"]["must"] == 1.5
    assert ("tinyres / PyTorch" in result["targets"]) == all("PyTorch" not in name for name in result["missing"])


@pytest.mark.parametrize("bench", [resnet, gan])
def test_steps_of_each_peer_agree_and_are_timed(capsys, tmp_path, bench):
    path = tmp_path / "r.json"
    assert bench.main(1, path, memory=False, batch=4) == 0
    out = capsys.readouterr().out
    assert "batch 4, 3x32x32" in out
    assert "first step" in out
    result = json.loads(path.read_text())
    assert len(result["timings"]) == (3 if TORCH else 1)
    assert ("tinyres / PyTorch" in result["targets"]) == TORCH
    assert result["missing"] == ([] if TORCH else ["PyTorch"])


@pytest.mark.skipif(not TORCH, reason="held against PyTorch, which is not installed")
def test_a_compiler_that_fails_is_reported_and_the_rest_goes_on(capsys, monkeypatch):
    import torch

    def refuse(function):
        def call(*args):
            raise RuntimeError("no compiler here\nand much more")

        return call

    monkeypatch.setattr(torch, "compile", refuse)
    assert resnet.main(1, None, compiled=True, memory=False, batch=2) == 0
    assert "not measured: torch.compile (RuntimeError: no compiler here)" in capsys.readouterr().out


def test_without_torch_ours_alone_is_measured(capsys, monkeypatch):
    from tinyres.bench import peers

    monkeypatch.setattr(peers, "load_torch", lambda: None)
    assert gan.main(1, None, memory=False, batch=2) == 0
    assert "not measured: PyTorch" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["engine", "--rounds", "0"], "at least one is needed"),
        (["gan", "--json", "/proc/no/file"], "cannot write into"),
    ],
)
def test_what_cannot_be_run_is_one_sentence(capsys, arguments, message):
    assert main(["bench", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_peers_take_turns():
    calls, ticks = [], []
    peers = {name: lambda name=name: calls.append(name) for name in "abc"}
    times = interleave(peers, rounds=3, burst=2, warm_up=1, tick=lambda: ticks.append(1))
    assert "".join(calls) == "aabbcc" + "bbccaa" + "ccaabb" + "aabbcc"
    assert set(times) == set("abc")
    assert len(ticks) == 4


def test_short_calls_are_repeated_more_often_than_long_ones():
    calls = []
    peers = {name: lambda name=name: calls.append(name) for name in "ab"}
    interleave(peers, rounds=1, burst={"a": 1, "b": 4}, warm_up=0)
    assert "".join(calls) == "abbbb"
    assert enough(lambda: None) > 1
    assert enough(lambda: time.sleep(0.005)) == 1


def test_a_rest_is_followed_by_as_long_a_time_of_calls_that_do_not_count(monkeypatch):
    clock = [0.0]
    calls = []

    def call():
        clock[0] += 0.25
        calls.append(clock[0])

    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(timing.time, "sleep", lambda seconds: None)
    times = interleave({"a": call}, rounds=2, burst=3, warm_up=0, pause=1.0)
    assert len(calls) == 2 * (4 + 3)
    assert times["a"].median == 0.25


def test_a_target_is_for_the_fastest_of_its_peers():
    times = {name: Timing(t, t, t) for name, t in {"tinyres": 1.0, "PyTorch, a": 2.0, "PyTorch, b": 1.1}.items()}
    (verdict,) = report.against(times, {"PyTorch": Target(0.8), "JAX": Target(1.0)})
    assert str(verdict) == "tinyres / PyTorch: 0.91 (must 0.8): MISSED"


@pytest.mark.parametrize(
    ("value", "target", "outcome"),
    [
        (0.7, Target(1.0, 0.8), "aim met"),
        (0.9, Target(1.0, 0.8), "): met"),
        (1.1, Target(1.0, 0.8), "MISSED"),
        (90, Target(65, 85, at_least=True), "aim met"),
        (70, Target(65, 85, at_least=True), "): met"),
        (60, Target(65, 85, at_least=True), "MISSED"),
        (float("nan"), Target(1.0), "MISSED"),
    ],
)
def test_verdicts(value, target, outcome):
    assert str(Verdict("x", value, target)).endswith(outcome)


@pytest.mark.parametrize("arguments", [["bench"], ["bench", "nothing"]])
def test_what_can_be_measured_is_listed(capsys, arguments):
    with pytest.raises(SystemExit):
        main(arguments)
    err = capsys.readouterr().err
    assert arguments == ["bench"] or all(name in err for name in ("engine", "kernels", "resnet", "gan"))
