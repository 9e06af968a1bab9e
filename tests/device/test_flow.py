"""Instruments and experiments on the other device: the same findings, as NumPy arrays, in few copies."""

from dataclasses import replace

import numpy as np
import pytest

import tinyres as tr
from tests.device.double import copies, no_copies
from tinyres import data, flow, models, nn, ops, optim
from tinyres.flow.instruments import statistics
from tinyres.lab import sweep
from tinyres.lab.laws import e02_depth, e04_batch_norm, e06_densenet, e07_finite_width, e12_isometry
from tinyres.lab.laws import e14_path_lengths as e14
from tinyres.lab.players import e15_critics, e18_modes
from tinyres.lab.registry import EXPERIMENTS, Options
from tinyres.lab.sweep import local
from tinyres.lab.trained import denoise, e16_trainability, e17_skipinit
from tinyres.training import Recipe

DEVICES = ("cpu", "cuda")


def agree(there, here, rtol=1e-7):
    """Two measurements: NumPy arrays, and the same figures."""
    assert list(there) == list(here)
    for name in here:
        assert isinstance(there[name], np.ndarray), name
        np.testing.assert_allclose(there[name], here[name], rtol=rtol, atol=1e-9, err_msg=name)


def on_both(measure):
    here, there = (measure(device) for device in DEVICES)
    agree(there, here)
    return there


def net(device, seed=0):
    return models.resnet(8, 4, classes=3, in_channels=1, rng=seed).to("float64").to(device)


def images(device, n=6):
    rng = np.random.default_rng(1)
    x, target = rng.standard_normal((n, 1, 8, 8)), rng.integers(0, 3, n)
    return tr.tensor(x).to(device), tr.tensor(target).to(device)


def recorded(device, steps=2):
    model = net(device)
    x, target = images(device)
    optimizer, recording = optim.SGD(model.parameters(), lr=0.1), flow.record(model)
    for _ in range(steps):
        with recording:
            model.zero_grad()
            tr.cross_entropy(model(x), target).backward()
            optimizer.step()
    return recording


# -- instruments ----------------------------------------------------------------------------------------------------
def test_a_recording_is_the_same(gpu):
    here, there = (recorded(device) for device in DEVICES)
    agree(there.history(), here.history())
    assert np.isfinite(there.history()["update_ratio"][0]).any()
    assert there.skip_share() == pytest.approx(here.skip_share())
    np.testing.assert_allclose(there.gradient_norms(), here.gradient_norms(), rtol=1e-9)


def test_a_recorded_step_takes_a_copy_for_each_thing_that_is_told_and_one_for_all_weights(double):
    with no_copies("get"):
        recording = recorded("cuda", 1)
        told = copies["get"]
        step = recording.steps[-1]
    summaries = len(step.forward) + len(step.backward)
    meetings = 2 * len(step.routes)  # the norms of its routes together, and their inner product
    assert told == summaries + meetings + len(step.updates.gradient) + 1
    with no_copies("get"):
        step.updates.update_ratios()
    assert copies["get"] == 1


def test_values_beyond_what_float64_can_square_are_told_in_a_second_copy(gpu):
    for scale in (1e-200, 1e200, 1.0):
        x = np.random.default_rng(0).standard_normal((40, 200)) * scale
        moved = tr.tensor(x).to("cuda").data
        with no_copies("get"):
            found = statistics.gradient_summary(moved)
        expected = statistics.gradient_summary(x)
        assert found.norm == pytest.approx(expected.norm, rel=1e-12)
        np.testing.assert_array_equal(found.histogram, expected.histogram)


def test_paths_are_the_same_and_one_copy_a_target(gpu):
    def measure(device):
        model = net(device)
        x = tr.tensor(images("cpu")[0].numpy()).to(device).requires_grad_()
        y, targets = model(x), [x, next(model.parameters())]
        with no_copies("get"):
            found = flow.paths(y.sum(), targets, keep_terms=True)
        assert copies["get"] in ({0} if device == "cpu" else {0, 2})  # CuPy itself counts none
        return found

    on_both(measure)


@pytest.mark.parametrize("how", [{"method": "exact"}, {"method": "randomised", "k": 3}])
def test_a_spectrum_is_the_same(how, gpu):
    def measure(device):
        model, (x, _) = net(device).eval(), images(device, 1)
        with no_copies("get"):
            return flow.jacobian_spectrum(model, x, **how)

    on_both(measure)


def test_a_block_is_found_with_its_input(gpu):
    def measure(device):
        return flow.jacobian_spectrum(*flow.block_and_input(net(device), "blocks.1", images(device, 1)[0]), k=2)

    on_both(measure)


def test_correlation_and_noise_are_the_same(gpu):
    x, target = (part.numpy() for part in images("cpu", 16))

    def correlation(device):
        return flow.gradient_correlation(net(device), tr.tensor(x).to(device))

    def noise(device):
        return flow.gradient_noise_scale(net(device), ops.cross_entropy, (x, target), small=2, big=8, batches=2)

    on_both(correlation)
    on_both(noise)


def test_lesions_are_the_same(gpu):
    x, target = (part.numpy() for part in images("cpu", 12))
    dataset = data.Dataset(x, target, "twelve", 3)
    on_both(lambda device: flow.lesion(net(device), dataset, swap=True))


# -- experiments ----------------------------------------------------------------------------------------------------
def both(measure, rtol=1e-7):
    """Whatever `measure(device)` gives is NumPy's, and the same."""
    here, there = (measure(device) for device in DEVICES)
    np.testing.assert_allclose(there, here, rtol=rtol, atol=1e-9)


