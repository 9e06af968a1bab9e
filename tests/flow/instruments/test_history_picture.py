"""The picture of a recorded training."""

import json

import numpy as np
import pytest

import tinyres as tr
from tests.flow.instruments.training import train, two_blocks
from tinyres import flow, models, nn, optim
from tinyres.flow.instruments.curve import Curve


@pytest.mark.parametrize(
    ("count", "name", "named"), [(8, "layer", True), (24, "layer", True), (25, "layer", False), (8, "x" * 13, True)]
)
def test_blocks_are_named_and_of_many_only_some(count, name, named):
    model = nn.Sequential({f"{name[:-1]}{i}": nn.Linear(3, 3, rng=i) for i in range(count)})
    recording = flow.record(model)
    with recording:
        model(tr.tensor(np.ones((2, 3), "f"))).sum().backward()
    axes = recording.history().plot().axes[0]
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert (ticks == list(recording.history().labels["block"])) is named
    assert axes.get_xlim() == (0.5, count + 0.5)
    if not named:
        assert ticks == list(recording.history().labels["block"])[::2]
        assert axes.get_xlabel() == "block (one in 2 is named)"


def panels_of(model, steps=2):
    recording, optimizer = flow.record(model), optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        with recording:
            model.zero_grad()
            (model(tr.tensor(np.ones((2, 3), "f"))) ** 2).sum().backward()
            optimizer.step()
    return {axes.get_title(): axes for axes in recording.history().plot().axes}


def names(labels):
    return [label.get_text() for label in labels]


def test_parameters_and_residual_connections_go_by_their_names():
    panels = panels_of(nn.Sequential(nn.Linear(3, 3, rng=0), nn.Tanh(), nn.Linear(3, 3, rng=1)))
    axes = panels["gradient and update relative to the weight, step 1"]
    assert names(axes.get_xticklabels()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert axes.get_xlabel() == "parameter"
    layers = {name: nn.Residual(nn.Linear(3, 3, rng=0)) for name in ("first", "second", "third")}
    panels = panels_of(nn.Sequential(layers))
    routes = panels["where the routes rejoin: skip connection and branch"]
    assert names(routes.get_xticklabels()) == ["first", "second", "third"]  # of the first no share: a gap
    assert all(np.isnan(line.get_ydata()[0]) for line in routes.lines if len(line.get_ydata()) == 3)
    assert names(panels["the gradient over the steps"].get_yticklabels()) == ["first", "second", "third"]


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("make", [models.plain, models.resnet])
def test_the_picture_is_drawn_and_json_comes_back(make, steps, tmp_path):
    model = make(8, width=4, in_channels=1, rng=0)
    recording = flow.record(model)
    train(model, recording, steps)
    found = recording.history()
    figure = found.plot()
    titles = [axes.get_title() for axes in figure.axes]
    assert ("where the routes rejoin: skip connection and branch" in titles) is (make is models.resnet)
    assert ("the gradient over the steps" in titles) is (steps > 1)
    if (make is models.resnet) is (steps > 1):  # all panels, and the fewest: others have no more to draw
        figure.savefig(tmp_path / "x.png")
    document = json.loads((found.to_json(tmp_path / "x.json"), (tmp_path / "x.json").read_text())[1])
    assert document["labels"]["block"] == ["blocks.0", "blocks.1", "blocks.2"]
    np.testing.assert_allclose(document["arrays"]["backward_norm"], found["backward_norm"])


def test_the_columns_of_the_picture_stand_around_their_steps():
    model = models.resnet(8, width=4, in_channels=1, rng=0)
    recording = flow.record(model, every=5)
    train(model, recording, 11)  # 0, 5, 10
    (image,) = recording.history().plot().axes[1].images
    assert image.get_extent() == [-2.5, 12.5, 3.5, 0.5]  # the first block on top, as in run.html


def test_the_picture_leaves_out_what_was_not_seen():
    model, x, g = two_blocks()
    forward, both = flow.record(model), flow.record(model)
    with forward:
        model(tr.tensor(x))
    with both:
        model(tr.tensor(x)).backward(g)

    def titles(recording):
        return [axes.get_title().partition(",")[0] for axes in recording.history().plot().axes if axes.get_title()]

    assert titles(forward) == ["norms at the blocks' outputs", "dead units"]
    norms = forward.history().plot().axes[0]
    assert [line.get_label() for line in norms.lines] == ["|output|, step 0"]
    assert norms.lines[0].get_xdata().tolist() == [1, 2]
    assert titles(both)[2:] == ["gradient and update relative to the weight", "histogram of the gradient's elements"]
    updates = both.history().plot().axes[2]
    assert [line.get_label() for line in updates.lines] == ["gradient ratio"]  # nothing stepped


@pytest.mark.parametrize(("count", "named"), [(3, True), (12, True), (24, True), (25, False)])
def test_names_that_were_given_stand_at_the_axis_where_there_is_room(count, named):
    pytest.importorskip("matplotlib")
    names = [f"encoder.layer{k}" for k in range(count)]
    curve = Curve.of("norms", "gradient_norm", np.arange(1.0, count + 1), "block", names, "nothing")
    (axes,) = flow.plot({"plain": curve, "residual": 2 * curve}).axes
    axes.figure.canvas.draw()
    told = [text.get_text().replace("\\", "") for text in axes.get_xticklabels()]
    assert (told == names) is named
