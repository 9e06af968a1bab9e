"""The recorder agrees with gradients asked for by hand."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import flow, models, nn
from tinyres.ops.losses import cross_entropy


def norm(x):
    return float(np.sqrt((x.numpy().astype("float64") ** 2).sum()))


def batch(seed=0):
    rng = np.random.default_rng(seed)
    return tr.tensor(rng.standard_normal((4, 1, 8, 8))), rng.integers(0, 10, 4)


def by_hand(model, x, target):
    """Gradients at the outputs of all blocks, from a forward pass that is spelled out."""
    h = model.stem(x)
    states = [h]
    for block in model.blocks:
        states.append(block(states[-1]))
    return tr.grad(cross_entropy(model.head(states[-1]), target), states)


@pytest.mark.parametrize("make", [models.plain, models.resnet])
def test_gradient_norms_at_the_blocks_outputs(make):
    model = make(14, width=4, in_channels=1, rng=0).to("float64")
    x, target = batch()
    with flow.record(model) as recording:
        cross_entropy(model(x), target).backward()
    expected = [norm(g) for g in by_hand(model, x, target)[1:]]
    np.testing.assert_allclose(recording.gradient_norms(), expected, rtol=1e-12)
    assert recording.blocks == [f"blocks.{i}" for i in range(6)]


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_the_routes_of_each_block_are_those_of_its_vector_jacobian_products(shortcut):
    model = models.resnet(8, width=4, in_channels=1, shortcut=shortcut, rng=0).to("float64")
    x, target = batch()
    with flow.record(model) as recording:
        cross_entropy(model(x), target).backward()
    met = recording.steps[0].routes
    h, states, sums = model.stem(x), [], []
    with tr.Observer():  # so that a block's sum and ReLU are operations of their own
        for block in model.blocks:
            states.append(h)
            sums.append(block.body(h))
            h = tr.relu(sums[-1])
    at_sums = tr.grad(cross_entropy(model.head(h), target), sums)
    assert list(met) == [f"blocks.{k}.body" for k in range(3)]
    for block, state, g, found in zip(model.blocks, states, at_sums, met.values(), strict=True):
        _, branch = tr.vjp(block.body.branch, state.detach(), g)
        skip = g if block.body.shortcut is None else tr.vjp(block.body.shortcut, state.detach(), g)[1]
        cosine = float((skip.numpy() * branch.numpy()).sum()) / (norm(skip) * norm(branch))
        assert found == pytest.approx((norm(skip), norm(branch), 0, cosine), rel=1e-9)
    shares = recording.skip_share()
    assert shares["blocks.0.body"] == pytest.approx(met["blocks.0.body"][0] / sum(met["blocks.0.body"][:2]))


def test_an_identity_shortcut_brings_exactly_the_cotangent_of_the_sum():
    branch = nn.Linear(3, 3, rng=0).to("float64")
    model = nn.Residual(branch)
    x = tr.tensor(np.random.default_rng(0).standard_normal((2, 3)), requires_grad=True)
    g = np.random.default_rng(1).standard_normal((2, 3))
    with flow.record(model, [""]) as recording:
        tr.grad(model(x), x, g)
    assert recording.routes[""]["skip"] == pytest.approx(np.linalg.norm(g), rel=1e-14)
    assert recording.routes[""]["branch"] == pytest.approx(np.linalg.norm(g @ branch.weight.numpy()), rel=1e-14)


def test_a_residual_connection_inside_another():
    inner = nn.Residual(nn.Linear(3, 3, rng=1))
    model = nn.Sequential(nn.Residual(nn.Sequential(nn.Linear(3, 3, rng=0), inner))).to("float64")
    x = tr.tensor(np.random.default_rng(0).standard_normal((2, 3)), requires_grad=True)
    g = np.random.default_rng(1).standard_normal((2, 3))
    with flow.record(model, ["0"]) as recording:
        tr.grad(model(x), x, g)
    a, b = model[0].branch[0].weight.numpy(), inner.branch.weight.numpy()
    through_inner = g @ b + g
    assert recording.routes["0.branch.1"] == {
        "skip": pytest.approx(np.linalg.norm(g)),
        "branch": pytest.approx(np.linalg.norm(g @ b)),
    }
    assert recording.routes["0"] == {
        "skip": pytest.approx(np.linalg.norm(g)),
        "branch": pytest.approx(np.linalg.norm(through_inner @ a)),
    }


def test_a_branch_that_reads_its_input_twice_is_one_route():
    class Both(nn.Module):
        def __init__(self):
            self.a, self.b = nn.Linear(3, 3, rng=0), nn.Linear(3, 3, rng=1)

        def forward(self, x):
            return self.a(x) + self.b(x)

    model = nn.Residual(Both()).to("float64")
    x = tr.tensor(np.random.default_rng(0).standard_normal((2, 3)), requires_grad=True)
    g = np.random.default_rng(1).standard_normal((2, 3))
    with flow.record(model, [""]) as recording:
        tr.grad(model(x), x, g)
    both = g @ (model.branch.a.weight.numpy() + model.branch.b.weight.numpy())
    assert recording.routes[""]["branch"] == pytest.approx(np.linalg.norm(both), rel=1e-14)
    assert recording.routes[""]["skip"] == pytest.approx(np.linalg.norm(g), rel=1e-14)


def test_after_clear_it_starts_afresh():
    model = models.resnet(8, width=4, in_channels=1, rng=0).to("float64")
    x, target = batch()
    with flow.record(model) as recording:
        cross_entropy(model(x), target).backward()
        with pytest.raises(RuntimeError, match="clear\\(\\) would discard the step in progress"):
            recording.clear()
    first = recording.routes
    recording.clear()
    assert recording.routes == {}
    for ask in (recording.gradient_norms, recording.skip_share):
        with pytest.raises(ValueError, match="nothing has been recorded yet"):
            ask()
    with recording:
        cross_entropy(model(x), target).backward()
    assert recording.routes == first
    assert recording.steps[-1].number == 0


def test_a_model_may_be_converted_after_it_was_given_to_the_recorder():
    model = nn.Sequential(nn.Residual(nn.Linear(3, 3, bias=False, rng=0)))
    recording = flow.record(model, ["0"])
    model.to("float64")
    x = tr.tensor(np.ones((2, 3)), requires_grad=True)
    g = np.random.default_rng(1).standard_normal((2, 3))
    with recording:
        tr.grad(model(x), [x, model[0].branch.weight], g)
    assert recording.routes["0"]["branch"] == pytest.approx(np.linalg.norm(g @ model[0].branch.weight.numpy()))


def test_blocks_that_do_not_exist():
    with pytest.raises(ValueError, match=r"record: the model has no blocks called \['nowhere'\]; it has blocks"):
        flow.record(models.plain(8, width=4, in_channels=1, rng=0), ["nowhere"])
    with pytest.raises(ValueError, match="the model has no blocks called"):
        flow.record(nn.Linear(2, 2, rng=0), [])


def test_any_model_can_be_watched():
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 2, rng=1))
    with flow.record(model) as recording:
        model(tr.tensor(np.ones((5, 3), "f"))).sum().backward()
    assert recording.blocks == ["0", "1", "2"]
    assert recording.gradient_norms()[2] == pytest.approx(np.sqrt(10))
    with flow.record(model[0]) as recording:
        model[0](tr.tensor(np.ones((5, 3), "f"))).sum().backward()
    assert recording.gradient_norms()[0] == pytest.approx(np.sqrt(20))


def test_attributes_called_blocks_that_are_no_modules_are_the_models_own():
    class Counted(nn.Module):
        def __init__(self):
            self.blocks = 3
            self.first = nn.Linear(3, 3, rng=0)

    assert flow.record(Counted()).blocks == ["first"]


def test_what_is_no_module_and_what_is_no_list():
    with pytest.raises(TypeError, match=r"record: needs an nn\.Module, got function"):
        flow.record(lambda x: x)
    with pytest.raises(TypeError, match=r"blocks is a list of names, got the string '0'; write \['0'\]"):
        flow.record(nn.Sequential(nn.ReLU()), "0")


def mlp(recorded_passes=1):
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 2, rng=1))
    recording = flow.record(model)
    with recording:
        y = model(tr.tensor(np.ones((5, 3), "f"))).sum()
        for _ in range(recorded_passes):
            y.backward(retain_graph=True)
    return recording


def test_a_model_without_residual_connections_has_no_share():
    recording = mlp()
    with pytest.raises(ValueError, match=r"no residual connection.*; build the blocks with nn.Residual"):
        recording.skip_share()
    assert np.isfinite(recording.gradient_norms()).all()
    assert recording.history()["skip_share"].shape == (1, 0)


def test_a_forward_pass_alone_has_no_gradient_norms():
    recording = mlp(0)
    for ask in (recording.gradient_norms, recording.skip_share):
        with pytest.raises(RuntimeError, match="step 0 had no backward pass"):
            ask()
    assert np.isfinite(recording.history()["forward_norm"]).all()


def test_a_second_backward_pass_in_one_step_is_warned_of():
    with pytest.warns(UserWarning, match="several backward passes reached 0 in step 0; only the last one is kept"):
        mlp(2)


def test_the_share_inside_the_block_is_that_after_it():
    model = models.resnet(8, width=4, in_channels=1, rng=0).to("float64")
    x, target = batch()
    with flow.record(model) as recording:
        cross_entropy(model(x), target).backward()
        inside = recording.skip_share()
    assert dict(inside) == dict(recording.skip_share())
    assert len(inside) == 3


def test_what_is_printed_is_short():
    recording = mlp()
    assert repr(recording).startswith(
        "Recording(Sequential, 3 blocks, 1 of 1 steps recorded; a recorded step takes about"
    )
    printed = repr(recording.history())
    assert printed.startswith("Measurement('record': forward_norm (1, 3), ")
    assert "cost: a recorded step" in printed
    assert "array(" not in printed


def test_a_measurement_goes_into_a_folder_that_exists(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"to_json: there is no folder .*nowhere to write found.json into"):
        mlp().history().to_json(tmp_path / "nowhere" / "found.json")


class Mixed(nn.Module):
    """A net whose residual connections are not all in `blocks`."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(4, 4, rng=0)
        self.tblock = nn.Sequential(nn.Residual(nn.Linear(4, 4, rng=1)))
        self.blocks = nn.Sequential(nn.Residual(nn.Linear(4, 4, rng=2)), nn.Linear(4, 4, rng=3))
        self.head = nn.Linear(4, 2, rng=4)

    def forward(self, x):
        return self.head(self.blocks(self.tblock(self.stem(x))))


