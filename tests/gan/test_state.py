"""A run that was taken up again ends with the same bits as one never stopped; what cannot be, is a sentence."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tinyres as tr
from tests.spoiled import harmless, outcome, spoiled
from tinyres import data, gan, nn, optim
from tinyres.files import FileFormatError

SMALL = {"steps": 6, "width": 4, "batch_size": 300}  # five batches an epoch


def recipe(method="nonsaturating", name="digits", **changed):
    return gan.GANRecipe.of(method, name, **SMALL | changed)


def finished(trainer):
    for _ in trainer.steps():
        pass
    return trainer


def content(trainer):
    found = {
        f"{name}.{key}": value.numpy() for name, m in trainer.modules.items() for key, value in m.state_dict().items()
    }
    for name, optimizer in trainer.optimizers.items():
        arrays, _ = optim.flat(optimizer.state_dict())
        found |= {f"{name}'s {key}": value for key, value in arrays.items()}
    return found


def assert_the_same(a, b):
    x, y = content(a), content(b)
    assert set(x) == set(y)
    for name in x:
        assert x[name].dtype == y[name].dtype, name
        np.testing.assert_array_equal(x[name], y[name], err_msg=name)
    assert (a.step, a.history) == (b.step, b.history)
    np.testing.assert_array_equal(a.sample(5), b.sample(5))


@pytest.mark.parametrize("stop", [1, 4])  # within the first epoch, and behind its end
@pytest.mark.parametrize(
    "change",
    [
        {"method": "nonsaturating", "instance_noise": 0.3},
        {"method": "sn_hinge", "ema": 0.0},
        {"method": "wgan_gp", "d_steps": 2},
        {"method": "r1", "name": "ring8"},
        {"method": "r3gan", "name": "ring8", "penalty_every": 2, "d_steps": 3},
        {"method": "wgan", "arch": "mlp"},
    ],
    ids=lambda change: change["method"],
)
def test_going_on_is_bit_exact(tmp_path, change, stop):
    wanted = recipe(**change)
    whole = finished(gan.prepare(wanted))
    begun = gan.prepare(wanted)
    for _ in begun.steps():
        if begun.step == stop:
            break
    gan.save(begun, tmp_path / "run.safetensors")
    again = gan.resume(gan.prepare(wanted), tmp_path / "run.safetensors")
    assert_the_same(again, begun)
    assert again.step == stop
    assert_the_same(finished(again), whole)


def test_the_generators_inside_a_player_are_kept(tmp_path):
    """Dropout draws from a generator of its own, which no seed and step decide."""

    def made():
        rng = np.random.default_rng(0)
        g = nn.Sequential(nn.Linear(2, 8, rng=rng), nn.ReLU(), nn.Linear(8, 2, rng=rng))
        d = nn.Sequential(nn.Linear(2, 8, rng=rng), nn.ReLU(), nn.Dropout(0.5, rng=7), nn.Linear(8, 1, rng=rng))
        adams = {"optimizer_g": optim.Adam(g.parameters()), "optimizer_d": optim.Adam(d.parameters())}
        return gan.GANTrainer(g, d, data.ring(50), loss=gan.LOSSES["hinge"], batch_size=16, latent=2, total=6, **adams)

    whole, begun = finished(made()), made()
    for _ in begun.steps():
        if begun.step == 3:
            break
    gan.save(begun, tmp_path / "run.safetensors")
    assert_the_same(finished(gan.resume(made(), tmp_path / "run.safetensors")), whole)
    with pytest.raises(gan.CheckpointError, match="models were built by hand; build them again, and call resume"):
        gan.load_generator(tmp_path / "run.safetensors")


def test_a_generator_is_found_in_its_runs_folder(tmp_path):
    made = gan.prepare(recipe(method="hinge"))
    with pytest.raises(
        gan.CheckpointError,
        match=r"this folder holds no run\.safetensors; give the run\.safetensors of a GAN's run, or its folder",
    ):
        gan.load_generator(tmp_path)
    gan.save(made, tmp_path / "run.safetensors")
    assert gan.load_generator(tmp_path)[0] == made.recipe
    tr.save(made.generator, tmp_path / "generator.safetensors")
    with pytest.raises(gan.CheckpointError, match=r"a model; give the run\.safetensors of a GAN's run, or its folder"):
        gan.load_generator(tmp_path / "generator.safetensors")


CHILD = """
import os, sys, time
from tinyres import gan
path, how = sys.argv[1:]
trainer = gan.prepare(gan.GANRecipe.of("nonsaturating", "digits", steps=400, width=4, batch_size=100))
if os.path.exists(path):
    gan.resume(trainer, path)
