"""GANs on the other device: the same draws, the same steps, the same file, and only what was asked for on the host."""

import json
from dataclasses import replace

import numpy as np
import pytest

import tinyres as tr
from tests.device.double import copies, no_copies
from tests.gan.judge import trained_judge
from tinyres import data, gan, models
from tinyres.arrays import device_of
from tinyres.gan.descent import noisy
from tinyres.gan.probe import gaussians
from tinyres.training import Diverged

SMALL = {"width": 4, "latent": 5, "batch_size": 8, "steps": 2, "d_steps": 2, "instance_noise": 0.1}


@pytest.fixture(scope="module")
def digits():
    return gan.real_data("digits")[:40]


def recipe(method, **changed):
    return replace(gan.GANRecipe.of(method, "digits"), **(SMALL | changed))


def twins(made, digits):
    """The same trainer here and there, in float64."""
    exact = data.Dataset(digits.inputs.astype("float64"), digits.targets)
    trainers = [gan.prepare(made, exact, device=device) for device in ("cpu", "cuda")]
    for trainer in trainers:
        for player in trainer.modules.values():
            player.to("float64")
    return trainers


def contents(path):
    """What a file holds, bit for bit, but for the device that it names."""
    arrays = {name: (value.dtype, value.shape, value.tobytes()) for name, value in tr.load(path).items()}
    texts = tr.load_metadata(path)
    about = json.loads(texts["gan"])
    del about["machine"]["device"]
    return arrays, texts | {"gan": json.dumps(about)}


@pytest.mark.parametrize("method", gan.METHODS)
def test_two_steps_of_a_method_are_the_same_and_copy_nothing_but_what_is_told(method, gpu, digits):
    here, there = twins(recipe(method, **({"width": 8} if method == "r3gan" else {})), digits)
    expected = list(here.steps())
    with no_copies("item", "get"):
        found = list(there.steps())
    assert copies["get"] in (0, 2 * 3)  # the norm of each step of a player; CuPy itself does not count
    np.testing.assert_allclose(found, expected, rtol=1e-7)
    assert there.device == "cuda"
    for name, module in there.modules.items():
        for key, value in module.state_dict().items():
            assert value.device == "cuda", (name, key)
            expected_value = here.modules[name].state_dict()[key].numpy()
            np.testing.assert_allclose(value.numpy(), expected_value, rtol=1e-6, atol=1e-7)
    with no_copies("get"):
        samples = there.sample(3)
    assert isinstance(samples, np.ndarray)
    np.testing.assert_allclose(samples, here.sample(3), rtol=1e-6, atol=1e-7)


def test_a_step_waits_for_the_gpu_a_fixed_number_of_times_however_many_layers_there_are(double, digits):
    for arch in ("mlp", "dcgan"):
        trainer = gan.prepare(recipe("nonsaturating", arch=arch, d_steps=1), digits, device="cuda")
        steps = trainer.steps()
        copies.clear()
        next(steps)
        # of each player loss, norm and whether its weights are finite; what D says three times; and two means
        assert sum(copies.values()) == 3 + 3 + 3 + 2


