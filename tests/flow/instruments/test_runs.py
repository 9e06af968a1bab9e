"""Blocks that run several times in a step, and modules that stand in several places."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import flow, nn, viewer
from tinyres.flow.instruments.lesions import dropped, lesionable_blocks

STEPS = 30


def norm(x):
    return float(np.linalg.norm(x.numpy().astype("float64")))


class Recurrent(nn.Module):
    """A cell over STEPS steps, and a readout of its last state."""

    def __init__(self, cell=nn.RNNCell, steps=STEPS):
        self.cell, self.steps = cell(2, 4, rng=0), steps
        self.readout = nn.Linear(4, 1, rng=1)
        self.to("float64")
        self.cell.weight_hh.data = 0.5 * np.eye(4)  # every step back through time at least halves the gradient

    def states(self, x):
        found, h = [], None
        for t in range(self.steps):
            h = self.cell(x[t], h)
            found.append(h)
        return found

    def forward(self, x):
        return self.readout(self.states(x)[-1]).sum()


def inputs(steps=STEPS):
    # A list: with tensors, slices of one would stand between the runs.
    return [tr.tensor(row) for row in np.random.default_rng(2).normal(size=(steps, 3, 2))]


@pytest.mark.parametrize("sliced", [False, True])
def test_every_run_of_a_cell(sliced):
    model, x = Recurrent(), inputs()
    x = tr.tensor(np.stack([row.numpy() for row in x]), requires_grad=True) if sliced else x
    with flow.record(model) as recording:
        model(x).backward()
    states = model.states(x)
    expected = [norm(g) for g in tr.grad(model.readout(states[-1]).sum(), states)]
    assert recording.watched == ["cell", "readout"]
    assert recording.blocks == [*[f"cell[{t}]" for t in range(STEPS)], "readout"]
    norms = recording.gradient_norms()
    np.testing.assert_allclose(norms[:STEPS], expected, rtol=1e-12)
    assert norms[0] < 1e-6 * norms[STEPS - 1]  # what one looks for: it vanishes over time
    found = recording.history()
    np.testing.assert_allclose(found["forward_norm"][0, :STEPS], [norm(h.detach()) for h in states], rtol=1e-12)
    np.testing.assert_allclose(found["backward_norm"][0], norms)
    assert found.labels["block"] == recording.blocks
    assert np.isfinite(found["gradient_histogram"]).all()


def test_the_picture_shows_every_run():
    model = Recurrent()
    with flow.record(model) as recording:
        model(inputs()).backward()
    figure = recording.history().plot()
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == "|gradient|, step 0"]
    assert len(line.get_xdata()) == STEPS + 1
    np.testing.assert_allclose(line.get_ydata(), np.log10(recording.gradient_norms()))


def test_sequences_of_different_lengths():
    model = Recurrent()
    recording = flow.record(model)
    for steps in (1, 3):
        model.steps = steps
        with recording:
            model(inputs()).backward()
    assert recording.blocks == ["cell[0]", "cell[1]", "cell[2]", "readout"]
    norms = recording.history()["backward_norm"]
    assert np.isfinite(norms).tolist() == [[True, False, False, True], [True] * 4]
    assert np.isfinite(recording.gradient_norms()).all()
    assert list(recording.steps[0].forward) == ["cell", "readout"]


def test_an_activation_that_stands_in_two_places():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(3, 4, rng=0), relu, nn.Linear(4, 5, rng=1), relu)
    x = tr.tensor(np.random.default_rng(0).normal(size=(6, 3)).astype("f"))
    with flow.record(model) as recording:
        model(x).sum().backward()
    assert recording.watched == ["0", "1", "2"]
    assert recording.blocks == ["0", "1[0]", "2", "1[1]"]  # from the input side on
    first = relu(model[0](x))
    last = relu(model[2](first))
    expected = [norm(g) for g in tr.grad(last.sum(), [first, last])]
    norms = dict(recording.gradient_norms())
    np.testing.assert_allclose([norms["1[0]"], norms["1[1]"]], expected, rtol=1e-6)
    assert flow.record(model, ["3"]).watched == ["3"]  # by its other name
    with flow.record(model, ["3", "1"]) as recording:
        model(x).sum().backward()
    assert recording.blocks == ["3[0]", "3[1]"]


def test_tied_blocks_in_two_parents():
    shared = nn.Linear(3, 3, rng=0)
    model = nn.Sequential(nn.Residual(shared), nn.Residual(nn.Sequential(nn.Tanh(), shared)))
    with flow.record(model, ["0.branch"]) as recording:
        model(tr.tensor(np.ones((2, 3), "f"), requires_grad=True)).sum().backward()
    assert recording.blocks == ["0.branch[0]", "0.branch[1]"]
    assert np.isfinite(recording.gradient_norms()).all()
    assert recording.gradient_norms()[1] == pytest.approx(6**0.5)
    assert set(recording.routes) == {"0", "1"}


def test_where_the_first_run_was_not_finite():
    model = Recurrent(steps=3)
    x = inputs(3)
    x[0] = tr.tensor(np.full((3, 2), np.nan))
    with flow.record(model) as recording:
        model(x).backward()
    assert recording.first_not_finite == "step 0: the output of cell[0]"


def test_the_page_of_a_run_shows_every_run(tmp_path):
    model = Recurrent(steps=3)
    recording = flow.record(model)
    for _ in range(2):
        with recording:
            model(inputs(3)).backward()
    viewer.save(recording, tmp_path / "run.html")
    assert "cell[2]" in (tmp_path / "run.html").read_text()


def test_other_instruments_find_it_under_each_of_its_names():
    shared, x = nn.Linear(3, 3, rng=0), tr.tensor(np.ones((2, 3), "f"))
    model = nn.Sequential(shared, nn.Tanh(), shared)
    model.blocks = nn.Sequential(shared, shared)
    for name in ("0", "2"):
        assert flow.block_and_input(model, name, x)[0] is shared
        with dropped(model, [name]):
            np.testing.assert_array_equal(model(x).numpy(), np.tanh(x.numpy()))
    assert lesionable_blocks(model) == ["0"]  # one block to leave out
