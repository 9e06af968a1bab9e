"""The 6n+2 nets: sizes of the paper, shapes, routes."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import models


def test_plain_and_padded_residual_nets_have_the_same_parameters():
    plain, residual = models.plain(20, rng=0), models.resnet(20, rng=0)
    assert plain.parameter_count() == residual.parameter_count()
    for a, b in zip(plain.parameters(), residual.parameters(), strict=True):  # and the same values, from the same seed
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert models.resnet(20, shortcut="B", rng=0).parameter_count() > residual.parameter_count()


@pytest.mark.parametrize("shortcut", ["A", "B", "C", "conv"])
def test_shortcuts(shortcut):
    model = models.resnet(8, width=4, shortcut=shortcut, rng=0)
    x = np.random.default_rng(0).standard_normal((2, 4, 7, 7)).astype("f")
    change = model.blocks[1].body
    y = change.shortcut(tr.tensor(x))
    assert y.shape == (2, 8, 4, 4)
    if shortcut == "A":
        np.testing.assert_array_equal(y.numpy()[:, :4], x[:, :, ::2, ::2])
        assert not y.numpy()[:, 4:].any()
    else:
        field = (3, 3) if shortcut == "conv" else (1, 1)
        assert change.shortcut[0].weight.shape == (8, 4, *field)
    assert (model.blocks[0].body.shortcut is None) == (shortcut in ("A", "B"))


def test_with_its_branches_at_zero_a_block_is_the_identity():
    model = models.resnet(8, width=4, rng=0)
    block = model.blocks[0]
    block.body.branch[4].weight.data = np.zeros(4, "f")
    x = np.abs(np.random.default_rng(0).standard_normal((2, 4, 5, 5))).astype("f")
    np.testing.assert_array_equal(block(tr.tensor(x)).numpy(), x)
