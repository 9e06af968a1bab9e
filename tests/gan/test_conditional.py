"""Players that are told a class: whose labels go where, what is saved, drawn and scored, and what is refused."""

import json

import numpy as np
import pytest

import tinyres as tr
from tests.gan.command import run
from tests.gan.judge import trained_judge
from tests.gan.test_state import assert_the_same, finished
from tinyres import data, gan, models, nn, optim
from tinyres.gan import metrics
from tinyres.gan.labels import Told, row_for_each

pytestmark = pytest.mark.usefixtures("sketched")

SMALL = {"steps": 6, "width": 8, "batch_size": 300, "conditional": True}


def recipe(method, name="digits", **changed):
    return gan.GANRecipe.of(method, name, **SMALL | changed)


class Noting(nn.Module):
    """Keeps the samples and labels that it is given."""

    def __init__(self):
        self.w, self.seen = nn.Parameter(np.array([[0.5]])), []

    def forward(self, x, y):
        self.seen.append((x.numpy().copy(), y.numpy().copy()))
        return x @ self.w


def test_fakes_have_the_classes_of_the_real_samples_beside_them():
    """Of D's steps, of G's, and of a penalty at both ends: every batch that D sees has the labels of its real part."""
    g, d = Noting(), Noting()
    inputs = np.arange(40.0)[:, None]
    dataset = data.Dataset(inputs, np.arange(40) % 5, "numbers", 5)
    trainer = gan.GANTrainer(
        g, d, dataset, loss=gan.LOSSES["relativistic"], penalty=gan.PENALTIES["r1r2"], penalty_weight=1.0, d_steps=2,
        optimizer_g=optim.SGD(g.parameters(), 0.1), optimizer_d=optim.SGD(d.parameters(), 0.1), batch_size=8, latent=1,
        classes=5, total=3,
    )  # fmt: skip
    next(trainer.steps())
    real, fake, both, again, fake_2, both_2, of_g, beside = d.seen
    for (x, y), (_, of_fakes), (_, of_both) in ((real, fake, both), (again, fake_2, both_2)):
        np.testing.assert_array_equal(y, x[:, 0] % 5)
        np.testing.assert_array_equal(of_fakes, y)
        np.testing.assert_array_equal(of_both, [*y, *y])
    np.testing.assert_array_equal(of_g[1], again[1])
    np.testing.assert_array_equal(beside[0], again[0])
    np.testing.assert_array_equal(beside[1], again[1])
    assert [len(y) for _, y in g.seen] == [8, 8, 8]
    for (_, made_for), (_, y) in zip(g.seen, (real, again, again), strict=True):
        np.testing.assert_array_equal(made_for, y)


