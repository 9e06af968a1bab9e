"""Lesions agree with models that are built without the block, and leave no trace."""

import json

import numpy as np
import pytest

import tinyres as tr
from tinyres import data, flow, models, nn
from tinyres.context import current
from tinyres.flow.instruments.lesions import dropped, lesion, swapped


def dataset(n=20, shape=(1, 8, 8), classes=10):
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((n, *shape)).astype(np.float32)
    return data.Dataset(inputs, rng.integers(0, classes, n), classes=classes)


def resnet(shortcut="A"):
    """Depth 14, two blocks a stage, with running statistics that are not the initial ones."""
    model = models.resnet(14, width=4, in_channels=1, shortcut=shortcut, rng=0)
    model(tr.tensor(dataset().inputs))
    return model


def plain():
    model = models.plain(14, width=4, in_channels=1, rng=0)
    model(tr.tensor(dataset().inputs))
    return model


def judge(function, examples):
    logits = function(tr.tensor(examples.inputs))
    right = logits.numpy().argmax(axis=1) == examples.targets
    return tr.cross_entropy(logits, examples.targets).item(), right.mean()


def by_hand(model, place):
    """The model in evaluation mode, `place(k)` standing where block k was."""

    def function(x):
        h = model.stem(x)
        for k in range(len(model.blocks)):
            h = place(k)(h)
        return model.head(h)

    model.eval()
    with tr.no_grad():
        found = judge(function, dataset())
    model.train()
    return found


@pytest.mark.parametrize("kind", ["A", "B"])
def test_dropping_a_residual_block_leaves_its_shortcut(kind):
    model = resnet(kind)
    found = lesion(model, dataset(), batch_size=7)
    assert found.labels["block"] == [f"blocks.{k}.body" for k in range(6)]

    def without(i):
        def place(k):
            shortcut = model.blocks[k].body.shortcut or (lambda x: x)
            return (lambda x: tr.relu(shortcut(x))) if k == i else model.blocks[k]

        return place

    for i in range(6):
        loss, accuracy = by_hand(model, without(i))
        assert found["drop_loss"][i] == pytest.approx(loss, rel=1e-5)
        assert found["drop_accuracy"][i] == pytest.approx(accuracy)
    loss, accuracy = by_hand(model, lambda k: model.blocks[k])
    assert (found["base_loss"], found["base_accuracy"]) == (pytest.approx(loss, rel=1e-5), pytest.approx(accuracy))
    assert len({round(float(v), 4) for v in found["drop_loss"]}) == 6  # each block matters in its own way
    assert "7 evaluations" in found.cost


def test_dropping_a_plain_block_where_shapes_allow():
    model = plain()
    found = lesion(model, dataset())
    assert found.labels["block"] == [f"blocks.{k}" for k in range(6)]
    np.testing.assert_array_equal(np.isnan(found["drop_loss"]), [False, False, True, False, True, False])
    np.testing.assert_array_equal(np.isnan(found["drop_accuracy"]), np.isnan(found["drop_loss"]))
    assert found.cost.endswith("; NaN, since each changes the shape of its input: blocks.2, blocks.4")
    for i in (0, 1, 3, 5):
        loss, accuracy = by_hand(model, lambda k, i=i: (lambda x: x) if k == i else model.blocks[k])
        assert found["drop_loss"][i] == pytest.approx(loss, rel=1e-5)
        assert found["drop_accuracy"][i] == pytest.approx(accuracy)


@pytest.mark.parametrize("make", [resnet, plain])
def test_swapping_two_blocks_of_equal_shapes(make):
    model = make()
    found = lesion(model, dataset(), swap=True)
    body = ".body" if make is resnet else ""
    assert found.labels["pair"] == [f"blocks.0{body} and blocks.1{body}"]  # later stages begin with another shape
    order = [1, 0, 2, 3, 4, 5]
    loss, accuracy = by_hand(model, lambda k: model.blocks[order[k]])
    assert found["swap_loss"] == pytest.approx(loss, rel=1e-5)
    assert found["swap_loss"] != pytest.approx(float(found["base_loss"]), rel=1e-5)
    assert found["swap_accuracy"] == pytest.approx(accuracy)


def test_several_blocks_at_once():
    model = resnet()
    names = ["blocks.1.body", "blocks.3.body"]
    with dropped(model, names):
        found = by_hand(model, lambda k: model.blocks[k])
    expected = by_hand(model, lambda k: tr.relu if k in (1, 3) else model.blocks[k])
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_residual_connection_anywhere_and_a_lesion_inside_a_lesion():
    inner = nn.Residual(nn.Linear(3, 3, rng=1))
    model = nn.Sequential(nn.Linear(3, 3, rng=2), nn.Residual(nn.Sequential(nn.Linear(3, 3, rng=0), inner)))
    examples = dataset(shape=(3,), classes=3)
    found = lesion(model, examples, swap=True)
    assert found.labels == {"block": ["1", "1.branch.1"], "pair": []}  # one is inside the other
    x = tr.tensor(examples.inputs)
    with dropped(model, ["1.branch.1"]):
        without_inner = model(x)
        with dropped(model, ["1"]):
            np.testing.assert_array_equal(model(x).numpy(), model[0](x).numpy())
        np.testing.assert_array_equal(model(x).numpy(), without_inner.numpy())
    h = model[0](x)
    np.testing.assert_allclose(without_inner.numpy(), (h + model[1].branch[0](h)).numpy(), rtol=1e-6)


