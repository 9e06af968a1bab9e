"""The small convolutional net: sizes, dropout, what it refuses."""

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.models.cnn import cnn


def images(size, n=2):
    return tr.tensor(np.random.default_rng(0).standard_normal((n, 1, size, size)).astype("f"))


def test_dropout_draws_in_training_only():
    model, x = cnn(width=4, in_channels=1, rng=0), images(8)
    assert (model(x).numpy() != model(x).numpy()).any()
    model.eval()
    np.testing.assert_array_equal(model(x).numpy(), model(x).numpy())
    model = cnn(width=4, in_channels=1, dropout=0.0, rng=0)
    np.testing.assert_array_equal(model(x).numpy(), model.eval()(x).numpy())
    assert sum(isinstance(m, nn.Dropout) for m in model.modules()) == 1
