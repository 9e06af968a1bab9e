"""Which blocks there are, and why there may be no two routes to compare: what a net's author cannot see."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import flow, nn, viewer

X = np.random.default_rng(0).standard_normal((2, 3)).astype("float32")


class Net(nn.Module):
    """A row of blocks that is gone through (`through`), or called."""

    def __init__(self, *layers, through=True):
        self.layers, self.head, self.through = nn.Sequential(*layers), nn.Linear(3, 2, rng=9), through

    def forward(self, x):
        if not self.through:
            return self.head(self.layers(x))
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def residual(seed):
    return nn.Residual(nn.Linear(3, 3, rng=seed))


def recorded(model, x=X, steps=1, **how):
    recording = flow.record(model, **how)
    for _ in range(steps):
        with recording:
            model(tr.tensor(x)).sum().backward()
    return recording


@pytest.mark.parametrize("asked", [None, ["layers", "head"]])
def test_a_row_that_is_gone_through_is_its_members_as_a_module_list_is(asked):
    recording = recorded(Net(residual(0), residual(1), residual(2)), steps=2, blocks=asked)
    assert recording.blocks == ["layers.0", "layers.1", "layers.2", "head"]
    listed = Net(residual(0), residual(1), residual(2))
    listed.layers = nn.ModuleList(list(listed.layers.children()))
    other = recorded(listed, steps=2)
    assert dict(recording.gradient_norms()) == dict(other.gradient_norms())
    assert "layers" not in str(recording).partition("not recorded:")[2].split(";")[0]
    assert np.isfinite(recording.history()["forward_norm"]).all(), "from the first step on"


@pytest.mark.parametrize("through", [False, True])
def test_a_stage_of_blocks_stands_for_these(through):
    """As `layer1 = nn.Sequential(Block(...), Block(...))` has them in most residual nets."""
    recording = recorded(Net(residual(0), nn.Sequential(residual(1), nn.Tanh()), through=through))
    assert recording.blocks == ["layers.0", "layers.1", "head"]
    assert np.isfinite(recording.gradient_norms()).all()


def test_a_row_that_is_called_is_one_block_and_remains_one():
    model = Net(nn.Linear(3, 3, rng=0), nn.Tanh(), through=False)
    recording = recorded(model)
    assert recording.blocks == ["layers", "head"]
    model.through = True
    with recording:
        model(tr.tensor(X)).sum().backward()
    assert recording.blocks == ["layers", "head"]
    assert np.isfinite(recording.history()["backward_norm"]).all()


def test_rows_within_rows():
    recording = recorded(Net(nn.Sequential(residual(0), nn.Tanh()), residual(1)))
    assert recording.blocks == ["layers.0", "layers.1", "head"], "the inner one is called"
    assert recorded(nn.Sequential(residual(0), residual(1))).blocks == ["0", "1"]


def test_the_only_residual_connection_whose_input_needs_no_gradient_is_named_with_the_mend():
    recording = recorded(nn.Sequential(residual(0)))
    with pytest.raises(ValueError, match=r"at the input of 0, .*needs none.*requires_grad=True\), or put a layer"):
        recording.skip_share()
    with recording:
        recording._model(tr.tensor(X, requires_grad=True)).sum().backward()
    assert list(recording.skip_share()) == ["0"], "the mend mends it"
    inside = flow.record(nn.Sequential(residual(0)))
    with inside:
        inside._model(tr.tensor(X)).sum().backward()
        with pytest.raises(ValueError, match="at the input of 0"):
            inside.skip_share()


def test_residual_connections_that_no_gradient_passed_are_told_from_none():
    class Off(nn.Module):
        def __init__(self):
            self.used, self.unused = nn.Linear(3, 3, rng=0), residual(1)

        def forward(self, x):
            return self.used(x)

    with pytest.raises(ValueError, match=r"passed none of the residual connections \(unused\): did they run"):
        recorded(Off()).skip_share()


def test_a_share_that_is_missing_beside_others_is_named():
    recording = recorded(nn.Sequential(residual(0), residual(1), residual(2)))
    with pytest.warns(UserWarning, match=r"the skip share of 0 is NaN: .* needs none.*requires_grad=True"):
        found = recording.skip_share()
    assert list(found) == ["0", "1", "2"]
    assert np.isnan(found.numpy()).tolist() == [True, False, False]
    assert np.isnan(recording.history()["skip_share"]).tolist() == [[True, False, False]]
    assert recording.history().labels["residual"] == ["0", "1", "2"]
    (lane,) = viewer.run.described(recording)["lanes"]
    assert [share is None or share[0] is None for share in lane["skip_share"]] == [True, False, False]
    (lane,) = viewer.run.described(recorded(nn.Sequential(residual(0))))["lanes"]
    assert lane["skip_share"] is None


def test_where_no_step_was_recorded_it_says_which_will_be():
    recording = flow.record(nn.Sequential(residual(0)), every=10)
    recording.entered = 3  # a run that goes on
    with recording:
        recording._model(tr.tensor(X)).sum().backward()
    for ask in (recording.skip_share, recording.gradient_norms, recording.history):
        with pytest.raises(ValueError, match=r"none of the steps was recorded, since every=10: the next is step 10$"):
            ask()