fsync = os.fsync
def hang(file):
    print("writing", flush=True)
    time.sleep(60)
for i, _ in enumerate(trainer.steps()):
    os.fsync = hang if how == "in the middle of a write" and i == 2 else fsync
    gan.save(trainer, path)  # all the time: most kills fall into a write
    if i == 0:
        print("saved", flush=True)
"""


@pytest.mark.slow
def test_killed_over_and_over_it_goes_on_bit_for_bit(tmp_path):
    """SIGKILL at random moments and in the middle of a write: what is there is the state after some whole step."""
    path, draw, seen = tmp_path / "run.safetensors", random.Random(0), [0]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for how in ("at random", "at random", "in the middle of a write", "at random"):
        command = [sys.executable, "-c", CHILD, str(path), how]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout.readline() == "saved\n"
            if how == "at random":
                time.sleep(draw.uniform(0, 0.2))
            else:
                assert process.stdout.readline() == "writing\n"
                written = path.read_bytes()
            process.kill()
            assert process.wait() == -signal.SIGKILL, "the kill came too late to test anything"
        if how != "at random":
            assert path.read_bytes() == written
        seen.append(json.loads(tr.load_metadata(path)["gan"])["step"])
    assert seen == sorted(set(seen))  # every life got further
    wanted = gan.GANRecipe.of("nonsaturating", "digits", steps=seen[-1] + 5, width=4, batch_size=100)
    lived = gan.prepare(gan.GANRecipe.of("nonsaturating", "digits", steps=400, width=4, batch_size=100))
    gan.resume(lived, path)
    for trainer in (lived, whole := gan.prepare(wanted)):
        for _ in trainer.steps():
            if trainer.step == wanted.steps:
                break
    assert_the_same(lived, whole)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_costs_nothing(tmp_path, monkeypatch, step):
    path, trainer = tmp_path / "run.safetensors", gan.prepare(recipe())
    steps = trainer.steps()
    next(steps)
    gan.save(trainer, path)
    before = path.read_bytes()
    next(steps)

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, step, full)
        with pytest.raises(OSError, match="No space left on device"):
            gan.save(trainer, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.safetensors"]
    gan.save(trainer, path)  # there is room again
    assert_the_same(finished(gan.resume(gan.prepare(recipe()), path)), finished(gan.prepare(recipe())))


def refused(trainer, path, error, message):
    before = content(trainer)
    with pytest.raises(error, match=message) as caught:
        gan.resume(trainer, path)
    assert "\n" not in str(caught.value)
    after = content(trainer)
    assert set(before) == set(after)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert (trainer.step, trainer.history) == (0, [])


def test_another_recipe_or_architecture_is_refused_and_the_trainer_left_alone(tmp_path):
    path = tmp_path / "run.safetensors"
    gan.save(finished(gan.prepare(recipe())), path)
    refused(gan.prepare(recipe(arch="mlp")), path, gan.CheckpointError,
            r"a run of another recipe \(arch is 'dcgan' there and 'mlp' here\); use the same one")  # fmt: skip
    by_hand = gan.prepare(recipe(width=8))
    by_hand.recipe = None  # without one, the weights themselves say it
    refused(by_hand, path, gan.CheckpointError, "does not fit the models and optimisers of this run .*wrong shape")
    narrow = gan.prepare(recipe())
    narrow.recipe, narrow.discriminator = None, gan.prepare(recipe(width=8)).discriminator
    refused(narrow, path, gan.CheckpointError, "wrong shape")  # the generator fitted, and is put back


def test_a_cut_file_a_model_and_no_file(tmp_path):
    trainer = gan.prepare(recipe())
    gan.save(trainer, tmp_path / "run.safetensors")
    whole = (tmp_path / "run.safetensors").read_bytes()
    for share in (0.0, 0.1, 0.5, 0.999):
        (tmp_path / "cut.safetensors").write_bytes(whole[: int(share * len(whole))])
        refused(trainer, tmp_path / "cut.safetensors", FileFormatError, "needs a complete safetensors file")
    tr.save(trainer.generator, tmp_path / "model.safetensors")
    refused(trainer, tmp_path / "model.safetensors", gan.CheckpointError, "not a saved run, though it may be a model")
    with pytest.raises(FileNotFoundError):
        gan.resume(trainer, tmp_path / "none.safetensors")


def test_a_recipe_of_a_later_version_is_refused(tmp_path):
    trainer = gan.prepare(recipe())
    gan.save(trainer, tmp_path / "run.safetensors")
    arrays, texts = tr.load(tmp_path / "run.safetensors"), tr.load_metadata(tmp_path / "run.safetensors")
    about = json.loads(texts["gan"])
    about["recipe"]["colour"] = "blue"
    tr.save(arrays, tmp_path / "later.safetensors", texts | {"gan": json.dumps(about)})
    refused(trainer, tmp_path / "later.safetensors", gan.CheckpointError, "this version cannot read its recipe.*colour")


def test_the_generator_alone_is_the_averaged_one(tmp_path, monkeypatch):
    trainer = finished(gan.prepare(recipe(ema=0.5)))
    gan.save(trainer, tmp_path / "run.safetensors")
    monkeypatch.setattr(data, "digits", None)  # no data are loaded for it
    noise = trainer.fixed_noise(5)
    for ema in (True, False):
        wanted, generator = gan.load_generator(tmp_path / "run.safetensors", ema=ema)
        assert wanted == trainer.recipe
        np.testing.assert_array_equal(gan.sample(generator, noise), trainer.sample(noise=noise, ema=ema))
    _, (_, discriminator) = gan.load_players(tmp_path / "run.safetensors")
    for name, value in discriminator.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), trainer.discriminator.state_dict()[name].numpy())


@pytest.mark.slow
def test_a_header_is_not_trusted(tmp_path):
    """Whatever stands in it: one error that names the file, or the run that was saved."""
    trainer = finished(gan.prepare(recipe("nonsaturating", "ring8", steps=2, width=4)))
    good, bad = tmp_path / "good.safetensors", tmp_path / "bad.safetensors"
    gan.save(trainer, good)
    arrays, texts = tr.load(good), tr.load_metadata(good)
    other = gan.prepare(trainer.recipe)
    for key in texts:
        whole = json.loads(texts[key])
        for place, document in spoiled(whole, every=3):
            tr.save(arrays, bad, texts | {key: json.dumps(document)})
            before = content(other)
            again, said = outcome(lambda to=other: gan.resume(to, bad), gan.CheckpointError)
            if again is None:
                assert said.startswith(str(bad)), place
                assert "\n" not in said, place
                for name, value in content(other).items():
                    np.testing.assert_array_equal(value, before[name])
            else:
                assert_the_same(again, trainer)
                assert harmless(place, document, whole), (place, document)
                other = gan.prepare(trainer.recipe)


@pytest.mark.parametrize("name", ["width", "latent"])
def test_a_recipe_of_larger_players_than_the_file_is_refused_before_they_are_built(tmp_path, name):
    trainer = finished(gan.prepare(recipe("nonsaturating", "ring8", steps=1, width=4)))
    path = tmp_path / "run.safetensors"
    gan.save(trainer, path)
    assert gan.load_players(path)[0] == trainer.recipe
    texts = tr.load_metadata(path)
    about = json.loads(texts["gan"])
    about["recipe"][name] = 2**31
    tr.save(tr.load(path), path, texts | {"gan": json.dumps(about)})
    with pytest.raises(gan.CheckpointError, match=rf"run\.safetensors: its recipe says {name} 2147483648, but none"):
        gan.load_players(path)
