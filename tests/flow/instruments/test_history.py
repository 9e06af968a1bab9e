"""A recording's history agrees with hand computations, costs what it says, and leaves training alone."""

import gc
import json
import tracemalloc
import weakref

import numpy as np
import pytest

import tinyres as tr
from tests.flow.instruments.training import images, train, two_blocks
from tinyres import flow, models, nn
from tinyres.context import current
from tinyres.flow.instruments.statistics import LOG_EDGES, SCORE_EDGES
from tinyres.ops.losses import cross_entropy


def test_every_array_of_a_two_block_net_by_hand():
    model, x, g = two_blocks()
    w, b = model[0][0].weight.numpy().copy(), model[0][0].bias.numpy()
    v = model[1].weight.numpy()
    b = b - np.eye(4)[2] * 100  # one unit is dead
    model[0][0].bias.data = b
    recording = flow.record(model)
    with recording:
        model(tr.tensor(x)).backward(g)
        model[0][0].weight.data = w * 1.25
    found = recording.history()
    h = np.maximum(x @ w.T + b, 0)
    y = h @ v.T + model[1].bias.numpy()
    for way, values in (("forward", [h, y]), ("backward", [g @ v, g])):
        for what, of in (("norm", np.linalg.norm), ("mean", np.mean), ("variance", np.var)):
            np.testing.assert_allclose(found[f"{way}_{what}"], [[of(a) for a in values]], rtol=1e-10, err_msg=what)
    np.testing.assert_array_equal(found["dead_fraction"], [[(h == 0).all(axis=0).mean(), 0]])
    assert found["dead_fraction"][0, 0] >= 0.25
    scores = np.histogram((h - h.mean()) / h.std(), SCORE_EDGES)[0] / h.size
    np.testing.assert_allclose(found["activation_histogram"][0, 0], scores)
    logs = np.histogram(np.log10(np.abs(g @ v)), LOG_EDGES)[0] / h.size
    np.testing.assert_allclose(found["gradient_histogram"][0, 0], logs)
    np.testing.assert_allclose(found["activation_histogram"].sum(axis=-1), 1)
    parameters = found.labels["parameter"]
    assert parameters == ["0.0.weight", "0.0.bias", "1.weight", "1.bias"]
    at_w = ((g @ v) * (h > 0)).T @ x
    expected = [np.linalg.norm(at_w) / np.linalg.norm(w), np.linalg.norm(g.T @ h) / np.linalg.norm(v)]
    np.testing.assert_allclose(found["gradient_ratio"][0, [0, 2]], expected, rtol=1e-12)
    assert found["update_ratio"][0, 0] == pytest.approx(0.25)
    assert np.isnan(found["update_ratio"][0, 1:]).all()  # nothing replaced these


@pytest.mark.parametrize("inside", [True, False])
def test_update_ratios_of_plain_gradient_descent_are_the_learning_rate_times_the_gradients(inside):
    model = models.resnet(8, width=4, in_channels=1, rng=0).to("float64")
    recording = flow.record(model, every=2)
    train(model, recording, 4, inside, lr=0.05, momentum=0)
    found = recording.history()
    assert found.labels["step"] == [0, 2]
    some = ~np.isnan(found["gradient_ratio"])  # biases of batch norm begin at 0
    assert some.sum() > 20
    np.testing.assert_allclose(found["update_ratio"][some], 0.05 * found["gradient_ratio"][some], rtol=1e-9)


def test_in_between_nobody_watches():
    model = models.resnet(8, width=4, in_channels=1, rng=0)
    recording = flow.record(model, every=3)
    watched = []
    for _ in range(7):
        with recording:
            watched.append(bool(current().observers))
            with recording:
                assert bool(current().observers) is watched[-1]
        assert not current().observers
    assert watched == [True, False, False, True, False, False, True]
    assert recording.history().labels["step"] == [0, 3, 6]


