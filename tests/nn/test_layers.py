"""Layers that PyTorch has no copy of, seeds, and what a wrong input is told."""

import io

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn


def ones(*shape):
    return tr.tensor(np.ones(shape, np.float32))


def test_a_seed_or_a_generator_fixes_the_weights():
    for make in (lambda rng: nn.Linear(3, 4, rng=rng), lambda rng: nn.Conv2d(3, 4, 3, rng=rng)):
        same = [make(7).weight.detach().numpy(), make(7).weight.detach().numpy()]
        np.testing.assert_array_equal(*same)
        np.testing.assert_array_equal(same[0], make(np.random.default_rng(7)).weight.detach().numpy())
        assert not np.array_equal(same[0], make(8).weight.detach().numpy())
        assert not np.array_equal(make(None).weight.detach().numpy(), make(None).weight.detach().numpy())
    layer = nn.Linear(3, 4, rng=7)
    assert not np.allclose(layer.bias.detach().numpy(), layer.weight.detach().numpy().ravel()[:4])
    shared = np.random.default_rng(7)
    first, second = nn.Linear(3, 4, rng=shared), nn.Linear(3, 4, rng=shared)
    assert not np.array_equal(first.weight.detach().numpy(), second.weight.detach().numpy())


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(400, 100, rng=0),
        nn.Conv2d(16, 50, 5, rng=0),
        nn.Conv2d(32, 48, 5, groups=2, rng=0),
        nn.ConvTranspose2d(50, 16, 5, rng=0),  # PyTorch's fan_in is shape[1] times the window here, too
    ],
    ids=["linear", "conv", "grouped conv", "transposed conv"],
)
def test_weights_and_biases_start_evenly_within_one_over_the_root_of_the_fan_in(layer):
    bound = 1 / 400**0.5
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    assert 0.99 * bound < abs(weight).max() <= bound
    assert weight.std() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert 0.7 * bound < abs(bias).max() <= bound


def test_reshape_identity_and_upsample():
    x = tr.tensor(np.arange(8.0).reshape(2, 4))
    y = nn.Reshape(1, 2, -1)(x)
    assert y.shape == (2, 1, 2, 2)
    np.testing.assert_array_equal(y.numpy()[1, 0], [[4, 5], [6, 7]])
    assert nn.Identity()(x) is x
    y = nn.Upsample(scale_factor=2)(tr.tensor([[[[1.0, 2.0]]]]))
    np.testing.assert_array_equal(y.numpy()[0, 0], [[1, 1, 2, 2], [1, 1, 2, 2]])


@pytest.mark.parametrize(
    ("module", "x", "message"),
    [
        (nn.Linear(10, 5), ones(3, 7), r"Linear\(in_features=10, out.*must have 10 entries, got shape \(3, 7\)"),
        (
            nn.Conv2d(3, 4, 3),
            ones(2, 1, 8, 8),
            r"Conv2d\(3, 4, .*must have shape \(N, 3, H, W\) or \(3, H, W\), got \(2, 1, 8, 8\)",
        ),
        (nn.Conv2d(3, 4, 3), ones(8, 8, 3), r"\(N, 3, H, W\) or \(3, H, W\), got \(8, 8, 3\)"),
        (nn.Conv1d(3, 4, 3), ones(2, 8, 3), r"Conv1d\(3, 4, .*\(N, 3, L\) or \(3, L\), got \(2, 8, 3\)"),
        (nn.ConvTranspose2d(3, 4, 3), ones(2, 4, 8, 8), r"ConvTranspose2d\(3, 4, .*\(N, 3, H, W\) or \(3, H, W\), got"),
        (nn.BatchNorm1d(3), ones(2, 4), r"BatchNorm1d\(3, .*must have shape \(N, 3\) or \(N, 3, L\), got \(2, 4\)"),
        (nn.BatchNorm2d(3), ones(2, 3), r"BatchNorm2d\(3, .*must have shape \(N, 3, H, W\), got \(2, 3\)"),
        (nn.BatchNorm1d(3), ones(1, 3), r"1 value\(s\) a channel, training needs at least 2.*\.eval\(\)"),
        (nn.BatchNorm2d(3), ones(1, 3, 1, 1), "training needs at least 2"),
    ],
    ids=lambda v: repr(v).partition("(")[0],
)
def test_a_wrong_input_is_named(module, x, message):
    with pytest.raises(ValueError, match=message):
        module(x)


def test_the_message_says_where_in_the_model():
    net = nn.Sequential(nn.Flatten(), nn.Sequential({"fc": nn.Linear(10, 5)}))
    with pytest.raises(ValueError, match=r"at '1\.fc': the last axis of x"):
        net(ones(2, 3, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), r"Conv2d: groups=2 must divide in_channels=3 and out_channels=4"),
        (lambda: nn.Conv2d(3, 4, (3, 3, 3)), r"Conv2d: kernel_size must be an integer or a pair.*\(3, 3, 3\)"),
        (lambda: nn.Dropout(1.5), r"Dropout: p must be a number from 0 to 1, got 1\.5"),
        (lambda: nn.Dropout(float("nan")), r"must be a number from 0 to 1, got nan"),
    ],
)
def test_a_wrong_setting_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# -- residual -------------------------------------------------------------------------------------------------------
def test_residual_adds_and_tags_its_routes():
    branch = nn.Linear(3, 3, rng=0)
    block = nn.Residual(branch)
    x = tr.tensor(np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32), requires_grad=True)
    y = block(x)
    np.testing.assert_allclose(y.detach().numpy(), (branch(x) + x).detach().numpy(), rtol=1e-6)
    assert y.node.roles == ("branch", "skip")
    g = np.random.default_rng(2).normal(size=(2, 3)).astype(np.float32)
    routes = {e.role: e for e in tr.steps(y, g) if e.consumer is y.node and e.kind == "rule"}
    assert routes["branch"].producer.path == "branch"
    assert routes["skip"].producer is x.node
    (dx,) = tr.grad(y, x, g)
    np.testing.assert_allclose(dx.numpy(), g @ (branch.weight.detach().numpy() + np.eye(3)), rtol=1e-5)


