"""The 6n+2 nets: sizes of the paper, shapes, routes."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_parameter_counts_of_table_6(depth, millions):
    count = models.resnet(depth, rng=0).parameter_count() / 1e6
    assert round(count, 2 if millions < 1 else 1) == millions


def test_plain_and_padded_residual_nets_have_the_same_parameters():
    plain, residual = models.plain(20, rng=0), models.resnet(20, rng=0)
    assert plain.parameter_count() == residual.parameter_count()
    for a, b in zip(plain.parameters(), residual.parameters(), strict=True):  # and the same values, from the same seed
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert models.resnet(20, shortcut="B", rng=0).parameter_count() > residual.parameter_count()


@pytest.mark.parametrize("make", [models.plain, models.resnet])
@pytest.mark.parametrize("size", [8, 28, 32])
def test_logits(make, size):
    model = make(8, width=4, in_channels=1, rng=0)
    x = tr.tensor(np.random.default_rng(0).standard_normal((2, 1, size, size)).astype("f"))
    assert model(x).shape == (2, 10)
    assert sum(isinstance(m, nn.Residual) for m in model.modules()) == (3 if make is models.resnet else 0)


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


def test_depths_that_do_not_exist():
    with pytest.raises(ValueError, match=r"6 n \+ 2 with n >= 1 \(8, 14, 20, ...\), got 18; 20 is nearest"):
        models.plain(18)
    for depth in (0, 2, -4):
        with pytest.raises(ValueError, match=f"got {depth}; 8 is nearest"):
            models.resnet(depth)
    with pytest.raises(ValueError, match=r"shortcut must be 'A'.*got 'D'"):
        models.resnet(20, shortcut="D")


def test_the_same_seed_gives_the_same_net():
    a, b, c = models.resnet(8, rng=3), models.resnet(8, rng=3), models.resnet(8, rng=4)
    assert all((p.numpy() == q.numpy()).all() for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not all((p.numpy() == q.numpy()).all() for p, q in zip(a.parameters(), c.parameters(), strict=True))
