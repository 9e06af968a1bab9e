"""What `flow.lesion` says: of what it cannot do, of names, and of figures that are NaN."""

import numpy as np
import pytest

import tinyres as tr
from tests.flow.instruments.test_lesions import dataset, resnet
from tinyres import data, flow, models, nn
from tinyres.context import current
from tinyres.flow.instruments.lesions import dropped, lesion, swapped


def test_what_cannot_be_said():
    bare = nn.Sequential(nn.Linear(3, 4, rng=0))
    examples = dataset(shape=(3,), classes=4)
    with pytest.raises(ValueError, match=r"Sequential has neither residual connections .* name the modules"):
        lesion(bare, examples)
    with pytest.raises(ValueError, match="none of 0 can be dropped: each changes the shape of its input, or never ran"):
        lesion(bare, examples, blocks=["0"])
    with pytest.raises(ValueError, match=r"the model has no modules called \['7'\]; it has 0"):
        lesion(bare, examples, blocks=["7"])
    with (
        pytest.raises(ValueError, match="neither block may lie inside the other"),
        swapped(resnet(), "blocks.0", "blocks.0.body"),
    ):
        pass


def test_nan_weights_say_so():
    model = resnet()
    weight = model.blocks[2].body.branch[0].weight
    weight.data = np.full_like(weight.data, np.nan)
    with pytest.raises(FloatingPointError, match="the loss of the intact model is nan"):
        lesion(model, dataset())


def test_a_highway_layer_that_is_left_out_is_one_whose_gate_is_closed():
    model = models.highway(10, width=4, in_channels=1, rng=0)
    names = [f"blocks.{k}" for k in (0, 1, 3, 4, 6, 7)]  # and none of the plain layers between the stages
    found = lesion(model, dataset())
    assert found.labels["block"] == names
    for k, name in enumerate(names):
        layer = dict(model.named_modules())[name]
        bias = layer.gate.bias.data
        layer.gate.bias.data = np.full_like(bias, -np.inf)
        assert found["drop_loss"][k] == lesion(model, dataset(), blocks=["blocks.0"])["base_loss"]
        layer.gate.bias.data = bias
    assert len(set(found["drop_loss"])) == len(names)


def test_one_name_is_no_list_of_names():
    with pytest.raises(TypeError, match=r"got the string 'blocks.0'; write \['blocks.0'\]"):
        lesion(resnet(), dataset(), blocks="blocks.0")
    with pytest.raises(TypeError, match="blocks is a list of names"), dropped(resnet(), "blocks.0"):
        pass


def test_it_is_unwatched_while_a_recording_runs():
    model, watched = resnet(), []

    def loss(outputs, targets):
        watched.append(current().observers)
        return tr.cross_entropy(outputs, targets)

    alone = lesion(model, dataset(), loss=loss)
    with flow.record(model):
        meanwhile = lesion(model, dataset(), loss=loss)
    assert set(watched) == {()}
    np.testing.assert_array_equal(meanwhile["drop_loss"], alone["drop_loss"])  # fused as ever, to the last bit


def test_a_data_set_in_pytorchs_form_gives_the_same_numbers_and_print_shows_them():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((12, 4), dtype=np.float32), rng.integers(0, 3, 12)
    model = nn.Sequential(nn.Residual(nn.Linear(4, 4, rng=0)), nn.Residual(nn.Linear(4, 4, rng=1)))
    ours = flow.lesion(model, data.Dataset(x, y, classes=3))
    theirs = flow.lesion(model, tr.utils.data.TensorDataset(tr.tensor(x), tr.tensor(y)))
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert f"drop_loss: 0 {ours['drop_loss'][0]:.4g}, 1 {ours['drop_loss'][1]:.4g}" in str(ours)
    assert f"base_loss: {float(ours['base_loss']):.4g}" in str(ours)
    with pytest.raises(TypeError, match=r"a tinyres.data.Dataset\(inputs, targets\) or one of .* got generator"):
        flow.lesion(model, (pair for pair in zip(x, y, strict=True)))
    with pytest.raises(TypeError, match=r"a sample must be a pair \(input, target\), got Tensor"):
        flow.lesion(model, tr.ones(3, 4))


class Listed(nn.Module):
    """A net without residual connections or `.blocks`, whose layers stand in a list."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4, rng=0), nn.Linear(4, 3, rng=1)])

    def forward(self, x):
        return self.layers[1](self.layers[0](x))


def test_the_names_that_are_offered_are_the_nets_own_and_a_nan_has_its_reason():
    ones = data.Dataset(np.ones((6, 4), "float32"), np.arange(6) % 3, classes=3)
    with pytest.raises(ValueError, match=r"name the modules to leave out, blocks=\['layers.0', 'layers.1'\], say"):
        lesion(Listed(), ones)
    found = lesion(Listed(), ones, blocks=["layers", "layers.0", "layers.1"])
    assert np.isnan(found["drop_loss"]).tolist() == [True, False, True]
    assert (
        "; NaN, since each never ran by itself: layers; NaN, since each changes the shape of its input: " in found.cost
    )
    assert found.cost.endswith("layers.1")