@pytest.mark.parametrize("stop", [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(5, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "change",
    [
        {"method": "r3gan", "batch_size": 60},
        {"method": "sn_hinge", "instance_noise": 0.2},
        {"method": "wgan_gp", "d_steps": 2, "penalty_every": 3},
        {"method": "wgan", "arch": "mlp", "ema": 0.0},
        {"method": "dragan", "name": "ring8"},
    ],
    ids=lambda change: change["method"],
)
def test_going_on_is_bit_exact_and_the_file_knows_the_classes(tmp_path, change, stop):
    wanted = recipe(**change)
    whole, begun = finished(gan.prepare(wanted)), gan.prepare(wanted)
    for _ in begun.steps():
        if begun.step == stop:
            break
    path = tmp_path / "run.safetensors"
    gan.save(begun, path)
    again = gan.resume(gan.prepare(wanted), path)
    assert_the_same(finished(again), whole)
    saved, generator = gan.load_generator(path)
    assert (saved.conditional, saved.classes) == (True, 8 if wanted.data == "ring8" else 10)
    noise, labels = begun.fixed_noise(5), np.arange(5)
    np.testing.assert_array_equal(gan.sample(generator, noise, labels), begun.sample(noise=noise, labels=labels))


@pytest.mark.parametrize("method", gan.METHODS)
def test_every_method_trains_conditional_players(method):
    trainer = finished(gan.prepare(recipe(method, steps=2)))
    assert isinstance(trainer.generator, models.ConditionalGenerator)
    assert isinstance(trainer.discriminator, models.ProjectionCritic)
    assert np.isfinite(trainer.history).all()
    samples = trainer.sample(20, 0)
    np.testing.assert_array_equal(samples, trainer.sample(20, 0, labels=np.arange(20) % 10))
    assert not np.array_equal(samples, trainer.sample(20, 0, labels=np.zeros(20, int)))


def test_without_it_nothing_is_drawn_or_noted():
    plain = gan.prepare(recipe("r3gan", conditional=False))
    assert (plain.classes, plain.recipe.classes) == (0, 0)
    assert type(plain.generator) is nn.Sequential
    assert "conditional" not in plain.recipe.describe()
    assert gan.prepare(recipe("r3gan")).recipe.describe() == (
        "conditional r3gan on digits, batch_size 300, steps 6, width 8, conditional True"
    )


@pytest.mark.parametrize(("dataset", "said"), [
    (data.Dataset(np.zeros((400, 1, 8, 8), "f"), np.zeros(400, int), "one", 1), "but one has none"),
    (data.Dataset(np.zeros((400, 1, 8, 8), "f"), np.zeros(400), "measured"), "but measured has none"),
])  # fmt: skip
def test_data_without_classes_are_refused(dataset, said):
    with pytest.raises(ValueError, match=f"told the class of each sample, {said}; take labelled data"):
        gan.prepare(recipe("r3gan"), dataset)


@pytest.mark.parametrize("change", [{"classes": 3}, {"conditional": True, "classes": 1}])
def test_classes_without_players_that_are_told_are_refused(change):
    with pytest.raises(ValueError, match="conditional players need at least two classes, others none"):
        gan.GANRecipe.of("r3gan", "digits", **change)


def test_players_of_a_number_of_classes_that_is_not_known_yet_are_refused():
    with pytest.raises(ValueError, match="the classes of digits have not been read yet"):
        gan.players(recipe("r3gan"))


def test_a_file_with_more_classes_than_its_weights_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    gan.save(finished(gan.prepare(recipe("dragan", "ring8", steps=1))), path)
    texts = tr.load_metadata(path)
    about = json.loads(texts["gan"])
    about["recipe"]["classes"] = 2**31
    tr.save(tr.load(path), path, texts | {"gan": json.dumps(about)})
    with pytest.raises(gan.CheckpointError, match="its recipe says classes 2147483648, but none of its arrays"):
        gan.load_players(path)


@pytest.mark.parametrize(("labels", "said"), [(None, "needs labels"), (np.zeros(3, int), "got 3 for 4 rows")])
def test_a_conditional_generator_needs_a_label_for_each_row(labels, said):
    trainer = gan.prepare(recipe("dragan", "ring8"))
    with pytest.raises(ValueError, match=said):
        gan.sample(trainer.generator, np.zeros((4, 2)), labels)


def test_one_row_for_each_class():
    noise = np.arange(6.0).reshape(3, 2)
    tiled, labels = row_for_each(4, noise)
    np.testing.assert_array_equal(labels, np.repeat([0, 1, 2, 3], 3))
    np.testing.assert_array_equal(tiled.reshape(4, 3, 2), np.broadcast_to(noise, (4, 3, 2)))
    assert row_for_each(0, noise) == (noise, None)
    _, many = row_for_each(1000, noise)
    assert (len(many), many[0], many[-1]) == (16 * 3, 0, 999)


def test_a_player_that_was_told_takes_several_batches_of_its_labels():
    told = Told(lambda x, y: y, tr.tensor(np.array([4, 5])))
    assert told(np.zeros((2, 3))).tolist() == [4, 5]
    assert told(np.zeros((6, 3))).tolist() == [4, 5] * 3


def test_asked_for():
    found = metrics.asked_for([0, 0, 1, 1, 3], [0, 1, 1, 1, 0], "a reader")
    assert (found.share, found.least, found.worst, found.samples) == (0.6, 0.0, 3, 5)
    assert str(found).startswith("60.0 % of 5 samples are of the class that was asked for, in the worst, 3, 0.0 %, as ")
    with pytest.raises(ValueError, match="two rows of class numbers"):
        metrics.asked_for([0, 1], [0], "a reader")


@pytest.mark.parametrize(
    ("name", "n"), [("digits", 300), ("ring8", 300), pytest.param("stacked-digits", 300, marks=pytest.mark.slow)]
)
def test_the_score_counts_what_was_asked_for(name, n, tmp_path, tmp_path_factory):
    """Real samples of the class that is asked for obey; of the next class, they do not."""
    wanted, real = recipe("r3gan", name), gan.real_data(name)
    kinds, folder = real.classes, trained_judge(tmp_path_factory) if name == "digits" else tmp_path

    def real_ones(n, *, labels, shift=0):
        assert len(labels) == n
        rng = np.random.default_rng(1)
        order = rng.permutation(len(real))
        first = dict(zip(real.targets[order][::-1], order[::-1], strict=True))
        return real.inputs[[first[(y + shift) % kinds] for y in labels]]

    right = gan.score(wanted, real_ones, n=n, folder=folder)
    wrong = gan.score(wanted, lambda n, labels: real_ones(n, labels=labels, shift=1), n=n, folder=folder)
    assert right.figures["asked"] > 0.95
    assert wrong.figures["asked"] < 0.05
    assert right.figures["asked_least"] <= right.figures["asked"]
    assert "of the class that was asked for" in right.sentences[-1]


def test_the_command_trains_draws_and_scores(capsys, tmp_path):
    arguments = ("--data", "ring8", "--conditional", "--method", "r1", "--width", 8, "--batch-size", 64, "--steps", 4)
    status, out, _ = run(capsys, "train", *arguments, "--out", tmp_path / "run")
    assert status == 0
    assert "samples are of the class that was asked for" in out
    figures = json.loads((tmp_path / "run" / "result.json").read_text())["score"]["figures"]
    assert 0 <= figures["asked_least"] <= figures["asked"] <= 1
    status, out, _ = run(capsys, "score", tmp_path / "run", "--n", 100)
    assert status == 0
    assert "of 100 samples are of the class" in out
    for more in ((), ("--label", 3)):
        assert run(capsys, "sample", tmp_path / "run", *more, "--out", tmp_path / "a.png")[0] == 0
    status, _, err = run(capsys, "sample", tmp_path / "run", "--label", 8, "--out", tmp_path / "a.png")
    assert (status, "--label 8: the run has no such class; its classes are 0 to 7" in err) == (2, True)
    status, _, err = run(capsys, "probe", "--data", "ring8", "--checkpoint", tmp_path / "run", "--steps", 1)
    assert (status, "is conditional" in err) == (2, True)
    status, _, err = run(capsys, "train", "--resume", "--no-conditional", "--out", tmp_path / "run")
    assert status == 2
    assert "conditional" in err


def test_your_own_images_need_classes(capsys, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "bare.npz", x=rng.integers(0, 255, (40, 8, 8), dtype=np.uint8))
    np.savez(tmp_path / "named.npz", x=rng.integers(0, 255, (40, 8, 8), dtype=np.uint8), y=np.arange(40) % 2)
    small = ("--method", "r1", "--conditional", "--arch", "mlp", "--width", 4, "--batch-size", 8, "--steps", 1)
    status, _, err = run(capsys, "train", "--data", tmp_path / "bare.npz", *small, "--out", tmp_path / "a")
    assert status == 2
    assert "x and y" in err
    assert run(capsys, "train", "--data", tmp_path / "named.npz", *small, "--out", tmp_path / "b")[0] == 0
    assert gan.saved_recipe(tmp_path / "b" / "run.safetensors").classes == 2
    assert run(capsys, "train", "--resume", "--out", tmp_path / "b")[0] == 0
