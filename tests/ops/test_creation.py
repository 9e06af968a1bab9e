"""New tensors as PyTorch's users make them: dtypes, devices, draws, and the seed that decides those."""

import copy
import subprocess
import sys

import numpy as np
import pytest

import tinyres as tr
from tests.device.stand_in import standing_in
from tinyres import nn


# -- creation -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("made", "expected", "dtype"),
    [
        (tr.zeros(2, 3), [[0, 0, 0], [0, 0, 0]], "float32"),
        (tr.ones((2,), dtype=tr.int64), [1, 1], "int64"),
        (tr.zeros(()), 0, "float32"),
        (tr.full((2,), 7), [7, 7], "int64"),
        (tr.full((1, 2), 0.5), [[0.5, 0.5]], "float32"),
        (tr.full((1,), True), [True], "bool"),
        (tr.arange(3), [0, 1, 2], "int64"),
        (tr.arange(1, 2, 0.5), [1, 1.5], "float32"),
        (tr.arange(2, 0, -1, dtype=tr.float64), [2, 1], "float64"),
        (tr.linspace(0, 1, 3), [0, 0.5, 1], "float32"),
        (tr.eye(2, 3), [[1, 0, 0], [0, 1, 0]], "float32"),
        (tr.ones_like(tr.arange(2)), [1, 1], "int64"),
        (tr.zeros_like(np.ones(2)), [0, 0], "float64"),
        (tr.full_like(tr.arange(2), 0.5, dtype=tr.float32), [0.5, 0.5], "float32"),
        (tr.arange(2).new_zeros(1, 2), [[0, 0]], "int64"),
        (tr.ones(2).new_full((1,), 3), [3], "float32"),
        (tr.as_tensor([1.5]), [1.5], "float32"),
        (tr.from_numpy(np.arange(2.0)), [0, 1], "float64"),
    ],
)
def test_new_tensors_have_pytorchs_dtypes(made, expected, dtype):
    assert isinstance(made, tr.Tensor)
    assert made.tolist() == expected
    assert made.dtype == dtype
    assert not made.requires_grad


def test_a_new_tensor_may_require_a_gradient_and_be_anywhere():
    assert tr.randn(2, requires_grad=True).requires_grad
    with pytest.raises(TypeError, match="cannot require a gradient"):
        tr.arange(3, requires_grad=True)
    with standing_in():
        for make in (
            tr.ones(2, device="cuda"),
            tr.rand(2, device=tr.device("cuda:0")),
            tr.tensor([1.0], device="cuda"),
        ):
            assert make.device == "cuda"
            assert tr.zeros_like(make).device == make.new_ones(2).device == "cuda"
            assert tr.randn_like(make, device="cpu").device == "cpu"


def test_draws_lie_where_they_should():
    for draw, low, high in ((tr.rand(4000), 0, 1), (tr.randint(-2, 3, (4000,)), -2, 2), (tr.randint(3, (4000,)), 0, 2)):
        assert low <= draw.amin().item() < draw.amax().item() <= high
    assert set(tr.randint(-2, 3, (4000,)).tolist()) == {-2, -1, 0, 1, 2}
    assert sorted(tr.randperm(50).tolist()) == list(range(50))
    assert abs(tr.randn(20000, dtype=tr.float64).std().item() - 1) < 0.03
    assert tr.rand(3, generator=np.random.default_rng(0)).tolist() == tr.rand(3, generator=0).tolist()


# -- one seed -------------------------------------------------------------------------------------------------------
def drawn():
    dropout = nn.Dropout(0.5)
    return [
        tr.rand(3), tr.randn(3), tr.randint(100, (3,)), tr.randperm(9), nn.Linear(2, 3).weight,
        nn.Embedding(4, 2).weight, nn.LSTMCell(2, 3).weight_ih, dropout(tr.ones(20)), nn.init.normal_(tr.ones(3)),
    ]  # fmt: skip


def test_manual_seed_seeds_what_is_given_no_generator():
    tr.manual_seed(5)
    first = [t.detach().numpy().copy() for t in drawn()]
    other = [t.detach().numpy() for t in drawn()]
    tr.manual_seed(5)
    again = [t.detach().numpy() for t in drawn()]
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


def test_a_module_made_before_the_seed_follows_it_too():
    dropout, x = nn.Dropout(0.5), tr.ones(64)
    tr.manual_seed(1)
    first = dropout(x).numpy()
    tr.manual_seed(1)
    np.testing.assert_array_equal(dropout(x).numpy(), first)
    copy.deepcopy(dropout)(x)


def test_what_has_a_generator_of_its_own_does_not_depend_on_the_seed():
    tr.manual_seed(1)
    state = tr.manual_seed(1).bit_generator.state
    a = nn.Linear(3, 4, rng=7).weight.numpy()
    assert tr.manual_seed(1).bit_generator.state == state
    tr.manual_seed(2)
    np.testing.assert_array_equal(nn.Linear(3, 4, rng=7).weight.numpy(), a)


def test_without_a_seed_two_processes_draw_differently():
    command = [sys.executable, "-c", "import tinyres as tr; print(tr.rand(3).tolist())"]
    assert len({subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)}) == 2


@pytest.mark.parametrize("draw", [tr.rand, tr.randn, lambda n, dtype: tr.rand_like(tr.zeros(n), dtype=dtype)])
def test_fractions_are_not_rounded_to_integers(draw):
    with pytest.raises(TypeError, match=r"draws fractions, so dtype must be a float's, got int64: tr.randint draws"):
        draw(2, dtype=tr.int64)
    assert draw(2, dtype=tr.float16).dtype == np.float16
