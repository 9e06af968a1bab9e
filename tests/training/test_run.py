"""The recipe, what is built from it, the loop, the score."""

import math

import numpy as np
import pytest

import tinyres as tr
from tinyres import data, models, nn, training
from tinyres.training import classifier
from tinyres.training.prepare import augmentation

SMALL = {"depth": 8, "width": 2, "steps": 4, "batch_size": 400}


def test_a_recipe_names_what_exists():
    for field, value, message in (
        ("arch", "rasnet", "no arch called 'rasnet'; did you mean resnet"),
        ("data", "imagenet", "no data called 'imagenet'; there are digits, mnist, fashion-mnist, cifar10"),
        ("activation", "swish", "no activation called 'swish'"),
        ("optimizer", "lbfgs", "no optimizer called 'lbfgs'; there are sgd, adam, adamw"),
        ("schedule", "linear", "no schedule called 'linear'"),
        ("init", "he", "no init called 'he'; there are default, kaiming_normal"),
        ("init", "-1", "init: s_w² must be at least 0 and finite, got -1"),
        ("epochs", 0, "epochs must be at least 1, got 0"),
        ("width", 0, "width must be at least 1, got 0"),
        ("lr", math.nan, "lr must be a finite number, got nan"),
        ("warmup", 1.0, "warmup is a share of the run"),
    ):
        with pytest.raises(ValueError, match=message):
            training.Recipe(**{field: value})


@pytest.mark.parametrize("arch", [arch for arch in models.CLASSIFIERS if arch != "densenet_imagenet"])
def test_every_classifier_can_be_built_for_digits_and_learns_something(arch):
    small = {"width": 8} if "mlp" in arch else {} if arch == "cnn" else {"width": 4}
    run = training.prepare(training.Recipe(arch=arch, steps=2, batch_size=128, lr=0.01, **small))
    before = [p.numpy().copy() for p in run.model.parameters()]
    for loss in run.steps():
        assert math.isfinite(loss)
    changed = [not np.array_equal(a, p.numpy()) for a, p in zip(before, run.model.parameters(), strict=True)]
    assert np.mean(changed) > 0.5
    assert run.step == run.total == 2


def test_an_image_that_is_too_small_is_refused_before_training():
    with pytest.raises(ValueError, match="densenet_imagenet does not take images of 8x8 pixels: avg_pool2d"):
        training.prepare(training.Recipe(arch="densenet_imagenet"))


def test_inputs_are_normalised_by_the_training_set():
    run = training.prepare(training.Recipe(**SMALL))
    inputs = run.loader.dataset.inputs
    assert abs(inputs.mean()) < 1e-4
    assert abs(inputs.std() - 1) < 1e-4
    split = data.digits(seed=0)
    mean, std = split.train.inputs.mean(), split.train.inputs.std()
    np.testing.assert_allclose(run.test.inputs, (split.test.inputs - mean) / std, atol=1e-4)


def test_initialisations():
    def weights(init):
        model = training.prepare(training.Recipe(**SMALL | {"width": 16, "init": init})).model
        return model.blocks[0].body.branch[0].weight.numpy()

    fan_in = 16 * 9
    assert weights("1.5").var() == pytest.approx(1.5 / fan_in, rel=0.1)
    assert weights("kaiming_normal").var() == pytest.approx(2 / fan_in, rel=0.1)
    flat = weights("orthogonal").reshape(16, -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(16), atol=1e-5)
    assert not np.array_equal(weights("xavier_normal"), weights("default"))


def test_the_activation_takes_every_relus_place():
    run = training.prepare(training.Recipe(**SMALL, activation="tanh"))
    assert not any(isinstance(module, nn.ReLU) for module in run.model.modules())
    assert sum(isinstance(module, nn.Tanh) for module in run.model.modules()) == 1 + 2 * 3


def test_schedules():
    def rates(**change):
        run = training.prepare(training.Recipe(**SMALL | {"steps": 8, "lr": 1.0} | change))
        found = [run.optimizer.lr]
        for _ in run.steps():
            found.append(run.optimizer.lr)
        return found

    np.testing.assert_allclose(rates(schedule="constant"), 1.0)
    np.testing.assert_allclose(rates(schedule="cosine"), (1 + np.cos(np.pi * np.arange(9) / 8)) / 2, atol=1e-12)
    np.testing.assert_allclose(rates(schedule="step"), [1] * 4 + [0.1] * 2 + [0.01] * 3)
    warm = rates(schedule="constant", warmup=0.5)
    np.testing.assert_allclose(warm[4:], 1.0)
    assert (np.diff(warm[:5]) > 0).all()
    assert warm[0] == 0.25


def test_a_loss_that_is_no_number_stops_the_run_with_a_sentence():
    run = training.prepare(training.Recipe(**SMALL))
    weight = run.model.head[2].weight
    weight.data = np.full_like(weight.data, np.nan)
    with pytest.raises(
        training.Diverged, match=r"at step 0 the loss is nan: .* \(0.1\) is too high; try a tenth, lr=0.01"
    ):
        next(run.steps())
    assert run.step == 0


def test_score_against_a_loop_by_hand():
    run = training.prepare(training.Recipe(**SMALL))
    for _ in run.steps():
        pass
    score = run.score()
    run.model.eval()
    logits = run.model(tr.tensor(run.test.inputs)).numpy().astype("float64")
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    assert score.loss == pytest.approx(-log_p[np.arange(len(log_p)), run.test.targets].mean(), rel=1e-5)
    assert score.accuracy == (logits.argmax(axis=1) == run.test.targets).mean()
    assert run.scores == [{"step": 4, "loss": score.loss, "accuracy": score.accuracy}]


