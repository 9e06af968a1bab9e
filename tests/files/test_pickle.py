"""Leaves, modules and optimisers in pickles, as joblib and multiprocessing send them: by value."""

import copy
import pickle
from multiprocessing import get_context

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn, optim

again = pytest.mark.parametrize(
    "again", [*[lambda x, p=p: pickle.loads(pickle.dumps(x, p)) for p in (2, 3, 4, 5)], copy.copy, copy.deepcopy],
    ids=["pickle 2", "pickle 3", "pickle 4", "pickle 5", "copy", "deepcopy"],
)  # fmt: skip


def draws(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("f")


@again
@pytest.mark.parametrize("kind", [tr.Tensor, nn.Parameter])
@pytest.mark.parametrize("array", [draws(2, 3), draws(4, 5, 3, 3).transpose(3, 2, 0, 1), draws()])
def test_a_leaf(array, kind, again):
    leaf = kind(array, requires_grad=True)
    (leaf * 2.0).sum().backward()
    made = again(leaf)
    np.testing.assert_array_equal(made.detach().numpy(), array)
    assert (type(made), made.dtype, made.requires_grad, made.grad) == (kind, array.dtype, True, None)
    assert made.data.strides == leaf.data.strides  # an image's or a kernel's memory is in another order than its shape
    (made * 3.0).sum().backward()  # a leaf of its own: the original's gradient stays
    np.testing.assert_array_equal(leaf.grad.numpy(), np.full_like(array, 2))
    np.testing.assert_array_equal(made.grad.numpy(), np.full_like(array, 3))


@again
def test_one_that_wants_no_gradient(again):
    assert not again(nn.Parameter([1.0], requires_grad=False)).requires_grad
    assert again(tr.tensor(np.array([1, 2]))).dtype == np.int64


def test_what_was_computed_says_what_to_do():
    y = tr.tensor([1.0], requires_grad=True) * 2
    for computed in (y, {"loss": y}):
        with pytest.raises(RuntimeError, match=r"pickle: only leaves.*\.detach\(\)"):
            pickle.dumps(computed)
    assert pickle.loads(pickle.dumps(y.detach())).tolist() == [2.0]


class Named(nn.Parameter):
    """One with an attribute of its own."""


def test_a_subclass_keeps_its_attributes():
    named = Named([1.0])
    named.unit = "mm"
    assert pickle.loads(pickle.dumps(named)).unit == "mm"


class Own(nn.Module):
    """One of the user's, with all that a module may hold."""

    def __init__(self):
        self.conv = nn.Conv2d(1, 3, 3, rng=0)
        self.norm = nn.BatchNorm2d(3)
        self.drop = nn.Dropout(0.5, rng=1)
        self.tied = self.conv.weight
        self.activation = tr.relu
        self.register_buffer("seen", tr.tensor([0.0]))

    def forward(self, x):
        return self.drop(self.activation(self.norm(self.conv(x)))).mean((2, 3)) + self.seen


def test_a_module_of_ones_own():
    model = Own()
    made = pickle.loads(pickle.dumps(model))
    assert made.tied is made.conv.weight  # what was one parameter stays one
    assert (list(made.state_dict()), made._buffers) == (list(model.state_dict()), model._buffers)
    x = tr.tensor(draws(2, 1, 5, 5))
    np.testing.assert_array_equal(made(x).detach().numpy(), model(x).detach().numpy())  # the generator's state, too
    assert made.norm.num_batches_tracked.item() == 1
    made.norm.weight.data = np.zeros(3, "f")
    assert model.norm.weight.data.all()


def _models():
    """One of each family, as small as it goes."""
    yield from (models.plain(8, rng=0), models.resnet(8, rng=0), models.preact(8, rng=0), models.highway(10, rng=0))
    yield from (models.densenet(10, rng=0), models.senet(8, rng=0), models.skipinit(8, rng=0), models.fixup(8, rng=0))
    yield from (models.stochastic_depth(8, rng=0), models.cnn(rng=0), models.mlp(3, rng=0), models.dncnn(3, rng=0))
    yield from (models.mlp_generator(rng=0), models.mlp_discriminator(rng=0))
    yield from (models.dcgan.generator(rng=0), models.resgan.discriminator(rng=0))
    yield nn.spectral_norm(nn.Conv2d(2, 3, 3, rng=0), rng=1)
    yield from (nn.RNNCell(2, 3, nonlinearity="linear", rng=0), nn.LSTMCell(2, 3, rng=0))


def test_models_of_all_families():
    for model in _models():
        made = pickle.loads(pickle.dumps(model))
        for (key, value), (other, expected) in zip(made.state_dict().items(), model.state_dict().items(), strict=True):
            assert key == other
            np.testing.assert_array_equal(value.numpy(), expected.numpy())
        assert repr(made) == repr(model)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop])
def test_training_goes_on_with_the_same_bits(kind):
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.Flatten(), nn.Linear(18, 2, rng=1))
    optimizer = kind(model.parameters(), lr=0.01)

    def train(model, optimizer):
        for k in range(2):
            optimizer.zero_grad()
            (model(tr.tensor(draws(3, 1, 5, 5, seed=k))) ** 2).mean().backward()
            optimizer.step()

    train(model, optimizer)
    made, its_own = pickle.loads(pickle.dumps((model, optimizer)))
    assert all(p is q for p, q in zip(its_own.params, made.parameters(), strict=True))
    train(model, optimizer)
    train(made, its_own)
    for p, q in zip(made.parameters(), model.parameters(), strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())


def _norm(model, seed):
    """What a worker computes of a model that it was sent, and what it sends back."""
    x = tr.tensor(draws(2, 3, seed=seed))
    (model(x) ** 2).sum().backward()
    return model, float(model.weight.grad.numpy().sum())


def test_a_pool_of_processes():
    model = nn.Linear(3, 2, rng=0)
    with get_context("spawn").Pool(1) as pool:
        back, value = pool.apply_async(_norm, (model, 5)).get(timeout=120)
    np.testing.assert_array_equal(back.weight.detach().numpy(), model.weight.detach().numpy())
    assert value == _norm(model, 5)[1]
