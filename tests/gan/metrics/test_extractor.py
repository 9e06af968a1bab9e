"""The classifier as a measuring instrument: its features, its name, its file."""

import numpy as np
import pytest

import tinyres as tr
from tests.gan.judge import trained_judge
from tinyres import files, training
from tinyres.gan import metrics
from tinyres.gan.data import real_data
from tinyres.gan.metrics import extractor
from tinyres.training.prepare import load_split


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return trained_judge(tmp_path_factory)


@pytest.fixture(scope="module")
def trained(folder):
    return metrics.classifier("digits", 0, folder=folder)


@pytest.fixture(scope="module")
def images():
    x = real_data("digits").inputs
    return x[np.random.default_rng(0).permutation(len(x))]


def test_it_is_named_for_what_it_is(trained):
    assert trained.accuracy > 0.97
    said = f"features of a residual classifier trained on digits (accuracy {100 * trained.accuracy:.1f} %)"
    assert trained.name == said


def test_features_are_what_enters_the_linear_layer(trained, images):
    features, answers = trained.features(images[:700]), trained.probabilities(images[:700])
    assert features.shape == (700, 64)
    linear = list(trained.model.head)[-1]
    logits = features @ linear.weight.numpy().T.astype("float64") + linear.bias.numpy()
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answers, shares, atol=1e-5)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-12)


def test_it_knows_the_normalisation(trained):
    """Images from -1 to 1 get the answers that training's own evaluation gets from its own test set."""
    run = training.prepare(training.Recipe(**extractor.RECIPES["digits"].to_json()))
    given = 2 * load_split(run.recipe).test.inputs - 1
    right = (trained.probabilities(given).argmax(axis=1) == run.test.targets).mean()
    assert right == pytest.approx(trained.accuracy)
    with tr.no_grad():
        expected = tr.softmax(trained.model(tr.tensor(run.test.inputs)), axis=1).numpy()
    np.testing.assert_allclose(trained.probabilities(given), expected, atol=1e-5)


def test_halves_of_the_real_data_are_near_and_noise_is_far(trained, images):
    a, b = trained.features(images[:898]), trained.features(images[898:])
    noise = trained.features(np.random.default_rng(0).uniform(-1, 1, (898, 1, 8, 8)).astype("float32"))
    near, far = (metrics.frechet_distance(a, other, extractor=trained.name) for other in (b, noise))
    assert far.value > 20 * near.value
    assert f"in {trained.name}, 898 against 899 samples" in str(near)
    assert abs(metrics.mmd(a, b).value) < 4 * metrics.mmd(a, b).error
    assert metrics.inception_score(trained.probabilities(images), classifier=trained.classifier).value > 9


def test_a_folder_spares_the_training(trained, folder, images):
    again = metrics.classifier("digits", 0, folder=folder, tick=lambda step, total: pytest.fail("trained again"))
    np.testing.assert_array_equal(again.features(images[:50]), trained.features(images[:50]))
    assert again.accuracy == trained.accuracy


def test_a_file_of_another_recipe_or_a_broken_one_is_refused(trained, folder, tmp_path):
    content = (folder / "classifier-digits-0.safetensors").read_bytes()
    (tmp_path / "classifier-digits-1.safetensors").write_bytes(content)
    with pytest.raises(training.CheckpointError, match=r"seed is 0 there and 1 here.*trained again"):
        metrics.classifier("digits", 1, folder=tmp_path)
    (tmp_path / "classifier-digits-0.safetensors").write_bytes(content[:-100])
    with pytest.raises(files.FileFormatError, match="trained again"):
        metrics.classifier("digits", 0, folder=tmp_path)


def test_images_that_it_does_not_take(trained):
    with pytest.raises(ValueError, match=r"shape \(N, 1, 8, 8\), those of digits, got float32 \(5, 1, 28, 28\)"):
        trained.features(np.zeros((5, 1, 28, 28), "float32"))
    with pytest.raises(ValueError, match=r"from -1 to 1.*16"):
        trained.features(np.full((5, 1, 8, 8), 16.0))
    with pytest.raises(ValueError, match="nan"):
        trained.probabilities(np.full((5, 1, 8, 8), np.nan))
    with pytest.raises(ValueError, match="no recipe for data called 'moons'; there are digits, mnist"):
        metrics.classifier("moons")
