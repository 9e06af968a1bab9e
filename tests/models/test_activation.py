"""Another activation in a finished model."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn

CONVOLUTIONAL = [
    models.plain, models.resnet, models.preact, models.densenet, models.senet, models.skipinit, models.fixup,
    models.stochastic_depth,
]  # fmt: skip


class Seen(tr.Observer):
    def __init__(self):
        self.names = []

    def on_forward(self, node, value):
        self.names.append(node.name)


def operations(model):
    x = tr.tensor(np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype("f"))
    with Seen() as seen:
        model(x)
    return seen.names


@pytest.mark.parametrize("make", CONVOLUTIONAL)
def test_no_relu_is_left_and_each_place_has_one_of_its_own(make):
    model = make(13 if make is models.densenet else 14, width=4, rng=0).eval()
    keys, parameters, before = list(model.state_dict()), list(model.parameters()), operations(model)
    assert models.swap_activation(model, nn.Tanh) is model
    after = operations(model)
    assert "relu" in before
    assert "tanh" not in before
    assert after == ["tanh" if name == "relu" else name for name in before]
    assert list(model.state_dict()) == keys
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    swapped = [m for m in model.modules() if isinstance(m, nn.Tanh)]
    assert len(swapped) == before.count("relu")
    assert not any(m.training for m in swapped)


def test_the_block_computes_what_it_should():
    model = models.swap_activation(models.resnet(8, width=4, rng=0), lambda: nn.LeakyReLU(0.3))
    block = model.blocks[0]
    x = tr.tensor(np.random.default_rng(0).standard_normal((2, 4, 5, 5)).astype("f"))
    total = x.numpy() + block.body.branch(x).numpy()
    np.testing.assert_allclose(block(x).numpy(), np.where(total > 0, total, 0.3 * total), rtol=1e-5, atol=1e-6)


def test_relu_for_relu_changes_nothing():
    x = tr.tensor(np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype("f"))
    before = models.resnet(8, width=4, rng=0)(x)
    after = models.swap_activation(models.resnet(8, width=4, rng=0), nn.ReLU)(x)
    np.testing.assert_array_equal(before.numpy(), after.numpy())


def test_a_model_without_a_relu_is_refused():
    with pytest.raises(ValueError, match=r"this Sequential contains no nn.ReLU"):
        models.swap_activation(nn.Sequential(nn.Linear(3, 3), nn.Tanh()), nn.GELU)
    twice = models.swap_activation(models.plain(8, width=4, rng=0), nn.Tanh)
    with pytest.raises(ValueError, match="nothing to swap"):
        models.swap_activation(twice, nn.ELU)