def test_a_step_in_between_costs_what_an_unwatched_one_does(monkeypatch):
    """Nothing is called, no weight is measured, and the batch norms fuse what follows them: the tape is the same."""
    model = models.resnet(8, width=4, in_channels=1, rng=0)
    x = images()[0]

    def tape():
        seen, waiting = [], [cross_entropy(model(tr.tensor(x)), np.arange(4)).node]
        while waiting:
            node = waiting.pop()
            if node is not None and node.primitive is not None:
                seen.append(node.primitive.name)
                waiting += node.parents
        return sorted(seen)

    unwatched = tape()
    recording = flow.record(model, every=10)
    with recording:
        assert len(tape()) > len(unwatched)  # a recorded step is unfused
    with recording:
        pass  # settles the recorded step
    for moment in ("on_forward", "on_edge", "on_cotangent"):
        monkeypatch.setattr(flow.Recording, moment, lambda *_: pytest.fail("watched"))
    monkeypatch.setattr("tinyres.flow.instruments.updates.size", lambda _: pytest.fail("measured"))
    with recording:
        assert tape() == unwatched
        cross_entropy(model(tr.tensor(x)), np.arange(4)).backward()
    assert recording.entered == 3


def test_a_block_inside_a_block_sees_nothing_twice():
    def seen(nested):
        model, x, g = two_blocks()
        model = nn.Sequential(nn.Residual(nn.Linear(3, 3, rng=0)), *model).to("float64")
        recording = flow.record(model)
        with recording:
            if nested:
                with recording:
                    model(tr.tensor(x, requires_grad=True)).backward(g)
            else:
                model(tr.tensor(x, requires_grad=True)).backward(g)
        return recording.history().to_json()["arrays"]

    assert seen(nested=True) == seen(nested=False)


def test_an_exception_leaves_nobody_watching_and_what_was_seen():
    model, x, _ = two_blocks()
    recording = flow.record(model)
    with pytest.raises(ValueError, match="the output has"), recording, recording:
        model(tr.tensor(x)).backward(np.ones(7))
    assert not current().observers
    found = recording.history()
    assert np.isfinite(found["forward_norm"]).all()
    assert np.isnan(found["backward_norm"]).all()
    with recording:
        model(tr.tensor(x)).sum().backward()
    assert np.isfinite(recording.history()["backward_norm"][1]).all()


def test_recording_changes_nothing_but_roundings_of_the_fusion():
    runs = {}
    for name, every in (("never", 1000), ("always", 1)):
        model = models.resnet(8, width=4, in_channels=1, rng=0).to("float64")
        recording = flow.record(model, every=every)
        recording.__enter__()
        recording.__exit__(None, None, None)  # the first is always recorded
        runs[name] = train(model, recording, 5).state_dict()
    for key, value in runs["never"].items():
        np.testing.assert_allclose(value.numpy(), runs["always"][key].numpy(), rtol=1e-9, atol=1e-12, err_msg=key)
    without_fusion = []
    for recording in (flow.record(model), tr.Observer()):
        model = models.resnet(8, width=4, in_channels=1, rng=0)
        without_fusion.append(train(model, recording, 5).state_dict())
    for key, value in without_fusion[0].items():
        np.testing.assert_array_equal(value.numpy(), without_fusion[1][key].numpy(), err_msg=key)


def test_a_hundred_steps_leave_numbers_behind_and_nothing_of_the_tape():
    model = nn.Sequential(nn.Residual(nn.Linear(64, 64, rng=0)), nn.ReLU(), nn.Linear(64, 10, rng=1))
    x = tr.tensor(np.ones((256, 64), "f"), requires_grad=True)  # activations of 65,536 bytes
    recording = flow.record(model)

    def run(recording, steps):
        for _ in range(steps):
            with recording:
                model(x).sum().backward()

    run(recording, 5)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        run(recording, 100)
        grown = (tracemalloc.get_traced_memory()[0] - before) / 100
    finally:
        tracemalloc.stop()
        gc.enable()
    assert grown < 20_000  # bytes a step, half of them histograms; no activation fits in
    old = weakref.ref(recording)
    del recording
    assert old() is None


