"""What changes a parameter: with tr.no_grad(): p.add_(...), p -= step. Nothing else can be written into."""

import copy
import pickle

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.autograd.in_place import CHANGES


def parameter(shape=(2, 3), dtype="float32", seed=0):
    return nn.Parameter(np.random.default_rng(seed).normal(size=shape).astype(dtype))


HOW = {
    "add_": ((2.0,), lambda p: p + 2), "sub_": ((np.ones(3),), lambda p: p - 1), "mul_": ((3,), lambda p: p * 3),
    "div_": ((4,), lambda p: p / 4), "lerp_": ((1.0, 0.25), lambda p: 0.75 * p + 0.25),
    "addcmul_": ((2.0, 3.0), lambda p: p + 6), "addcdiv_": ((3.0, 2.0), lambda p: p + 1.5),
    "clamp_": ((-0.1, 0.2), lambda p: np.clip(p, -0.1, 0.2)), "clip_": ((None, 0.2), lambda p: np.minimum(p, 0.2)),
    "copy_": ((tr.arange(3),), lambda p: np.tile([0, 1, 2], (2, 1))), "fill_": ((7,), lambda p: 0 * p + 7),
    "zero_": ((), lambda p: 0 * p),
}  # fmt: skip


def test_every_one_is_tested():
    assert {*HOW, "normal_", "uniform_"} == set(CHANGES)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", HOW)
def test_what_it_makes_of_a_parameter(name, dtype):
    arguments, expected = HOW[name]
    p = parameter(dtype=dtype)
    before, node = p.numpy().copy(), p.node
    with tr.no_grad():
        assert getattr(p, name)(*arguments) is p
    np.testing.assert_allclose(p.numpy(), expected(before), rtol=1e-6)
    assert (p.dtype, p.node, p.is_leaf) == (dtype, node, True)


def test_a_graph_keeps_what_it_saved():
    p = parameter()
    held, before = p.data, p.numpy().copy()
    loss = (p * p).sum()
    with tr.no_grad():
        p.mul_(10)
        p -= 1
    loss.backward()
    np.testing.assert_array_equal(held, before)
    np.testing.assert_allclose(p.grad.numpy(), 2 * before, rtol=1e-6)
    np.testing.assert_allclose(p.numpy(), 10 * before - 1, rtol=1e-6)


def test_a_step_by_hand_is_that_of_sgd():
    by_hand, plain = nn.Linear(3, 2, rng=0), nn.Linear(3, 2, rng=0)
    optimizer = tr.optim.SGD(plain.parameters(), lr=0.1)
    x = tr.tensor(np.random.default_rng(0).normal(size=(4, 3)).astype("float32"))
    for _ in range(3):
        for net in (by_hand, plain):
            net.zero_grad()
            (net(x) ** 2).sum().backward()
        optimizer.step()
        with tr.no_grad():
            by_hand.weight -= 0.1 * by_hand.weight.grad
            by_hand.bias.add_(by_hand.bias.grad, alpha=-0.1)
    assert isinstance(by_hand.weight, nn.Parameter)
    for mine, theirs in zip(by_hand.parameters(), plain.parameters(), strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-5)


def test_a_frozen_copy_follows_by_its_mean():
    model = nn.Linear(3, 2, rng=0)
    mean = copy.deepcopy(model)
    mean.requires_grad_(False)
    start = mean.weight.numpy().copy()
    with tr.no_grad():
        model.weight.fill_(1.0)
        for m, p in zip(mean.parameters(), model.parameters(), strict=True):
            m.mul_(0.9).add_(p, alpha=0.1)
    np.testing.assert_allclose(mean.weight.numpy(), 0.9 * start + 0.1, rtol=1e-6)


def test_draws_come_from_the_seed_and_have_their_moments():
    p, q = parameter((200, 300)), parameter((200, 300))
    with tr.no_grad():
        tr.manual_seed(3)
        p.normal_(1.0, 0.5)
        tr.manual_seed(3)
        q.normal_(1.0, 0.5)
        np.testing.assert_array_equal(p.numpy(), q.numpy())
        assert (p.mean().item(), p.std().item()) == (pytest.approx(1, abs=0.01), pytest.approx(0.5, abs=0.01))
        p.uniform_(-2, 4, generator=np.random.default_rng(0))
    assert (p.min().item(), p.max().item()) == (pytest.approx(-2, abs=0.01), pytest.approx(4, abs=0.01))
    assert p.mean().item() == pytest.approx(1, abs=0.03)


def test_the_layout_of_an_image_s_weights_stays():
    p = nn.Conv2d(4, 6, 3, rng=0).weight
    strides = p.data.strides
    with tr.no_grad():
        p.copy_(np.zeros((6, 4, 3, 3)))
        p.normal_()
    assert p.data.strides == strides


def test_where_operations_are_recorded_it_is_refused_with_the_mend():
    p = parameter()
    with pytest.raises(RuntimeError, match=r"add_: .* write `with tr.no_grad\(\):` around it"):
        p.add_(1)
    with pytest.raises(TypeError, match=r"do it inside `with tr.no_grad\(\):`"):
        p -= 1


