"""Batch norm with the sum and the ReLU behind it in one operation: nothing but the number of operations may change."""

import numpy as np
import pytest

import tinyres as tr
from tests.nn.fusable import (
    branch,
    ends_in_a_convolution,
    ends_in_a_mixed_norm,
    ends_in_a_relu,
    ends_in_a_row,
    ends_in_another_norm,
    ends_in_two_relus,
    other_activation,
    other_row,
    plain_block,
    projected_block,
    residual_block,
    residual_of_a_residual,
)
from tinyres import flow, nn
from tinyres.flow.instruments.replaced import replaced

STATE = [
    *("0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"),
    *("3.weight", "4.weight", "4.bias", "4.running_mean", "4.running_var", "4.num_batches_tracked"),
]


class Watching(tr.Observer):
    def __init__(self):
        self.seen = []

    def on_forward(self, node, value):
        self.seen.append(node)


MAKERS = [
    residual_block, projected_block, plain_block, ends_in_a_relu, ends_in_two_relus, ends_in_a_row,
    ends_in_a_convolution, other_activation, residual_of_a_residual, ends_in_another_norm, ends_in_a_mixed_norm,
    other_row,
]  # fmt: skip


def prepared(make, train=True):
    """A module in float64 whose weights and statistics are not those of the start, where much is symmetric."""
    rng = np.random.default_rng(5)
    module = make().to("float64").train(train)
    for value in module.parameters():
        value.data = value.data + 0.3 * rng.standard_normal(value.shape)
    for value in module.buffers():
        if value.ndim:
            value.data = rng.uniform(0.5, 2, value.shape)
    return module


def images():
    return tr.tensor(np.random.default_rng(6).standard_normal((4, 3, 5, 6)), requires_grad=True)


def weighted(y):
    return (y * np.random.default_rng(7).standard_normal(y.shape)).sum()


def run(make, train, watched):
    """The module, what it gives of the images, and these."""
    module, x = prepared(make, train), images()
    if not watched:
        return module, module(x), x
    with Watching():
        return module, module(x), x


def operations(y):
    found, ahead = set(), [y.node]
    while ahead:
        node = ahead.pop()
        if node is not None and node.primitive is not None and node not in found:
            found.add(node)
            ahead += node.parents
    return sorted(found, key=lambda node: node.serial)


def close(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * max(1, abs(b).max()))


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("make", MAKERS)
def test_values_gradients_and_statistics_are_the_same(make, train):
    sides = []
    for watched in (False, True):
        module, y, x = run(make, train, watched)
        gradients = tr.grad(weighted(y), [x, *module.parameters()])
        sides.append([value.numpy() for value in (y, *gradients, *module.buffers())])
    close(*sides)


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("make", [residual_block, projected_block, ends_in_a_relu, other_activation])
def test_gradients_of_gradients_are_the_same(make, train):
    sides = []
    for watched in (False, True):
        module, y, x = run(make, train, watched)
        wanted = [x, *module.parameters()]
        before = [value.numpy() for value in module.buffers()]
        first = tr.grad(weighted(y), wanted, create_graph=True)
        penalty = sum(weighted(g * g) for g in first)
        second = tr.grad(penalty, wanted, allow_unused=True)
        assert abs(second[0].numpy()).max() > 1e-3
        filled = [np.zeros(w.shape) if g is None else g.numpy() for g, w in zip(second, wanted, strict=True)]
        sides.append([g.numpy() for g in first] + filled)
        for value, old in zip(module.buffers(), before, strict=True):
            np.testing.assert_array_equal(value.numpy(), old)  # a replay moves no statistics
    close(*sides)


@pytest.mark.parametrize("watched", [False, True])
def test_running_statistics_move_once(watched):
    module, x = prepared(residual_block), images()
    norm = module.body.branch[1]
    old = norm.running_mean.numpy()
    batch = module.body.branch[0](x).numpy().mean(axis=(0, 2, 3))
    if watched:
        with Watching():
            y = module(x)
    else:
        y = module(x)
    tr.grad(weighted(y), [x])
    np.testing.assert_allclose(norm.running_mean.numpy(), 0.9 * old + 0.1 * batch, rtol=1e-12)
    assert [int(value.numpy()) for name, value in module.named_buffers() if "tracked" in name] == [1, 1]


def test_a_fused_block_is_four_operations_and_its_routes_have_roles():
    _, y, x = run(residual_block, True, watched=False)
    made = operations(y)
    assert [node.name for node in made] == ["conv2d", "batch_norm", "conv2d", "batch_norm"]
    assert made[1].roles is None
    assert y.node.roles == ("branch", None, None, "skip")
    assert y.node.parents[0] is made[2]
    assert y.node.parents[3] is x.node


def test_watched_each_operation_is_an_event_of_its_own_under_its_own_path():
    module, x = prepared(residual_block), images()
    with Watching() as watching:
        y = module(x)
    assert [(node.name, node.path) for node in watching.seen] == [
        ("conv2d", "body.branch.0"),
        ("batch_norm", "body.branch.1"),
        ("relu", "body.branch.2"),
        ("conv2d", "body.branch.3"),
        ("batch_norm", "body.branch.4"),
        ("add", "body"),
        ("relu", ""),
    ]
    assert operations(y) == watching.seen
    assert [node.roles for node in watching.seen if node.roles] == [("branch", "skip")]
    fused = run(residual_block, True, watched=False)[1]
    assert len(operations(fused)) == 4


