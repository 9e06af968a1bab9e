"""A recording that goes on with its run is the recording of the run that was never stopped."""

import json
import math

import numpy as np
import pytest

import tinyres as tr
from tests.spoiled import spoiled
from tinyres import flow, training
from tinyres.cli import main
from tinyres.flow.instruments import kept
from tinyres.flow.instruments.kept import Kept

pytestmark = pytest.mark.usefixtures("sketched")
RECIPE = training.Recipe("stochastic_depth", depth=8, width=2, steps=6, batch_size=600, lr=0.05)


def recorded(made, recorder, stop):
    for _ in made.steps(recorder.recording):
        if made.step == stop:
            break
    return recorder


def same(found, expected):
    assert found.labels == expected.labels
    assert found.axes == expected.axes
    assert list(found) == list(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.parametrize("stop", [1, 2, 3, 6])
def test_a_recording_goes_on(tmp_path, stop):
    made = training.prepare(RECIPE)
    whole = recorded(made, Kept(flow.record(made.model, every=2)), 6)
    made = training.prepare(RECIPE)
    made.notes = recorded(made, Kept(flow.record(made.model, every=2)), stop).notes(made.step)
    training.save(made, tmp_path / "run.safetensors")
    again = training.resume(training.prepare(RECIPE), tmp_path / "run.safetensors")
    rest = recorded(again, Kept(flow.record(again.model, every=kept.every(again.notes)), again.step, again.notes), 6)
    assert whole.history().labels["step"] == [0, 2, 4]
    same(rest.history(), whole.history())
    assert rest.history().to_json() == whole.history().to_json()
    assert rest.first_not_finite is None


def test_a_step_that_was_not_finished_is_not_kept():
    made = training.prepare(RECIPE)
    recorder = recorded(made, Kept(flow.record(made.model)), 2)
    with recorder.recording:  # the third, broken off
        pass
    assert recorder.history().labels["step"] == [0, 1, 2]
    assert recorder.notes(made.step)[1]["labels"]["step"] == [0, 1]


def test_where_it_was_not_finite_first_is_not_forgotten():
    made = training.prepare(RECIPE)
    recorder = recorded(made, Kept(flow.record(made.model)), 2)
    arrays, about = recorder.notes(2)
    again = Kept(flow.record(made.model), 2, (arrays, about | {"not_finite": "step 1: the weight x"}))
    assert again.first_not_finite == again.notes(2)[1]["not_finite"] == "step 1: the weight x"
    assert again.history().plot().get_suptitle() == "not finite first at step 1: the weight x"


def test_a_connection_that_one_part_has_not_met_is_nan_there():
    def part(step, names):
        made = training.prepare(RECIPE)
        arrays, about = recorded(made, Kept(flow.record(made.model)), 1).notes(1)
        number = len(names)
        for name in arrays:
            if name.startswith(("skip", "branch", "gate", "route")):
                arrays[name] = np.full((1, number), float(step))
        labels = about["labels"] | {"residual": names, "step": [step]}
        return kept.read((arrays, about | {"labels": labels}), labels["block"], 9)[0]

    both = kept.joined(part(0, ["a", "b"]), part(1, ["c", "a"]), None)
    assert both.labels["residual"] == ["a", "b", "c"]
    np.testing.assert_array_equal(both["skip_norm"], [[0, 0, math.nan], [1, math.nan, 1]])


def test_notes_are_not_trusted():
    made = training.prepare(RECIPE)
    arrays, about = recorded(made, Kept(flow.record(made.model, every=2)), 3).notes(3)
    blocks = about["labels"]["block"]
    plain = json.loads(json.dumps(about))
    refused = 0
    for place, document in spoiled(plain):
        try:
            kept.every((arrays, document))
            kept.read((arrays, document), blocks, 3)
        except ValueError:
            refused += 1
        else:  # a place, a rate or a name may be another one
            assert place[-1] in ("every", "not_finite") or place == ("labels", "residual"), (place, document)
    assert refused > 90
    for name, array in arrays.items():
        for other in (array[:-1], array.astype("f4"), array[..., None]):
            with pytest.raises(ValueError, match=f"{name} is missing, or is not float64 of shape"):
                kept.read((arrays | {name: other}, about), blocks, 3)
    with pytest.raises(ValueError, match="blocks are"):
        kept.read((arrays, about), blocks[1:], 3)
    for steps in ([0, 2], [1, 0]):
        with pytest.raises(
            ValueError, match=rf"steps are \[{steps[0]}, {steps[1]}\]; they must be in ascending order and below 2"
        ):
            kept.read((arrays, about | {"labels": about["labels"] | {"step": steps}}), blocks, 2)


SMALL = ("train", "resnet", "--depth", "8", "--width", "2", "--batch-size", "600", "--steps", "6")


def run(*arguments):
    assert main([*SMALL, *map(str, arguments)]) == 0


@pytest.mark.slow
def test_what_the_command_leaves_of_a_resumed_recording(tmp_path, monkeypatch):
    """Stopped after four steps, and taken up with the option or without: the same files as if never stopped."""
    run("--record", 3, "--out", tmp_path / "whole")
    taken = training.Run.steps

    def four(self, watch=None):
        for loss in taken(self, watch):
            yield loss
            if self.step == 4:
                return

    names = ["flow.json", "flow.png", "run.safetensors", "training.png"]
    for how in ((), ("--record", 3)):
        out = tmp_path / f"stopped{len(how)}"
        with monkeypatch.context() as patched:
            patched.setattr(training.Run, "steps", four)
            run("--record", 3, "--save-every", 4, "--out", out)
        assert json.loads(tr.load_metadata(out / "run.safetensors")["run"])["step"] == 4
        run("--resume", *how, "--out", out)
        for name in names:
            assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    for name in ("flow.json", "flow.png"):
        (tmp_path / "whole" / name).unlink()
    run("--resume", "--out", tmp_path / "whole")  # it had ended, and was killed before it wrote them, say
    for name in ("flow.json", "flow.png"):
        assert (tmp_path / "whole" / name).read_bytes() == (out / name).read_bytes()


def test_who_records_from_the_middle_on_counts_the_runs_steps(tmp_path, monkeypatch, capsys):
    run("--save-every", 1, "--out", tmp_path)
    path = tmp_path / "run.safetensors"
    arrays, texts = tr.load(path), tr.load_metadata(path)
    made = training.resume(training.prepare(training.Recipe(**json.loads(texts["run"])["recipe"])), path)
    assert made.notes is None
    made = training.prepare(made.recipe)
    recorded(made, Kept(flow.record(made.model)), 4)
    training.save(made, path)
    run("--resume", "--record", 2, "--out", tmp_path)
    assert json.loads((tmp_path / "flow.json").read_text())["labels"]["step"] == [4]
    arrays, texts = tr.load(path), tr.load_metadata(path)
    about = json.loads(texts["run"])
    about["notes"]["labels"]["block"] = ["other"]
    tr.save(arrays, path, texts | {"run": json.dumps(about)})
    capsys.readouterr()
    assert main([*SMALL, "--resume", "--out", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(
        f"tinyres train: --resume: {path}: its recording cannot continue: blocks are ['other'] in the file"
    )
    assert err.count("\n") == 1