def test_a_step_that_is_over_does_not_hold_on_to_the_weights():
    model, x, g = two_blocks()
    old = model[1].weight.data.base
    held = weakref.ref(old)
    recording = flow.record(model, every=5)
    with recording:
        model(tr.tensor(x)).backward(g)
    model[1].weight.data = np.ones((2, 4))
    del old
    assert held() is not None
    with recording:
        pass
    assert held() is None
    assert recording.history()["update_ratio"][0, 2] > 0


def test_a_weight_that_is_nan_is_recorded_and_named():
    model = models.resnet(8, width=4, in_channels=1, rng=0)
    recording = flow.record(model)
    train(model, recording, 2)
    assert recording.first_not_finite is None
    weights = model.blocks[1].body.branch[0].weight
    broken = weights.numpy().copy()
    broken[0, 0, 0, 0] = np.nan
    weights.data = broken
    train(model, recording, 1)
    assert recording.first_not_finite == "step 2: the weight blocks.1.body.branch.0.weight"
    found = recording.history()
    assert np.isfinite(found["forward_norm"][2, 0])
    assert np.isnan(found["forward_norm"][2, 1:]).all()
    assert json.loads(json.dumps(found.to_json()))["arrays"]["forward_norm"][2][1:] == [None, None]
    assert "weight blocks.1" in found.plot().get_suptitle()


def test_a_nan_that_arises_in_the_forward_or_in_the_backward_pass_is_named_by_its_block():
    class Root(nn.Module):
        def forward(self, x):
            return tr.sqrt(x)

    class Log(nn.Module):
        def forward(self, x):
            return tr.log(x)

    for module, value, where in ((Root(), 0.0, "the gradient at the output of 0"), (Log(), 0.0, "the output of 1")):
        model = nn.Sequential(nn.Linear(2, 2, rng=0), module)
        model[0].weight.data = np.full((2, 2), value, "f")
        model[0].bias.data = np.zeros(2, "f")
        recording = flow.record(model)
        with recording, np.errstate(all="ignore"):
            model(tr.tensor(np.ones((3, 2), "f"))).sum().backward()
        assert recording.first_not_finite == f"step 0: {where}"


def test_a_model_that_is_part_of_another_goes_by_its_own_names():
    class Pair(nn.Module):
        def __init__(self):
            self.generator = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Linear(3, 3, rng=1))
            self.critic = nn.Sequential(nn.Linear(3, 2, rng=2), nn.Linear(2, 1, rng=3))

        def forward(self, z):
            return self.critic(self.generator(z))

    pair = Pair().to("float64")
    z = tr.tensor(np.random.default_rng(0).standard_normal((4, 2)))
    for run in (pair, lambda z: pair.critic(pair.generator(z))):
        made, judged = flow.record(pair.generator), flow.record(pair.critic)
        with made, judged:
            fake = pair.generator(z) if run is not pair else None
            (pair.critic(fake) if fake is not None else pair(z)).sum().backward()
        g = np.ones((4, 1)) @ pair.critic[1].weight.numpy()
        np.testing.assert_allclose(judged.gradient_norms(), [np.linalg.norm(g), 2])
        g = g @ pair.critic[0].weight.numpy()
        expected = [np.linalg.norm(g @ pair.generator[1].weight.numpy()), np.linalg.norm(g)]
        np.testing.assert_allclose(made.gradient_norms(), expected)


def test_nothing_recorded_and_bad_arguments():
    model, _, _ = two_blocks()
    with pytest.raises(ValueError, match="nothing has been recorded yet; run a step inside"):
        flow.record(model).history()
    with pytest.raises(ValueError, match="every must be at least 1"):
        flow.record(model, every=0)
    recording = flow.record(model)
    with recording:
        pass
    with pytest.raises(KeyError, match="nothing called 'norms' was measured; there are 'forward_norm'"):
        recording.history()["norms"]
