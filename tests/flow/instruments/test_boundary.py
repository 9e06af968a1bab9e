"""One `with recording:` around a whole loop: steps begin by themselves, where that is clear."""

import warnings

import numpy as np
import pytest

import tinyres as tr
from tinyres import flow, nn, optim, viewer

X = np.random.default_rng(0).standard_normal((4, 3)).astype("float32")


def net(seed=0, blocks=3):
    class Net(nn.Module):
        def __init__(self):
            self.stem = nn.Linear(3, 3, rng=seed)
            rows = [nn.Residual(nn.Sequential(nn.Linear(3, 3, rng=seed + i + 1), nn.Tanh())) for i in range(blocks)]
            self.blocks = nn.Sequential(*rows)
            self.head = nn.Linear(3, 1, rng=seed + 9)

        def forward(self, x):
            return self.head(self.blocks(self.stem(x)))

    return Net()


def step(model, optimizer, backwards=1):
    optimizer.zero_grad()
    for _ in range(backwards):
        (model(tr.tensor(X)) ** 2).mean().backward()
    optimizer.step()


def trained(steps=5, around="each", make=optim.SGD, last_look=False, **how):
    """A recording of so many steps, with a `with` block around each, or one around all."""
    model = net()
    optimizer, recording = make(model.parameters(), lr=0.1), flow.record(model, **how)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if around == "each":
            for _ in range(steps):
                with recording:
                    step(model, optimizer)
        else:
            with recording:
                for _ in range(steps):
                    step(model, optimizer)
                if last_look:
                    model(tr.tensor(X))
    return recording


@pytest.mark.parametrize("how", [{}, {"details": False}, {"every": 2}, {"every": 3}], ids=str)
@pytest.mark.parametrize("last_look", [False, True])
@pytest.mark.parametrize("make", [optim.SGD, optim.Adam])
def test_a_loop_inside_is_recorded_as_its_steps(how, last_look, make):
    each, whole = trained(make=make, **how), trained(around="all", make=make, last_look=last_look, **how)
    assert (whole.entered, whole.blocks) == (5, ["blocks.0", "blocks.1", "blocks.2"])
    a, b = each.history(), whole.history()
    assert a.labels == b.labels
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    assert dict(each.gradient_norms()) == dict(whole.gradient_norms())
    assert dict(each.skip_share()) == dict(whole.skip_share())
    if how.get("details", True):
        assert np.isfinite(b["update_ratio"]).all()


def test_the_page_has_its_steps(tmp_path):
    (lane,) = viewer.run.described(trained(around="all"))["lanes"]
    assert (lane["steps"], lane["layers"]) == ([0, 1, 2, 3, 4], ["blocks.0", "blocks.1", "blocks.2"])
    assert "5 of 5 steps recorded" in repr(trained(around="all"))


def test_a_second_epoch_goes_on_counting_and_every_is_kept():
    model = net()
    optimizer, recording = optim.SGD(model.parameters(), lr=0.1), flow.record(model, every=2)
    for _ in range(2):
        with recording:
            for _ in range(3):
                step(model, optimizer)
    assert (recording.entered, [found.number for found in recording.steps]) == (6, [0, 2, 4])


def test_gradients_that_accumulate_are_one_step():
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with flow.record(model) as recording:
        for _ in range(3):
            step(model, optimizer, backwards=2)
    assert recording.entered == 3
    assert {"blocks.0[0]", "blocks.0[1]"} < set(recording.blocks)


def test_forward_passes_that_need_no_gradient_begin_nothing():
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with flow.record(model) as recording:
        for _ in range(3):
            step(model, optimizer)
            with tr.no_grad():
                model(tr.tensor(X))
    assert (recording.entered, len(recording.blocks)) == (3, 3)


def test_weights_that_change_before_any_backward_pass_begin_nothing():
    model = net()
    with flow.record(model) as recording:
        model(tr.tensor(X))
        model.stem.bias.data = np.ones(3, "float32")
        model(tr.tensor(X)).sum().backward()
    assert (recording.entered, recording.steps[0].runs["blocks.0"]) == (1, 2)


def test_another_dtype_is_no_change():
    model = net()
    with flow.record(model) as recording:
        model(tr.tensor(X)).sum().backward()
        model.to("float64")
        model(tr.tensor(X.astype("float64"))).sum().backward()
    assert recording.entered == 1


def test_a_loop_over_the_layers_and_a_part_of_a_net():
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    whole, part = flow.record(model), flow.record(model.blocks)
    with whole, part:
        for _ in range(3):
            optimizer.zero_grad()
            h = model.stem(tr.tensor(X))
            for block in model.blocks:
                h = block(h)
            (model.head(h) ** 2).mean().backward()
            optimizer.step()
    assert (whole.entered, len(whole.blocks)) == (3, 3)
    assert (part.entered, len(part.blocks)) == (3, 3)


class Players(nn.Module):
    """Both, so that one recording has both."""

    def __init__(self):
        self.g, self.d = net(0, 1), net(50, 1)
        self.g.head = nn.Linear(3, 3, rng=7)


def gan_step(both, of_g, of_d, order="dg"):
    for who in order:
        of_g.zero_grad()
        of_d.zero_grad()
        if who == "d":
            (both.d(tr.tensor(X)) - both.d(both.g(tr.tensor(X)).detach())).mean().backward()
            of_d.step()
        else:
            both.d(both.g(tr.tensor(X))).mean().backward()
            of_g.step()


@pytest.mark.parametrize("order", ["dg", "gd"])
@pytest.mark.parametrize("which", ["both", "d", "g"])
@pytest.mark.parametrize("around", ["each", "all"])
def test_a_step_of_a_gan_is_one_step(order, which, around):
    both = Players()
    of_g, of_d = (optim.SGD(player.parameters(), lr=0.1) for player in (both.g, both.d))
    recording = flow.record({"both": both, "d": both.d, "g": both.g}[which])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if around == "each":
            for _ in range(3):
                with recording:
                    gan_step(both, of_g, of_d, order)
        else:
            with recording:
                for _ in range(3):
                    gan_step(both, of_g, of_d, order)
    assert recording.entered == 3
    if which == "d":
        assert [found.runs["blocks.0"] for found in recording.steps] == [3, 3, 3]


def test_what_is_unclear_is_told_at_the_end():
    both = Players()
    of_g, of_d = (optim.SGD(player.parameters(), lr=0.1) for player in (both.g, both.d))
    said = "step 0 goes on over 2 changes of the parameters: .* otherwise than when the step began.* around each"
    recording = flow.record(both.d)

    @recording
    def play():
        with tr.no_grad():
            both.d(tr.tensor(X))  # a look, which is not how the step begins
        gan_step(both, of_g, of_d, "gddd")

    with pytest.warns(UserWarning, match=said):
        play()
    assert recording.entered == 1


def test_several_backward_passes_without_a_change_still_warn():
    model = net()

    @flow.record(model)
    def twice():
        y = model(tr.tensor(X)).sum()
        y.backward(retain_graph=True)
        y.backward()

    with pytest.warns(UserWarning, match="several backward passes reached .* or add the losses up"):
        twice()


def test_an_error_inside_a_loop_leaves_the_steps_before_it():
    model = net()
    optimizer, recording = optim.SGD(model.parameters(), lr=0.1), flow.record(model)

    @recording
    def broken():
        for _ in range(2):
            step(model, optimizer)
        raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert "2 of 2 steps recorded" in repr(recording)
