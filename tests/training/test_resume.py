"""A run that was saved and taken up again ends with the same bits as one that was never stopped."""

import json

import numpy as np
import pytest

import tinyres as tr
from tests.spoiled import harmless, outcome, spoiled
from tinyres import training
from tinyres.files import FileFormatError
from tinyres.training import saved_recipe

SMALL = {"depth": 8, "width": 2, "steps": 6, "batch_size": 600, "warmup": 0.4}  # two batches an epoch


def finished(run):
    for _ in run.steps():
        if run.epoch_ends:
            run.score()
    return run


def assert_the_same(a, b):
    for (name, x), y in zip(a.model.state_dict().items(), b.model.state_dict().values(), strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy(), err_msg=name)
    assert a.losses == b.losses
    assert a.scores == b.scores
    assert a.optimizer.lr == b.optimizer.lr


@pytest.mark.parametrize("stop", [1, 2, 5])  # in the middle of an epoch, at its end, before the last step
@pytest.mark.parametrize(
    "change",
    [
        {"arch": "resnet", "optimizer": "sgd"},
        {"arch": "stochastic_depth", "optimizer": "adam", "lr": 0.01, "augment": True},
        {"arch": "cnn", "optimizer": "adamw", "lr": 0.01, "depth": None, "schedule": "step"},
        {"arch": "mlp", "activation": "tanh", "init": "1.5", "schedule": "constant", "momentum": 0.0},
    ],
    ids=lambda change: change["arch"],
)
def test_going_on_is_bit_exact(tmp_path, change, stop):
    recipe = training.Recipe(**SMALL | change)
    whole = finished(training.prepare(recipe))
    begun = training.prepare(recipe)
    for _ in begun.steps():
        if begun.epoch_ends:
            begun.score()
        if begun.step == stop:
            break
    training.save(begun, tmp_path / "run.safetensors")
    again = training.resume(training.prepare(recipe), tmp_path / "run.safetensors")
    assert again.step == stop
    assert_the_same(finished(again), whole)


def test_the_same_recipe_gives_the_same_bits_and_another_seed_does_not():
    a, b, c = (finished(training.prepare(training.Recipe(**SMALL, seed=seed))) for seed in (3, 3, 4))
    assert_the_same(a, b)
    assert a.losses != c.losses


def test_a_run_of_another_recipe_is_refused_and_the_run_left_alone(tmp_path):
    path = tmp_path / "run.safetensors"
    training.save(training.prepare(training.Recipe(**SMALL)), path)
    other = training.prepare(training.Recipe(**SMALL, lr=0.01))
    before = {name: value.numpy() for name, value in other.model.state_dict().items()}
    with pytest.raises(training.CheckpointError, match=r"another recipe \(lr is 0.1 there and 0.01 here\)"):
        training.resume(other, path)
    assert all((before[k] == v.numpy()).all() for k, v in other.model.state_dict().items())