def test_residual_with_a_projection_and_without_a_graph():
    block = nn.Residual(nn.Conv2d(2, 4, 3, stride=2, padding=1), shortcut=nn.Conv2d(2, 4, 1, stride=2))
    assert block(ones(1, 2, 5, 5)).shape == (1, 4, 3, 3)
    assert [k for k, _ in block.named_children()] == ["branch", "shortcut"]
    with tr.no_grad():
        assert block(ones(1, 2, 5, 5)).node is None


def test_residual_never_broadcasts():
    with pytest.raises(ValueError, match=r"gives \(2, 1\), the residual is \(2, 3\).*projection as shortcut"):
        nn.Residual(nn.Linear(3, 1))(ones(2, 3))
    with pytest.raises(ValueError, match=r"gives \(2, 1\), the residual is \(2, 4\)"):
        nn.Residual(nn.Linear(3, 1), shortcut=nn.Linear(3, 4))(ones(2, 3))
    with pytest.raises(TypeError, match=r"Residual: takes one branch, got 2 modules \(Linear, Tanh\): .*nn.Sequential"):
        nn.Residual(nn.Linear(3, 3), nn.Tanh())
    with pytest.raises(TypeError, match="StochasticDepth: takes one branch, got 2 modules"):
        nn.StochasticDepth(nn.Linear(3, 3), nn.Tanh())


# -- summary --------------------------------------------------------------------------------------------------------
def test_summary_lists_layers_shapes_and_counts():
    rng = np.random.default_rng(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Dropout(0.5, rng=rng), nn.Flatten(), nn.Linear(8 * 16, 10)
    )
    net[2].eval()
    state = rng.bit_generator.state
    table = nn.summary(net, (1, 3, 4, 4))
    assert [(r.name, r.kind, r.shape, r.parameters) for r in table.rows] == [
        ("", "Sequential", (1, 10), 0),
        ("0", "Conv2d", (1, 8, 4, 4), 224),
        ("1", "BatchNorm2d", (1, 8, 4, 4), 16),
        ("2", "Dropout", (1, 8, 4, 4), 0),
        ("3", "Flatten", (1, 128), 0),
        ("4", "Linear", (1, 10), 1290),
    ]
    assert table.total == net.parameter_count() == 1530
    assert "4: Linear" in str(table)
    assert str(table).splitlines()[-1].split() == ["total", "1,530"]
    assert rng.bit_generator.state == state
    assert net[1].num_batches_tracked.item() == 0
    assert [m.training for m in net.modules()] == [True, True, True, False, True, True]
    assert "forward" not in vars(net[0])


def test_summary_counts_what_is_shared_once_and_cleans_up_after_an_error():
    layer = nn.Linear(4, 4)
    net = nn.Sequential(layer, nn.ReLU(), layer)
    table = nn.summary(net, (2, 4))
    assert [r.parameters for r in table.rows] == [0, 20, 0, 0]
    with pytest.raises(ValueError, match="4 entries"):
        nn.summary(net, (2, 5))
    assert net.training
    assert "forward" not in vars(layer)


def test_summary_leaves_an_instance_the_forward_that_it_was_given():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    net[1].forward = own = lambda x: x[:, :2]
    assert nn.summary(net, (2, 4)).rows[-1].shape == (2, 2)
    assert vars(net[1])["forward"] is own


def test_summary_as_a_rich_table():
    console = pytest.importorskip("rich.console").Console(record=True, width=80, file=io.StringIO())
    console.print(nn.summary(nn.Sequential(nn.Linear(4, 5)), (2, 4)))
    text = console.export_text()
    assert "0: Linear" in text
    assert "(2, 5)" in text
    assert "25" in text


def test_settings_that_pytorch_has_and_these_layers_have_not():
    for norm in (nn.BatchNorm1d, nn.BatchNorm2d):
        with pytest.raises(ValueError, match=rf"{norm.__name__}: momentum must be .* got None; .* assign 1 / k"):
            norm(3, momentum=None)
    with pytest.raises(ValueError, match=r"momentum must be a number from 0 to 1, got 1\.5$"):
        nn.BatchNorm2d(3, momentum=1.5)
    with pytest.raises(ValueError, match=r"interpolate: size must be a positive integer, or 2 of them, got 1\.5"):
        nn.Upsample(1.5)(ones(1, 1, 2, 2))
    with pytest.raises(ValueError, match="interpolate: scale_factor must be a positive number, or 2 of them, got 0"):
        nn.Upsample(scale_factor=0)(ones(1, 1, 2, 2))
    with pytest.raises(ValueError, match=r"Upsample: needs size or scale_factor, got neither.*scale_factor=2"):
        nn.Upsample()
    assert nn.Upsample(scale_factor=(1, 2))(tr.tensor(np.ones((1, 1, 2, 2)))).shape == (1, 1, 2, 4)


def test_the_average_over_all_batches_as_the_message_has_it():
    norm, batches = nn.BatchNorm1d(2), np.random.default_rng(0).normal(size=(3, 8, 2)).astype("f")
    for k, x in enumerate(batches, start=1):
        norm.momentum = 1 / k
        norm(tr.tensor(x))
    np.testing.assert_allclose(norm.running_mean.numpy(), batches.mean(axis=(0, 1)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(norm.running_var.numpy(), batches.var(axis=1, ddof=1).mean(axis=0), rtol=1e-5)
