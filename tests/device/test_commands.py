"""`--device` of the commands: a run on the GPU, and one sentence, before anything is written, where there is none."""

import json
import os
import sys

import numpy as np
import pytest

import tinyres as tr
from tinyres import gan
from tinyres.cli import main
from tinyres.lab.registry import EXPERIMENTS


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)


@pytest.fixture
def saved(tmp_path):
    """The folder of a GAN's run of no step."""
    recipe = gan.GANRecipe.of("hinge", "ring8", width=4, steps=1, batch_size=8)
    (tmp_path / "saved").mkdir()
    gan.save(gan.prepare(recipe), tmp_path / "saved" / "run.safetensors")
    return tmp_path / "saved"


COMMANDS = {
    "gan train": ["gan", "train", "--data", "ring8", "--out", "OUT"],
    "gan sample": ["gan", "sample", "SAVED", "--out", "OUT/x.png"],
    "gan score": ["gan", "score", "SAVED"],
    "gan probe": ["gan", "probe", "--data", "gaussians", "--out", "OUT"],
    "gan probe of a run": ["gan", "probe", "--data", "ring8", "--checkpoint", "SAVED", "--out", "OUT"],
    "gan compare": ["gan", "compare", "--data", "ring8", "--out", "OUT"],
    "sweep": ["sweep", "--steps", "1", "--out", "OUT"],
    "flow": ["flow", "digits", "--out", "OUT"],
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("device", "needs"), [("cuda", "the device 'cuda' needs CuPy"), ("tpu", "no device called 'tpu'")]
)
def test_a_device_that_is_not_there_is_told_in_a_sentence(name, device, needs, no_gpu, saved, tmp_path, capsys):
    places = {"OUT": os.fspath(tmp_path / "out"), "SAVED": os.fspath(saved)}
    words = [places.get(w, w.replace("OUT", places["OUT"])) for w in COMMANDS[name]]
    assert main([*words, "--device", device]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert f"--device: {needs}" in told or f"--device: to: {needs}" in told
    assert "Traceback" not in told
    assert not (tmp_path / "out").exists()


def test_a_clusters_devices_are_its_workers_own(no_gpu, monkeypatch, tmp_path, capsys):
    pytest.importorskip("distributed")
    from tinyres.lab.sweep import cluster

    asked = []
    monkeypatch.setattr(
        cluster, "dask", lambda address, device: asked.append((address, device)) or (lambda _: (x for x in ()))
    )
    out = os.fspath(tmp_path)
    main(["sweep", "--steps", "1", "--scheduler", "tcp://there:1", "--device", "cuda", "--out", out])
    assert asked == [("tcp://there:1", "cuda")]
    assert main(["sweep", "--steps", "1", "--scheduler", "tcp://there:1", "--device", "tpu", "--out", out]) == 2
    assert "no device called 'tpu'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_gan_is_trained_sampled_scored_and_probed_there(gpu, tmp_path, capsys):
    out = tmp_path / "run"
    there = ["--device", "cuda"]
    settings = ["--data", "ring8", "--method", "r1", "--width", "4", "--steps", "2", "--batch-size", "8"]
    assert main(["gan", "train", *settings, "--no-score", "--out", os.fspath(out), *there]) == 0
    document = json.loads((out / "result.json").read_text())
    assert document["device"] == "cuda"
    assert len(document["history"]["d_loss"]) == 2
    assert isinstance(tr.load(out / "generator.safetensors").popitem()[1], np.ndarray)
    assert (
        main(["gan", "train", "--out", os.fspath(out), "--data", "ring8", "--no-score", "--resume"]) == 0
    )  # on the CPU
    assert main(["gan", "sample", os.fspath(out), "--n", "9", "--out", os.fspath(tmp_path / "x.png"), *there]) == 0
    assert main(["gan", "score", os.fspath(out), "--n", "50", *there]) == 0
    assert "modes" in capsys.readouterr().out
    probe = ["gan", "probe", "--data", "ring8", "--checkpoint", os.fspath(out), "--steps", "1"]
    assert main([*probe, "--out", os.fspath(tmp_path / "probe"), *there]) == 0
    assert json.loads((tmp_path / "probe" / "probe.json").read_text())["device"] == "cuda"


def test_a_sweep_runs_there_one_point_at_a_time(gpu, tmp_path, capsys):
    settings = ["--arch", "resnet", "--depth", "8", "--width", "4", "--steps", "2", "--lr", "0.1", "0.01"]
    assert main(["sweep", *settings, "--device", "cuda", "--out", os.fspath(tmp_path)]) == 0
    assert (tmp_path / "sweep.csv").read_text().count(",ok,") == 2


@pytest.mark.slow
def test_flow_says_in_a_line_what_stays_on_the_cpu(gpu, tmp_path, capsys):
    out = ["--out", os.fspath(tmp_path)]
    options = ["--depth", "8", "--arch", "resnet", "--steps", "2", "--seed", "0"]
    assert main(["flow", "digits", "E19", *options, "--device", "cuda", *out]) == 0
    told = capsys.readouterr().out
    assert "these run on the CPU regardless: E19\n" in told
    assert main(["flow", "E19", *out]) == 0
    assert "on the CPU" not in capsys.readouterr().out
    assert "cuda" in EXPERIMENTS["digits"].devices