def test_a_run_has_the_same_file_from_either_device_and_goes_on_from_it_on_the_other(gpu, digits, tmp_path):
    here, there = (gan.prepare(recipe("sn_hinge"), digits, device=d) for d in ("cpu", "cuda"))
    gan.save(here, tmp_path / "here")
    gan.save(there, tmp_path / "there")
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    next(there.steps())
    gan.save(there, tmp_path / "there")
    again = gan.resume(gan.prepare(recipe("sn_hinge"), digits), tmp_path / "there")
    assert again.device == "cpu"
    gan.save(again, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(tmp_path / "there")
    back = gan.resume(gan.prepare(recipe("sn_hinge"), digits, device="cuda"), tmp_path / "again")
    assert {device_of(v) for o in back.optimizers.values() for s in o.state for v in s.values()} <= {"cuda", "cpu"}
    np.testing.assert_array_equal([*back.steps()], [*there.steps()])  # bit for bit


def test_a_run_that_diverges_says_so_and_stands_where_it_stood(gpu, digits):
    trainer = gan.prepare(recipe("saturating"), digits, device="cuda")
    weight = next(trainer.generator.parameters())
    weight.data = weight.data * np.float32(np.inf)
    with pytest.raises(Diverged, match="step 0"):
        next(trainer.steps())
    assert trainer.step == 0
    assert weight.device == "cuda"


def test_the_probe_measures_the_same(gpu, digits):
    found = []
    for device in ("cpu", "cuda"):
        players = (player.to(device) for player in gan.players(recipe("nonsaturating")))
        with no_copies("item", "get"):
            found.append(gan.probe(*players, digits, latent=5, steps=(0, 2), samples=16, batch_size=8))
    for here, there in zip(*found, strict=True):
        np.testing.assert_allclose(list(there.norms.values()), list(here.norms.values()), rtol=1e-8)
        np.testing.assert_allclose(list(there.cosines.values()), list(here.cosines.values()), rtol=1e-8)
        assert there.d_loss == pytest.approx(here.d_loss, rel=1e-9)


def test_the_probe_of_two_gaussians_runs_there(gpu):
    generator, dataset = gaussians(2.0)
    discriminator = models.PLAYERS["mlp"].discriminator(2, 8, (2,), "none", np.random.default_rng(0))
    (point,) = gan.probe(generator.to("cuda"), discriminator, dataset, latent=2, steps=(0,), samples=16)
    assert np.isfinite(list(point.norms.values())).all()


def test_weights_are_clipped_where_they_are(gpu):
    net = models.PLAYERS["mlp"].discriminator(2, 8, (2,), "none", np.random.default_rng(0)).to("cuda")
    with no_copies():
        gan.clip_weights_(net, 0.01)
    assert all(float(np.abs(p.numpy()).max()) <= np.float32(0.01) for p in net.parameters())


def test_noise_on_samples_is_drawn_on_the_host(gpu):
    x = tr.tensor(np.zeros((2, 3)))
    here, there = (noisy(x.to(d), 0.5, np.random.default_rng(0)) for d in ("cpu", "cuda"))
    assert there.device == "cuda"
    np.testing.assert_array_equal(there.numpy(), here.numpy())


def test_images_are_scored_there_and_the_metrics_are_the_same(gpu, digits, tmp_path_factory):
    """G and the classifier run on the GPU; the file that keeps the classifier serves either device."""
    made, folder = recipe("nonsaturating"), trained_judge(tmp_path_factory)
    trainers = [gan.prepare(made, digits, device=device) for device in ("cpu", "cuda")]
    found = [
        gan.score(made, trainer.sample, n=40, folder=folder, device=device)
        for trainer, device in zip(trainers, ("cpu", "cuda"), strict=True)
    ]
    here, there = (score.figures for score in found)
    assert here.keys() == there.keys()
    for name, value in here.items():
        assert there[name] == pytest.approx(value, rel=1e-3, abs=1e-3), name
    extractor = gan.metrics.classifier("digits", folder=folder, device="cuda")
    assert {p.device for p in extractor.model.parameters()} == {"cuda"}
    assert isinstance(extractor.features(digits.inputs), np.ndarray)


def test_conditional_players_are_scored_and_watched_there(gpu, digits, monkeypatch):
    from tinyres import flow
    from tinyres.flow.instruments import watched

    monkeypatch.setattr(watched, "PRODUCTS", 4)  # each as long as a step; what they give is not asked
    monkeypatch.setattr(watched, "PROBES", 1)
    trainer = gan.prepare(recipe("nonsaturating", arch="mlp", conditional=True, d_steps=1), digits, device="cuda")
    watch = flow.GameWatch(trainer, 1)
    next(trainer.steps())
    watch.look()
    assert np.isfinite(watch.history()["slope_fake"]).all()
    assert np.isfinite(watch.history()["field"]).all()
    assert trainer.sample(4).shape == (4, 1, 8, 8)
