"""The benchmarks run, agree with their peers, and say what they found. How fast is for them to say, not for a test."""

import json

import pytest

from tinyres.bench.timing import Timing, interleave, show
from tinyres.cli import main


def test_engine_prints_a_table_and_writes_json(capsys, tmp_path):
    assert main(["bench", "engine", "--rounds", "1", "--json", str(tmp_path / "e.json")]) == 0
    out = capsys.readouterr().out
    assert "NumPy by hand" in out
    result = json.loads((tmp_path / "e.json").read_text())
    assert set(result) == {"timings", "targets", "missing"}
    assert result["timings"]["tinyres"]["median_s"] > 0
    assert result["targets"]["NumPy by hand"]["target"] == 1.5
    assert ("PyTorch" in result["targets"]) == all("PyTorch" not in name for name in result["missing"])


def test_resnet_takes_a_step_with_each_peer(capsys):
    assert main(["bench", "resnet", "--rounds", "1"]) == 0
    assert "ResNet-20" in capsys.readouterr().out


def test_rounds_must_be_positive(capsys):
    assert main(["bench", "engine", "--rounds", "0"]) == 2
    assert "at least one is needed" in capsys.readouterr().err


def test_peers_take_turns():
    calls = []
    peers = {name: lambda name=name: calls.append(name) for name in "abc"}
    times = interleave(peers, rounds=3, burst=2, warm_up=1)
    assert "".join(calls) == "aabbcc" + "bbccaa" + "ccaabb" + "aabbcc"
    assert set(times) == set("abc")


def test_a_target_is_for_the_fastest_of_its_peers(capsys):
    times = {name: Timing(t, t, t) for name, t in {"tinyres": 1.0, "PyTorch, a": 2.0, "PyTorch, b": 1.1}.items()}
    show("title", times, {"PyTorch": 0.8}, ["DeZero"], None)
    out = capsys.readouterr().out
    assert "tinyres / PyTorch: 0.91, target 0.8: MISSED" in out
    assert "not measured: DeZero" in out


@pytest.mark.parametrize("arguments", [["bench"], ["bench", "nothing"]])
def test_what_can_be_measured_is_listed(capsys, arguments):
    with pytest.raises(SystemExit):
        main(arguments)
    assert "engine" in capsys.readouterr().err or arguments == ["bench"]