def test_nothing_but_a_parameter_or_a_buffer_is_changed():
    """A view, a result, a gradient: what would change could not be told."""
    p = parameter()
    (p * 2).sum().backward()
    with tr.no_grad():
        for other in (p[0], p * 1, p.detach(), tr.ones(3)):
            assert not hasattr(other, "fill_")
            with pytest.raises(AttributeError, match="a tensor is a value"):
                other.fill_(1)
        with pytest.raises(AttributeError, match=r"write p\.grad = None"):
            p.grad.zero_()
    result = p * 2
    assert not hasattr(result, "add_")


def test_a_parameter_keeps_its_shape():
    with tr.no_grad(), pytest.raises(ValueError, match=r"add_: the result has shape \(4, 2, 3\).* its own, \(2, 3\)"):
        parameter().add_(np.ones((4, 1, 1)))


class Counting(nn.Module):
    """A module with buffers, one of them assigned anew in each forward pass."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", tr.zeros(2, 3))
        self.register_buffer("steps", tr.tensor(0))
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.detach()
        return self.norm(x)


def pickled(model):
    return pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("through", [copy.deepcopy, pickled, lambda model: model])
def test_a_mean_of_a_model_copies_its_buffers(through):
    model = Counting()
    mean = through(Counting())
    for _ in range(2):
        model(tr.randn(2, 3))
        mean(tr.randn(2, 3))
    mean.double().float()
    held = mean.mean.detach()
    before = held.numpy().copy()
    with tr.no_grad():
        for e, b in zip(mean.buffers(), model.buffers(), strict=True):
            e.copy_(b)
    assert [b.tolist() for b in mean.buffers()] == [b.tolist() for b in model.buffers()]
    np.testing.assert_array_equal(held.numpy(), before, err_msg="what was made before keeps its values")


def test_a_buffer_changes_without_no_grad_as_in_pytorch_where_no_gradient_would_be_lost():
    model = Counting()
    model.steps += 1
    model.mean.mul_(0.5).add_(tr.ones(3))
    buffer = model.mean
    buffer += 1
    model.steps.add_(2)
    assert (model.mean.tolist(), model.steps.item(), model.steps.dtype) == ([[2.0] * 3] * 2, 3, "int64")
    weight = parameter()
    with pytest.raises(RuntimeError, match=r"add_: .* write `with tr.no_grad\(\):` around it"):
        model.mean.add_(weight)
    with pytest.raises(TypeError, match=r"mul_: the result is float64, and the buffer holds int64"):
        model.steps.mul_(0.5)


PLACES = {
    "a column": lambda p: (p, (slice(None), 1), 2.0), "rows of another": lambda p: (p, slice(1, None), np.ones(3)),
    "an entry": lambda p: (p, (0, -1), 5), "a mask": lambda p: (p, p > 0, 0.0),
    "by a tensor": lambda p: (p, (tr.tensor([1, 0]), tr.tensor(2)), tr.tensor([3.0, 4.0])),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_part_is_assigned(place):
    p = parameter()
    held, loss = p.data, (p * p).sum()
    before, expected = p.numpy().copy(), p.numpy().copy()
    of, key, value = PLACES[place](p)
    plain = tuple(map(np.asarray, key)) if place == "by a tensor" else key
    expected[plain.numpy() if isinstance(plain, tr.Tensor) else plain] = np.asarray(value)
    with tr.no_grad():
        of[key] = value
    np.testing.assert_array_equal(p.numpy(), expected)
    loss.backward()
    np.testing.assert_array_equal(held, before)
    np.testing.assert_allclose(p.grad.numpy(), 2 * before, rtol=1e-6)


def test_a_part_is_changed_by_an_operator_and_refused_where_it_is_recorded_or_does_not_fit():
    p = parameter()
    expected = p.numpy()[1] * 2
    with tr.no_grad():
        p[1] *= 2
        np.testing.assert_array_equal(p.numpy()[1], expected)
        with pytest.raises(ValueError, match=r"p\[...\] = x: .*; p has shape \(2, 3\), x \(4,\)"):
            p[0] = np.ones(4)
        with pytest.raises(TypeError, match=r"a tensor is a value .* w\[0\] = 1 inside"):
            p[0][1] = 2.0
        with pytest.raises(ValueError, match="shows a part of another"):
            nn.init.zeros_(p[0])
        with pytest.raises(AttributeError, match=r"a part of them is assigned there, w\[:, 1\] = 2.0"):
            p[:, 1].fill_(2.0)
    with pytest.raises(RuntimeError, match=r"write `with tr.no_grad\(\):` around it"):
        p[0] = 1.0
    assert nn.init.ones_(tr.empty(2, 3)).sum().item() == 6


@pytest.mark.parity
def test_they_are_pytorchs():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 4, 5))
    for name in CHANGES:
        if name in ("normal_", "uniform_"):
            continue
        ours, theirs = tr.tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
        given = {"clamp_": (-0.3, 0.4), "clip_": (-0.3, 0.4), "fill_": (2.5,), "zero_": (), "lerp_": (b, 0.3)}
        arguments = given.get(name, (b, c) if name.startswith("addc") else (b,))
        scale = {"add_": {"alpha": -2}, "sub_": {"alpha": 3}, "addcmul_": {"value": 2}, "addcdiv_": {"value": -1}}
        of = lambda make, given=arguments: [make(x) if isinstance(x, np.ndarray) else x for x in given]
        with tr.no_grad(), torch.no_grad():
            getattr(ours, name)(*of(tr.tensor), **scale.get(name, {}))
            getattr(theirs, name)(*of(torch.tensor), **scale.get(name, {}))
        np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=1e-12, err_msg=name)
