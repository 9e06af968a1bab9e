"""Lesions agree with models that are built without the block, and leave no trace."""

import json

import numpy as np
import pytest

import tinyres as tr
from tinyres import data, models, nn
from tinyres.flow.instruments.lesions import dropped, lesion


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
