"""The benchmarks run, agree with their peers, and say what they found. How fast is for them to say, not for a test."""

import importlib.util
import json
import sys

import pytest

from tinyres.bench import engine, mpi, peers, steps
from tinyres.bench.works import ENGINE
from tinyres.cli import bench as command
from tinyres.cli import main

TORCH = importlib.util.find_spec("torch") is not None


def test_engine_prints_a_table_and_writes_json(capsys, tmp_path):
    assert main(["bench", "engine", "--rounds", "1", "--json", str(tmp_path / "new" / "e.json")]) == 0
    out = capsys.readouterr().out
    assert "NumPy by hand" in out
    result = json.loads((tmp_path / "new" / "e.json").read_text())
    assert set(result) == {"timings", "targets", "missing", "disagreements", "versions"}
    assert result["timings"]["tinyres"]["median_s"] > 0
    assert result["targets"]["tinyres / NumPy by hand"]["must"] == ENGINE["NumPy by hand"].must
    assert ("tinyres / PyTorch" in result["targets"]) == all("PyTorch" not in name for name in result["missing"])


BROKEN = {  # what a peer's package does, and what is said of it
    "at import": ("import numpy\nnumpy.no_such_name", "AttributeError: module 'numpy' has no attribute 'no_such_name'"),
    "in what it needs": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "when it runs": ("def Variable(data): raise TypeError('no\\nmore')", "TypeError: no"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_peer_that_is_installed_and_broken_is_left_out_in_one_line(how, capsys, tmp_path, monkeypatch):
    source, reason = BROKEN[how]
    (tmp_path / "dezero").mkdir()
    (tmp_path / "dezero" / "__init__.py").write_text(source + "\n")
    (tmp_path / "dezero" / "functions.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("dezero", "dezero.functions"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    try:
        assert engine.main(1, tmp_path / "e.json") == 0
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "dezero"]:
            del sys.modules[name]
    out = " ".join(capsys.readouterr().out.split())
    assert f"DeZero ({reason})" in out
    assert "Traceback" not in out
    result = json.loads((tmp_path / "e.json").read_text())
    assert f"DeZero ({reason})" in result["missing"]
    assert result["timings"]["tinyres"]["median_s"] > 0


@pytest.mark.parametrize("bench", ["resnet", "gan", "r3gan", "gpt"])
@pytest.mark.slow
def test_steps_of_each_peer_agree_and_are_timed(capsys, tmp_path, bench):
    path = tmp_path / "r.json"
    assert steps.main(bench, 1, path, memory=False, batch=4) == 0
    out = capsys.readouterr().out
    assert ("batch 4 of 64 symbols" if bench == "gpt" else "batch 4, 3x32x32") in out
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
    assert steps.main("resnet", 1, None, compiled=True, memory=False, batch=2) == 0
    assert "not measured: torch.compile (RuntimeError: no compiler here)" in capsys.readouterr().out


def test_without_torch_ours_alone_is_measured(capsys, monkeypatch):
    monkeypatch.setattr(peers, "load_torch", lambda: None)
    assert steps.main("gan", 1, None, memory=False, batch=2) == 0
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


def test_without_mpiexec_the_command_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setattr(command, "need", lambda *_: None)
    monkeypatch.setattr(mpi, "find_mpiexec", lambda: None)
    assert main(["bench", "mpi"]) == 2
    assert "needs mpiexec" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["bench"], ["bench", "nothing"]])
def test_what_can_be_measured_is_listed(capsys, arguments):
    with pytest.raises(SystemExit):
        main(arguments)
    err = capsys.readouterr().err
    assert arguments == ["bench"] or all(name in err for name in ("engine", "kernels", "resnet", "gan", "r3gan", "gpt"))