def rng():
    return np.random.default_rng(0)


def on(device, array):
    return tr.tensor(array).to(device).data


LAWS = {
    "E2": lambda d: e02_depth.measure(
        e02_depth.CASES[0], [on(d, w) for w in rng().standard_normal((4, 50, 50))], rng()
    ),
    "E4": lambda d: e04_batch_norm.log_ratios(
        e04_batch_norm.plain, on(d, rng().standard_normal((2, 2, e04_batch_norm.WIDTH, e04_batch_norm.WIDTH))), rng()
    ),
    "E6": lambda d: e06_densenet.ratios(e06_densenet.summed, rng(), d),
    "E7": lambda d: e07_finite_width.squared_gradients(e07_finite_width.Case("ReLU", 16, 3), rng(), d),
    "E12": lambda d: e12_isometry.jacobian([w.to(d) for w in e12_isometry.weights(True, rng())][:3], 0.5, rng()),
}


@pytest.mark.parametrize("name", LAWS)
def test_the_nets_of_a_law_give_the_same_there(name, gpu):
    assert "cuda" in EXPERIMENTS[name].devices
    both(LAWS[name])


def test_path_lengths_are_the_same(gpu):
    both(lambda device: e14.measure(1, (0, 0), device, blocks=4)[0]["share"])


TRAINED = {
    "E15": lambda d: e15_critics.measure(e15_critics.train(None, rng(), lambda: None, d), rng()).gradient,
    "E16": lambda d: e16_trainability.train(3, [1.0, 1.76], e16_trainability.flat(data.digits()[0]), (0, 0), 2, d),
    "denoise": lambda d: denoise.train(
        denoise.Setting(3, 4, 2, 4, 0.01), lambda: data.digits()[0].inputs[:4], residual=True, seed=(0,),
        tick=lambda: None, device=d,
    )(data.digits()[1].inputs[:4]),
    "E17": lambda d: e17_skipinit.train(e17_skipinit.net(6, "fixup", rng()).to(d), data.digits()[0], 0, 2, lambda: None)
}  # fmt: skip


@pytest.mark.parametrize("name", TRAINED)
def test_what_is_trained_for_two_steps_is_the_same_up_to_float32(name, gpu, monkeypatch):
    assert "cuda" in EXPERIMENTS[name].devices
    monkeypatch.setattr(e15_critics, "STEPS", 2)
    both(TRAINED[name], rtol=2e-3)


def test_what_skipinit_begins_with_is_measured_there(gpu):
    pixels = data.digits()[0].inputs[:8]
    both(lambda device: e17_skipinit.gains(e17_skipinit.net(6, "1", rng()).to(device), pixels, (0,)))


def test_eight_nets_side_by_side_give_samples_there(gpu):
    def samples(device):
        method = replace(e18_modes.METHODS[0], steps={e18_modes.RING.name: 1})
        trainer = e18_modes.trainer(method, e18_modes.RING, range(2), 0, device)
        assert trainer.device == device
        list(trainer.steps())
        return e18_modes.samples(trainer, 2, rng())[:, :20]

    both(samples, rtol=2e-3)


@pytest.mark.slow
def test_a_whole_experiment_runs_there_and_reports_in_json(gpu, tmp_path):
    from tinyres.lab import report

    options = Options(depths=(8,), archs=("resnet",), steps=2)
    results = [EXPERIMENTS["digits"].run(replace(options, device=d), lambda: None) for d in DEVICES]
    here, there = (result.data["training"][0] for result in results)
    np.testing.assert_allclose(there["train_loss"], here["train_loss"], rtol=1e-3)
    np.testing.assert_allclose(there["gradient_norm"], here["gradient_norm"], rtol=1e-3)
    report.save(EXPERIMENTS["digits"], results[1], replace(options, device="cuda"), 0.0, tmp_path)
    assert '"device": "cuda"' in next(tmp_path.glob("*.json")).read_text()


def test_a_block_holds_against_finite_differences_there(gpu):
    result = EXPERIMENTS["check"].run(Options(device="cuda"), lambda: None)
    assert result.laws
    assert all(law.ok for law in result.laws)


def test_every_experiment_says_where_it_can_run():
    assert {e.devices for e in EXPERIMENTS.values()} == {("cpu",), ("cpu", "cuda")}
    assert {n for n in ("E5", "E8", "E13", "E19", "mse-metric", "signs") if n in EXPERIMENTS} <= {
        name for name, e in EXPERIMENTS.items() if e.devices == ("cpu",)
    }


# -- sweeps ---------------------------------------------------------------------------------------------------------
def test_a_point_of_a_sweep_finds_the_same(gpu):
    recipe = Recipe(arch="resnet", depth=8, width=4, steps=2, batch_size=16)
    here, there = (sweep.point.measure(recipe, device) for device in DEVICES)
    assert (there.status, there.parameters, there.steps_taken) == (here.status, here.parameters, here.steps_taken)
    np.testing.assert_allclose(there.train_loss, here.train_loss, rtol=1e-3)
    np.testing.assert_allclose(there.gradient, here.gradient, rtol=1e-3)
    ((_, found),) = local.here([recipe], "cuda")
    assert found.train_loss == there.train_loss


def test_a_module_that_was_moved_between_two_steps_tells_no_update(gpu):
    model = nn.Linear(2, 2, rng=0)
    recording = flow.record(model, [""])
    with recording:
        model(tr.tensor(np.ones((1, 2), np.float32))).sum().backward()
    model.to("cuda")
    assert np.isnan(recording.history()["update_ratio"]).all()
