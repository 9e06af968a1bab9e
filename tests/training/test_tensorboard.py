"""`--log tensorboard`: the file is read back, also after a run was killed and resumed."""

import struct
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tinyres import gan, training
from tinyres.cli import main

pytestmark = pytest.mark.usefixtures("sketched")

if find_spec("tensorboardX") is None:
    pytest.skip("no tests of TensorBoard's files: pip install tensorboardX", allow_module_level=True)

SMALL = ("resnet", "--depth", 8, "--width", 2, "--batch-size", 400, "--lr", "0.05")


def events(folder):
    """The events of all files in the order of writing; each record is its length, a sum, the event, and a sum."""
    from tensorboardX import record_writer  # which loads PyTorch where it is installed
    from tensorboardX.proto import event_pb2

    for path in sorted((Path(folder) / "tensorboard").iterdir()):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            packed, (check,) = content[12 : 12 + length], struct.unpack("<I", content[12 + length : 16 + length])
            assert record_writer.masked_crc32c(packed) == check
            yield event_pb2.Event.FromString(packed)
            content = content[16 + length :]


def scalars(folder):
    """{name: {step: value}}, as TensorBoard shows it: a start drops what came before at later steps."""
    found = {}
    for event in events(folder):
        if event.session_log.status == 1:  # START
            found = {name: {s: v for s, v in rows.items() if s < event.step} for name, rows in found.items()}
        for value in event.summary.value:
            found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def run(*arguments):
    return main([*map(str, arguments)])


def close(rows, values):
    assert list(rows) == list(range(1, len(values) + 1))
    np.testing.assert_allclose(list(rows.values()), values, rtol=1e-6)


def test_a_run_is_read_back(tmp_path, capsys):
    assert run("train", *SMALL, "--steps", 5, "--record", 2, "--log", "tensorboard", "--out", tmp_path) == 0
    assert f"wrote {tmp_path}/tensorboard" in capsys.readouterr().out
    found = scalars(tmp_path)
    made = training.prepare(training.saved_recipe(tmp_path))
    training.resume(made, tmp_path / "run.safetensors")
    close(found["loss/train"], made.losses)
    assert found["loss/test"] == pytest.approx({s["step"]: s["loss"] for s in made.scores}, rel=1e-6)
    assert found["accuracy/test"] == pytest.approx({s["step"]: s["accuracy"] for s in made.scores}, rel=1e-6)
    close(found["rate"], [0.05 * (1 + np.cos(np.pi * t / 5)) / 2 for t in range(1, 6)])
    gradients = {name: rows for name, rows in found.items() if name.startswith("gradient/")}
    assert len(gradients) > 2
    history = made.notes[0]["backward_norm"]
    for column, rows in zip(history.T, gradients.values(), strict=True):
        assert rows == pytest.approx(dict(zip((1, 3, 5), column, strict=True)), rel=1e-5)


@pytest.mark.slow
def test_a_killed_run_goes_on_where_its_checkpoint_is(tmp_path, monkeypatch):
    from tinyres.training.classifier import ClassifierConductor

    whole = run("train", *SMALL, "--steps", 8, "--log", "tensorboard", "--out", tmp_path / "whole")
    command = ["train", *SMALL, "--steps", 8, "--save-every", 3, "--log", "tensorboard", "--out", tmp_path / "cut"]
    with monkeypatch.context() as patch:
        before = ClassifierConductor.after_step

        def dies(self, result, stopping):
            before(self, result, stopping)
            if self.run.step == 5:  # after 3 the run was saved
                raise SystemExit("killed")

        patch.setattr(ClassifierConductor, "after_step", dies)
        with pytest.raises(SystemExit, match="killed"):
            run(*command)
    assert max(scalars(tmp_path / "cut")["loss/train"]) == 4
    assert run(*command, "--resume") == whole == 0
    one, other = scalars(tmp_path / "whole"), scalars(tmp_path / "cut")
    assert one.keys() == other.keys()
    for name, rows in one.items():
        assert rows == other[name], name
    assert len(list((tmp_path / "cut" / "tensorboard").iterdir())) == 2
    assert [event.step for event in events(tmp_path / "cut") if event.session_log.status == 1] == [1, 4]


@pytest.mark.slow
def test_a_gans_run_is_read_back(tmp_path):
    command = ["gan", "train", "--data", "ring8", "--width", 4, "--batch-size", 8, "--steps", 3, "--no-score"]
    assert run(*command, "--log", "tensorboard", "--out", tmp_path) == 0
    found = scalars(tmp_path)
    trainer = gan.prepare(gan.saved_recipe(tmp_path))
    gan.resume(trainer, tmp_path / "run.safetensors")
    for name, field in {"loss/D": "d_loss", "gradient/G": "g_grad_norm", "output_of_D/real": "d_real"}.items():
        close(found[name], [getattr(record, field) for record in trainer.history])
    assert {"loss/G", "gradient/D", "output_of_D/fake", "rate/D", "rate/G"} <= found.keys()


def test_without_the_writer_the_command_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    find = sys.modules["importlib.util"].find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "tensorboardX" else find(name))
    assert run("train", *SMALL, "--log", "tensorboard", "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "needs tensorboardX: pip install 'tinyres[tensorboard]'" in said
    assert not (tmp_path / "out").exists()
    assert run("train", *SMALL, "--log", "tensorbord", "--out", tmp_path / "out") == 2
    assert "no log called 'tensorbord'; did you mean tensorboard" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"pip install 'tinyres\[tensorboard\]'"):
        training.conduct(training.prepare(training.Recipe(arch="mlp", steps=1)), tmp_path / "out", tensorboard=True)