@pytest.mark.parametrize("size", [1, 199, 200, 359, 360, 361])
def test_a_score_is_that_of_all_samples_whatever_the_batches(size):
    run = training.prepare(training.Recipe(**SMALL))
    whole = training.evaluate(run.model, run.test, batch_size=len(run.test))
    found = training.evaluate(run.model, run.test, batch_size=size)
    assert found.loss == pytest.approx(whole.loss, rel=1e-6)
    assert found.accuracy == pytest.approx(whole.accuracy, rel=1e-12)


def test_evaluation_leaves_modes_alone():
    run = training.prepare(training.Recipe(**SMALL))
    run.model.train()
    run.model.blocks[0].eval()
    modes = [module.training for module in run.model.modules()]
    training.evaluate(run.model, run.test)
    assert [module.training for module in run.model.modules()] == modes


def test_the_seed_decides_weights_and_batches():
    def start(seed):
        split = data.digits(seed=0)
        run = training.prepare(training.Recipe(**SMALL, seed=seed), split)
        return run.model.stem[0].weight.numpy(), next(iter(run.loader))[1].numpy()

    (a, first), (b, second), (c, third) = start(0), start(1), start(0)
    assert not np.array_equal(a, b)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(a, c)
    np.testing.assert_array_equal(first, third)


def test_a_last_small_batch_is_left_out():
    run = training.prepare(training.Recipe(**SMALL))
    assert [len(target.data) for _, target in run.loader] == [400] * (len(run.loader.dataset) // 400)


def test_biases_start_at_zero_where_weights_are_drawn_again():
    run = training.prepare(training.Recipe(**SMALL, init="orthogonal"))
    assert not run.model.head[2].bias.numpy().any()


@pytest.mark.parametrize(
    ("name", "wanted", "expected"),
    [
        ("digits", None, []),
        ("digits", True, [data.RandomCrop]),
        ("mnist", True, [data.RandomCrop]),
        ("fashion-mnist", None, []),
        ("fashion-mnist", True, [data.RandomCrop, data.RandomHorizontalFlip]),
        ("cifar10", None, [data.RandomCrop, data.RandomHorizontalFlip]),
        ("cifar10", False, []),
    ],
)
def test_what_is_augmented_and_what_has_mirror_images(name, wanted, expected):
    made = augmentation(training.Recipe(data=name, augment=wanted), 32)
    kinds = [] if made is None else [type(t) for t in getattr(made, "transforms", [made])]
    assert kinds == expected


def test_the_default_rate_is_one_at_which_the_net_trains():
    """0.1 with batch norm; without normalisation 0.1 diverges on few images (the test below)."""
    rates = {arch: training.Recipe(arch=arch).lr for arch in ("resnet", "plain", "fixup", "mlp", "cnn", "highway_mlp")}
    assert rates == {"resnet": 0.1, "plain": 0.1, "fixup": 0.1, "mlp": 0.01, "cnn": 0.01, "highway_mlp": 0.03}
    assert training.Recipe(arch="cnn", optimizer="adam").lr == training.Recipe(optimizer="adamw").lr == 1e-3
    assert training.Recipe(arch="mlp", lr=0.1).lr == 0.1
    assert training.Recipe(**training.Recipe(arch="mlp").to_json()) == training.Recipe(arch="mlp")


def images(count, size, seed, spread=1.0, level=0.0):
    """Three classes of blurred stripes, as a split: at any brightness and contrast."""
    rng = np.random.default_rng(seed)
    targets = np.arange(count) % 3
    waves = np.sin((targets[:, None] + 1) * 6.0 * np.arange(size) / size + rng.uniform(0, 6, (count, 1)))
    pixels = waves[:, None, None, :] + 0.5 * rng.standard_normal((count, 3, size, size))
    inputs = (level + spread * pixels).astype("float32")
    return data.Split(data.Dataset(inputs, targets, classes=3), data.Dataset(inputs, targets, classes=3))


SMALL_DATA = [(9, 8, 1.0, 0.0), (9, 32, 0.01, 0.8), (60, 16, 0.2, 0.5), (60, 8, 1e-3, 0.0)]


@pytest.mark.parametrize("arch", ["mlp", "cnn", "highway_mlp"])
@pytest.mark.parametrize(("count", "size", "spread", "level"), SMALL_DATA)
def test_few_images_of_one_s_own_do_not_diverge_at_the_default_rate(arch, count, size, spread, level):
    split = images(count, size, seed=1, spread=spread, level=level)
    run = training.prepare(training.Recipe(arch=arch, width=8, epochs=20, seed=1), split)
    losses = list(run.steps())
    assert len(losses) == 20
    assert max(losses) < 5
    assert np.mean(losses[-3:]) < np.log(3)


def test_a_run_that_learns_nothing_says_so():
    run = training.prepare(training.Recipe(arch="mlp", width=8, lr=0.0, epochs=20), images(9, 8, seed=1))
    list(run.steps())
    assert run.final_loss >= np.log(3)
    told = classifier.no_better_than_guessing(run)
    assert told.startswith("the net has learned nothing: its training loss ends at ")
    assert told.endswith("and guessing gives 1.0986; try another learning rate (now 0), or more steps")
    run.losses[0] = 50.0  # as where the rate is too high
    assert "try a lower learning rate, lr=" in classifier.no_better_than_guessing(run)
    run.step = classifier.FEWEST - 1
    assert classifier.no_better_than_guessing(run) == "", "too early to tell"
    good = training.prepare(training.Recipe(arch="mlp", width=8, epochs=20), images(9, 8, seed=1))
    list(good.steps())
    assert classifier.no_better_than_guessing(good) == ""
