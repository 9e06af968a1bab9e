"""How tensors are printed, and `tr.set_printoptions`."""

import pytest

import tinyres as tr


@pytest.fixture(autouse=True)
def as_before():
    yield
    tr.set_printoptions(profile="default")


def test_what_is_set_counts_until_it_is_set_anew():
    x = tr.tensor([1 / 3, 20000.0])
    before = str(x)
    tr.set_printoptions(precision=2, sci_mode=False)
    assert str(x) == "tensor([0.33, 20000.], float32)"
    tr.set_printoptions(sci_mode=True)
    assert str(x) == "tensor([3.33e-01, 2.00e+04], float32)"
    tr.set_printoptions(threshold=3, edgeitems=1)
    assert str(tr.arange(9)) == "tensor([0, ..., 8], int64)"
    tr.set_printoptions(linewidth=20, profile="full")
    assert str(tr.arange(9)).count("\n") == 2
    tr.set_printoptions(profile="default")
    assert str(x) == before


def test_a_profile_that_is_unknown():
    with pytest.raises(ValueError, match="profile must be one of default, short, full, got 'long'"):
        tr.set_printoptions(profile="long")