def test_no_residual_connection_is_left_out_and_what_is_left_out_is_told():
    recording = flow.record(Mixed())
    assert recording.watched == ["tblock", "blocks.0", "blocks.1"]
    assert "; not recorded: stem, head, which record(model, [names]) takes" in repr(recording)
    assert "not recorded" not in repr(flow.record(Mixed().blocks))
    assert flow.record(Mixed(), ["stem", "head"]).watched == ["stem", "head"]


def test_the_nearest_name_comes_first_and_a_cut_list_says_so():
    with pytest.raises(ValueError, match=r"called \['tblok'\]; it has tblock, .*, …$"):
        flow.record(Mixed(), ["tblok"])
    with pytest.raises(ValueError, match=r"it has 0, 1$"):
        flow.record(nn.Sequential(nn.ReLU(), nn.ReLU()), ["x"])


def test_a_block_that_computes_nothing_is_no_block():
    net = nn.Sequential(nn.Linear(3, 3, rng=0), nn.Identity(), nn.Tanh(), nn.Dropout(0.0), nn.Linear(3, 1, rng=1))
    with flow.record(net) as recording:
        net(np.ones((2, 3), "float32")).sum().backward()
    assert recording.blocks == ["0", "2", "4"]
    assert list(recording.history().labels["block"]) == ["0", "2", "4"]
    net[0].requires_grad_(False)  # it computes, and no gradient is wanted there
    with flow.record(net) as recording:
        net(np.ones((2, 3), "float32")).sum().backward()
    assert recording.blocks == ["0", "2", "4"]
    assert np.isnan(recording.gradient_norms()[0])


def test_a_step_that_is_not_recorded_looks_at_no_module(monkeypatch):
    model, looks = models.resnet(8, width=4, in_channels=1, rng=0), []
    recording, tree = flow.record(model, every=2), nn.Module._tree
    monkeypatch.setattr(nn.Module, "_tree", lambda self, *prefix: looks.append(1) or tree(self, *prefix))
    for step in range(4):
        looks.clear()
        with recording:
            pass
        assert bool(looks) == (step % 2 == 0)