def test_a_recording_sees_both_routes():
    module, x = prepared(residual_block), images()
    with flow.record(module, ["body"]) as recording:
        weighted(module(x)).backward()
    assert set(recording.routes["body"]) == {"skip", "branch"}
    assert all(size > 0 for size in recording.routes["body"].values())


def test_what_only_descends_from_relu_runs_by_itself():
    module, y, x = run(other_activation, True, watched=False)
    assert [node.path for node in operations(y) if node.name == "relu"] == ["body.branch.2"]
    rows = list(module.body.branch.children())
    norm = rows[1](rows[0](x)).numpy()
    expected = 3 * np.maximum(norm, 0)
    np.testing.assert_allclose(rows[2](tr.tensor(norm)).numpy(), expected)
    assert len([node for node in operations(y) if node.name == "batch_norm"]) == 2


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (ends_in_a_relu, ["conv2d", "batch_norm", "conv2d", "batch_norm", "add"]),
        (ends_in_two_relus, ["conv2d", "batch_norm", "conv2d", "batch_norm", "relu"]),
        (ends_in_a_convolution, ["conv2d", "batch_norm", "conv2d", "add", "relu"]),
        (residual_of_a_residual, ["conv2d", "batch_norm", "conv2d", "batch_norm", "add", "relu"]),
    ],
)
def test_only_what_a_batch_norm_can_fuse_is_fused(make, names):
    assert [node.name for node in operations(run(make, True, watched=False)[1])] == names


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("last", [nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1, rng=0)])
def test_a_residual_of_the_wrong_shape_is_refused_with_both_shapes(last, watched):
    module = nn.Residual(nn.Sequential(nn.Conv2d(3, 4, 1, rng=0), last))
    x = tr.tensor(np.ones((2, 3, 5, 6), np.float32))
    with Watching() if watched else tr.enable_grad(), pytest.raises(ValueError, match="residual") as refused:
        module(x)
    assert "(2, 4, 5, 6)" in str(refused.value)
    assert "(2, 3, 5, 6)" in str(refused.value)


def test_a_residual_that_would_broadcast_is_refused_too():
    module = nn.Residual(branch(), shortcut=nn.AvgPool2d((5, 6)))
    with pytest.raises(ValueError, match="residual"):
        module(tr.tensor(np.ones((2, 3, 5, 6), np.float32)))


@pytest.mark.parametrize("watched", [False, True])
def test_a_row_that_ends_in_a_relu_may_be_called_with_a_residual(watched):
    row, x = prepared(lambda: branch(end=[nn.ReLU()])), images()
    residual = np.full(x.shape, -0.5)
    expected = np.maximum(prepared(lambda: branch(end=[nn.ReLU()]))(x).numpy() - 0.5, 0)
    with Watching() if watched else tr.enable_grad():
        np.testing.assert_allclose(row(x, residual=tr.tensor(residual), relu=True).numpy(), expected, atol=1e-12)


def test_state_dict_has_the_keys_of_the_modules():
    assert list(branch().state_dict()) == STATE
    assert list(residual_block().state_dict()) == [f"body.branch.{key}" for key in STATE]
    assert list(ends_in_a_relu().state_dict()) == [f"branch.{key}" for key in STATE]


def test_an_empty_row_fuses_nothing():
    x = images()
    y = nn.Residual(nn.Sequential())(x)
    np.testing.assert_array_equal(y.numpy(), 2 * x.numpy())
    assert y.node.roles == ("branch", "skip")


def doubling(x):
    return 2 * x


@pytest.mark.parametrize("part", [0, 1, 2, 3])
@pytest.mark.parametrize("training", [True, False])
def test_a_forward_of_the_instance_is_not_passed_over(part, training):
    """As lesions put one there: beside layers that fuse with each other, it is what runs."""
    x = tr.tensor(np.random.default_rng(0).standard_normal((4, 2, 3, 3)).astype("f4"))
    net = nn.Sequential(nn.Conv2d(2, 2, 1, bias=False, rng=0), nn.BatchNorm2d(2), nn.ReLU(), nn.BatchNorm2d(2))
    whole = nn.Residual(net).train(training)

    def by_hand():
        h = x
        for k, module in enumerate(net):
            h = doubling(h) if k == part else module(h)
        return (h + x).numpy()

    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    expected = by_hand()
    net.load_state_dict(before)
    for recorded in (tr.enable_grad, tr.no_grad):
        with recorded(), replaced({net[part]: doubling}):
            np.testing.assert_allclose(whole(x).numpy(), expected, rtol=1e-6)
        net.load_state_dict(before)


def test_a_forward_that_is_assigned_to_the_class_later_is_not_passed_over(monkeypatch):
    class Own(nn.BatchNorm2d):
        pass

    x, forward = images()[:, :3], nn.BatchNorm2d.forward
    Own.forward = lambda self, x: forward(self, x) * 3
    np.testing.assert_array_equal(
        nn.fused_add_relu(Own(3), x, relu=True).numpy(), tr.relu(3 * nn.BatchNorm2d(3)(x)).numpy()
    )
    called = []
    monkeypatch.setattr(nn.BatchNorm2d, "forward", lambda self, x: called.append(1) or forward(self, x))
    nn.fused_add_relu(nn.BatchNorm2d(3), x, relu=True)
    assert called


def test_a_class_beside_may_take_keywords():
    class Named:
        def __init_subclass__(cls, tag, **more):
            super().__init_subclass__(**more)
            cls.tag = tag

    class Both(nn.Module, Named, tag="a"):
        pass

    assert Both.tag == "a"
