"""`--data` with your own images: train, sweep and gan train, resumed and refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import tinyres as tr
from tests.data.own import photos, picture
from tinyres import gan, training
from tinyres.cli import main

pytestmark = pytest.mark.usefixtures("sketched")

SMALL = ("resnet", "--depth", 8, "--width", 2, "--batch-size", 8)


def run(capsys, *arguments):
    status = main([*map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_is_trained_on_and_the_run_resumed_bit_for_bit(capsys, here):
    photos(here / "photos")
    whole = run(capsys, "train", *SMALL, "--data", "photos", "--epochs", 2, "--seed", 3)
    assert whole[0] == 0
    assert "photos: 16 images, 2 classes: cats 10, dogs 6; 8x8 pixels; colour, 3 channels; 13 to train" in whole[1]
    recipe = json.loads((here / "train-results" / "resnet-photos" / "result.json").read_text())["recipe"]
    assert recipe["data"] == str(here / "photos")
    assert len(recipe["data_hash"]) == 20
    made = training.prepare(training.Recipe(arch="resnet", depth=8, width=2, batch_size=8, data="photos", epochs=2,
                                            lr=0.1, seed=3))  # fmt: skip
    next(made.steps())
    (here / "cut").mkdir()
    training.save(made, here / "cut" / "run.safetensors")
    status, out, err = run(capsys, "train", "resnet", "--data", "photos", "--resume", "--out", "cut")
    assert status == 0, err
    assert "resuming from step 1 of 2: resnet on photos" in out
    assert "data_hash" not in out
    one, other = (tr.load(here / f / "model.safetensors") for f in ("train-results/resnet-photos", "cut"))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_a_changed_folder_is_noticed(capsys, here):
    photos(here / "photos")
    assert run(capsys, "train", *SMALL, "--data", "photos", "--steps", 1, "--out", "out")[0] == 0
    picture(here / "photos" / "cats" / "00.png", seed=12345)
    status, _, err = run(capsys, "train", "resnet", "--data", "photos", "--resume", "--out", "out")
    assert (status, "have changed since the run began" in err) == (2, True)
    (here / "photos").rename(here / "moved")
    status, _, err = run(capsys, "train", "resnet", "--resume", "--out", "out")
    assert (status, "there is no such folder" in err) == (2, True)
    assert training.saved_recipe("out").data == str(here / "photos")


def test_arrays_are_trained_on(capsys, here):
    x, y = np.random.default_rng(0).integers(0, 256, (30, 8, 8), dtype=np.uint8), np.arange(30) % 3
    np.savez("own.npz", images=x, labels=y)
    status, out, err = run(capsys, "train", "mlp", "--depth", 3, "--width", 4, "--data", "own.npz", "--steps", 2)
    assert status == 0, err
    assert "taken for (N, H, W), grey; uint8 from 0 to 255, divided by 255" in out
    assert Path("train-results/mlp-own/run.safetensors").exists()


def test_a_sweep_goes_on_and_begins_anew_where_the_data_changed(capsys, here):
    photos(here / "photos")
    command = ["sweep", "--arch", "mlp", "--depth", 3, "--width", 4, "--data", "photos", "--steps", 2, "--jobs", 1]
    status, out, err = run(capsys, *command)
    assert status == 0, err
    assert "2 classes: cats 10, dogs 6" in out
    assert "1 of 1 points are already finished" in run(capsys, *command)[1]
    picture(here / "photos" / "cats" / "more.png", seed=5)
    assert "already finished" not in run(capsys, *command)[1]


@pytest.mark.slow
def test_a_gan_needs_no_classes(capsys, here):
    for i in range(12):
        picture(here / "faces" / f"{i}.png", i, size=(12, 8))
    command = ["gan", "train", "--data", "faces", "--image-size", 8, "--width", 4, "--latent", 4, "--batch-size", 4]
    status, out, err = run(capsys, *command, "--steps", 4, "--save-every", 2)
    assert status == 0, err
    assert "faces: 12 images; 12x8 pixels, brought to 8x8; colour, 3 channels" in out
    assert "no score at the end" in out
    folder = Path("gan-results/sn_hinge-faces")
    recipe, generator = gan.load_generator(folder)
    assert (recipe.image, recipe.image_size, recipe.title) == ("3x8x8", 8, "sn_hinge on faces")
    assert gan.sample(generator, np.zeros((2, 4))).shape == (2, 3, 8, 8)
    status, out, err = run(capsys, "gan", "train", "--data", "faces", "--resume")
    assert status == 0, err
    assert "resuming from step 4 of 4: sn_hinge on faces, " in out
    assert run(capsys, "gan", "sample", folder, "--n", 4)[0] == 0
    picture(here / "faces" / "more.png")
    status, _, err = run(capsys, "gan", "train", "--data", "faces", "--resume")
    assert (status, "have changed since the run began" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "resnet", "--data", "photo"), "no data set called 'photo'; did you mean photos"),
        (("train", "resnet", "--data", "nothing/like/it"), "there are digits, .*; or give the path of a folder"),
        (("train", "resnet", "--data", "/nothing/there"), "folder /nothing/there: there is no such folder"),
        (("train", "resnet", "--data", "photos", "--image-size", "0"), "image_size 0: it must be at least 1"),
        (
            ("train", "resnet", "--image-size", "8"),
            "image_size 8: it is for images of your own; digits has a size of its own",
        ),
        (("train", "resnet", "--data", "one"), "a classifier needs at least two classes, found only one, 'cats'"),
        (("sweep", "--data", "one"), "at least two classes"),
        (("sweep", "--data", "photo"), "did you mean photos"),
        (("gan", "train", "--data", "photo"), "did you mean photos"),
        (("gan", "train", "--data", "empty"), "no PNG or JPEG file in it"),
    ],
)
def test_refusals(capsys, here, arguments, said):
    photos(here / "photos")
    photos(here / "one", [("cats", 3)])
    (here / "empty").mkdir()
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert err.count("\n") == 1
    assert re.search(said, err), err
    assert not (here / "train-results").exists()