def test_what_is_left_out_still_takes_along_what_it_is_handed():
    """The branch ends in a batch norm, which would have added the residual itself."""
    model = nn.Sequential(nn.Residual(nn.Sequential(nn.Linear(3, 3, rng=0), nn.BatchNorm1d(3)))).eval()
    x = tr.tensor(np.random.default_rng(0).standard_normal((4, 3)).astype("float32"))
    with dropped(model, ["0.branch"]):
        np.testing.assert_array_equal(model(x).numpy(), 2 * x.numpy())


def test_named_modules_of_any_model():
    model = nn.Sequential(nn.Linear(4, 4, rng=0), nn.ReLU(), nn.Linear(4, 3, rng=1))
    examples = dataset(shape=(4,), classes=3)
    found = lesion(model, examples, blocks=["0", "2"])
    expected, _ = judge(lambda x: model[2](tr.relu(x)), examples)
    np.testing.assert_allclose(found["drop_loss"], [expected, np.nan], rtol=1e-6)


def test_a_task_without_classes_has_no_accuracy():
    rng = np.random.default_rng(0)
    examples = data.Dataset(rng.standard_normal((9, 3)), rng.standard_normal((9, 3)))
    model = nn.Sequential(nn.Residual(nn.Linear(3, 3, rng=0))).to("float64")
    found = lesion(model, examples, loss=nn.MSELoss(), batch_size=4)
    assert set(found) == {"base_loss", "drop_loss"}
    assert found["drop_loss"][0] == pytest.approx(((examples.inputs - examples.targets) ** 2).mean())
    found.plot()


def snapshot(model):
    state = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    attributes = [{k: v for k, v in vars(m).items() if k != "training"} for m in model.modules()]
    return state, [m.training for m in model.modules()], attributes


def assert_untouched(model, before):
    state, modes, attributes = before
    now = snapshot(model)
    assert all((state[name] == now[0][name]).all() for name in state)
    assert modes == now[1]
    for old, new in zip(attributes, now[2], strict=True):
        assert list(old) == list(new)
        assert all(old[key] is new[key] for key in old)


@pytest.mark.parametrize("make", [resnet, plain])
def test_the_model_is_as_before(make):
    model = make()
    model.blocks[1].eval()  # modes are mixed
    before = snapshot(model)
    lesion(model, dataset(), swap=True)
    assert_untouched(model, before)


@pytest.mark.parametrize("fails_at", [1, 3, 8])
def test_the_model_is_as_before_after_an_exception(fails_at):
    """In the base run, while a block is left out, while two are exchanged."""
    model = resnet()
    before = snapshot(model)
    calls = []

    def loss(y, target):
        calls.append(1)
        if len(calls) == fails_at:
            raise KeyboardInterrupt
        return tr.cross_entropy(y, target)

    with pytest.raises(KeyboardInterrupt):
        lesion(model, dataset(), swap=True, loss=loss)
    assert_untouched(model, before)
    y = model(tr.tensor(dataset().inputs))
    assert y.requires_grad  # recording is on again


def test_a_forward_of_ones_own_comes_back():
    model = resnet()
    block = model.blocks[0].body
    own = block.forward
    block.forward = own
    with dropped(model, ["blocks.0.body"]):
        assert block.forward is not own
    assert vars(block)["forward"] is own


def test_picture_and_json(tmp_path):
    found = lesion(resnet(), dataset(), swap=True)
    found.plot().savefig(tmp_path / "lesions.png")
    assert (tmp_path / "lesions.png").read_bytes().startswith(b"\x89PNG")
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["axes"]["drop_loss"] == ["block"]
    assert document["arrays"]["drop_loss"] == found["drop_loss"].tolist()


@pytest.mark.parametrize("depth", [62, 68])  # 30 blocks, and 33
def test_blocks_are_named_as_long_as_they_can_be_read(depth):
    found = lesion(models.resnet(depth, width=1, in_channels=1, rng=0), dataset(2))
    names = found.labels["block"]
    ticks = [label.get_text() for label in found.plot().axes[0].get_xticklabels()]
    assert (ticks == list(names)) is (len(names) <= 30)


# -- bad input -------------------------------------------------------------------------------------------------------
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