def test_a_model_is_no_run_and_a_cut_file_says_so(tmp_path):
    run = training.prepare(training.Recipe(**SMALL))
    tr.save(run.model, tmp_path / "model.safetensors")
    with pytest.raises(training.CheckpointError, match="not a saved run, though it may be a model"):
        training.resume(run, tmp_path / "model.safetensors")
    training.save(run, tmp_path / "run.safetensors")
    content = (tmp_path / "run.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(FileFormatError):
        training.resume(run, tmp_path / "cut.safetensors")
    with pytest.raises(FileNotFoundError):
        training.resume(run, tmp_path / "none.safetensors")


def test_a_recipe_of_a_later_version_is_refused(tmp_path):
    run = training.prepare(training.Recipe(**SMALL))
    training.save(run, tmp_path / "run.safetensors")
    arrays, texts = tr.load(tmp_path / "run.safetensors"), tr.load_metadata(tmp_path / "run.safetensors")
    about = json.loads(texts["run"])
    about["recipe"]["colour"] = "blue"
    tr.save(arrays, tmp_path / "later.safetensors", texts | {"run": json.dumps(about)})
    with pytest.raises(training.CheckpointError, match=r"this version cannot read its recipe.*colour"):
        training.resume(run, tmp_path / "later.safetensors")


@pytest.mark.slow
def test_a_header_is_not_trusted(tmp_path):
    """Whatever stands in it: one error that names the file, or the run that was saved."""
    run = finished(training.prepare(training.Recipe(**SMALL | {"arch": "stochastic_depth", "steps": 4})))
    good, bad = tmp_path / "good.safetensors", tmp_path / "bad.safetensors"
    training.save(run, good)
    arrays, texts = tr.load(good), tr.load_metadata(good)
    for key in texts:
        for place, document in spoiled(json.loads(texts[key]), every=13):
            tr.save(arrays, bad, texts | {key: json.dumps(document)})
            fresh = training.prepare(run.recipe)
            again, said = outcome(lambda run=fresh: training.resume(run, bad), training.CheckpointError)
            if again is None:
                assert said.startswith(str(bad)), place
                assert "\n" not in said, place
            else:  # where a value does not matter
                assert_the_same(again, run)
                assert harmless(place, document, json.loads(texts[key])), (place, document)


@pytest.mark.parametrize(("name", "value"), [("depth", 2**40 * 6 + 2), ("width", 2**31)])
def test_a_recipe_of_a_larger_net_than_the_file_is_refused_before_it_is_built(tmp_path, name, value):
    run = finished(training.prepare(training.Recipe(**SMALL | {"steps": 1})))
    path = tmp_path / "run.safetensors"
    training.save(run, path)
    assert saved_recipe(path) == run.recipe
    texts = tr.load_metadata(path)
    about = json.loads(texts["run"])
    about["recipe"][name] = value
    tr.save(tr.load(path), path, texts | {"run": json.dumps(about)})
    with pytest.raises(training.CheckpointError, match=rf"run\.safetensors: its recipe says {name} {value}, but "):
        saved_recipe(path)


@pytest.mark.parametrize(
    "change",
    [
        {"losses": np.zeros(3)}, {"losses": np.full(4, np.nan)}, {"losses": np.zeros(4, "f4")},
        {"losses": np.zeros((4, 1))}, {"optimizer.7000.momentum_buffer": np.zeros(3)}, {"optimizer.x": np.zeros(3)},
        {"model.another": np.zeros(3)}, {"optimizEr.1.momentum_buffer": np.zeros(3)},
    ],
    ids=str,
)  # fmt: skip
def test_arrays_are_not_trusted(tmp_path, change):
    run = finished(training.prepare(training.Recipe(**SMALL | {"steps": 4})))
    training.save(run, tmp_path / "run.safetensors")
    arrays, texts = tr.load(tmp_path / "run.safetensors"), tr.load_metadata(tmp_path / "run.safetensors")
    tr.save(arrays | change, tmp_path / "run.safetensors", texts)
    refused, untouched = training.prepare(run.recipe), training.prepare(run.recipe)
    with pytest.raises(training.CheckpointError, match=r"run\.safetensors: does not fit"):
        training.resume(refused, tmp_path / "run.safetensors")
    assert_the_same(refused, untouched)
    assert refused.scheduler.state_dict() == untouched.scheduler.state_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": "8"}, "depth must be a whole number or None, got '8'"),
        ({"depth": True}, "depth must be a whole number or None, got True"),
        ({"lr": float("inf")}, "lr must be a finite number, got inf"),
        ({"lr": float("nan")}, "lr must be a finite number, got nan"),
        ({"augment": 1}, "augment must be True or False or None, got 1"),
        ({"arch": 3}, "arch must be a text, got 3"),
    ],
)
def test_a_recipe_knows_its_types(change, message):
    with pytest.raises(ValueError, match=message):
        training.Recipe(**change)
    training.Recipe(depth=np.int64(8), lr=np.float32(0.1), seed=np.uint8(3))
