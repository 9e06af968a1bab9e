"""What PyTorch's users write: dtypes, methods, choices, and names that are left out on purpose."""

import subprocess
import sys

import numpy as np
import pytest

import tinyres as tr
from tests.device.stand_in import standing_in
from tinyres import linalg, nn
from tinyres.autograd import operators


# -- dtypes, devices, methods ---------------------------------------------------------------------------------------
def test_dtypes_have_pytorchs_names():
    assert (tr.float32, tr.float, tr.double, tr.long, tr.int, tr.half) == (
        np.float32, np.float32, np.float64, np.int64, np.int32, np.float16,
    )  # fmt: skip
    assert tr.bool == np.bool_
    x = tr.tensor([1.0], dtype=tr.float64, requires_grad=True)
    assert isinstance(x.dtype, tr.dtype)
    assert tr.where(x > 0, 1.0, 0.0).dtype == tr.float32
    assert tr.where(x > 0, x, 0.0).dtype == tr.float64
    assert x.float().dtype == tr.float32
    assert x.double() is x
    assert not x.long().requires_grad
    assert tr.grad(x.float().sum(), x)[0].dtype == tr.float64


def test_to_takes_a_device_a_dtype_or_a_tensor():
    x = tr.ones(2)
    assert x.to("cpu") is x.to(tr.float32) is x.cpu() is x.contiguous() is x
    assert (
        x.to(tr.int64).dtype
        == x.to(dtype="int64").dtype
        == x.to("cpu", tr.int64).dtype
        == x.type_as(tr.arange(1)).dtype
    )
    with standing_in():
        moved = x.to(tr.device("cuda"), tr.float64)
        assert (moved.device, moved.device.type, moved.dtype) == ("cuda", "cuda", np.float64)
        assert x.to(moved).device == x.cuda().device == "cuda"
    assert tr.cuda.is_available() in (True, False)


def test_size_is_a_number_and_a_function():
    x = tr.ones(2, 3)
    assert x.size == x.numel() == tr.numel(x) == 6
    assert x.size() == x.shape == (2, 3)
    assert (x.size(0), x.size(-1), x.size(dim=1), x.dim()) == (2, 3, 3, 2)


def test_every_method_of_the_tables_is_a_function_and_says_which():
    for name in operators.METHODS:
        assert name in operators.FUNCTIONS
        assert f"tinyres.{name}" in getattr(tr.Tensor, name).__doc__
    for name, function in operators.RENAMED.items():
        assert function in operators.FUNCTIONS
        assert getattr(tr.Tensor, name).__name__ == name


def test_operators_of_bits_and_of_whole_division():
    x, mask = tr.tensor([-7.0, 7.0]), tr.tensor([True, False])
    assert (x // 2).tolist() == [-4, 3]
    assert (7 // x).tolist() == [-1, 1]
    assert (x % 4).tolist() == [1, 3]
    assert (5 % x).tolist() == [-2, 5]
    assert (~mask).tolist() == [False, True]
    assert (mask & True).tolist() == (True & mask).tolist() == [True, False]
    assert (mask | ~mask).tolist() == (mask ^ ~mask).tolist() == [True, True]
    assert (tr.arange(4) ^ 1).tolist() == (1 ^ tr.arange(4)).tolist() == [1, 0, 3, 2]


def test_a_clone_is_another_tensor_on_the_tape():
    x = tr.ones(2, requires_grad=True)
    y = tr.clone(x.clone())
    assert y is not x
    assert tr.grad((y * y).sum(), x)[0].tolist() == [2, 2]


# -- choices --------------------------------------------------------------------------------------------------------
def test_an_extreme_over_a_dim_comes_with_its_index_and_over_an_axis_alone():
    x = tr.tensor([[1.0, 3.0, 3.0], [2.0, 0.0, 2.0]], requires_grad=True)
    values, indices = x.max(dim=1)
    assert (values.tolist(), indices.tolist()) == ([3, 2], [1, 0])
    assert tr.grad(values.sum(), x)[0].tolist() == [[0, 1, 0], [1, 0, 0]]
    assert tr.grad(x.max(axis=1).sum(), x)[0].tolist() == tr.grad(x.amax(1).sum(), x)[0].tolist() == [
        [0, 0.5, 0.5], [0.5, 0, 0.5],
    ]  # fmt: skip
    assert x.min(0, keepdim=True).indices.tolist() == [[0, 1, 1]]
    assert tr.max(x, x * 2).tolist() == [[2, 6, 6], [4, 0, 4]]
    with pytest.raises(TypeError, match="two names of one argument"):
        x.max(1, axis=1)


def test_sorting_keeps_the_order_of_equal_elements_both_ways_and_puts_nan_last():
    x = tr.tensor([2.0, np.nan, 1.0, 2.0])
    assert tr.argsort(x).tolist() == [2, 0, 3, 1]
    assert tr.argsort(x, descending=True).tolist() == [1, 0, 3, 2]
    assert tr.topk(x, 2, largest=False).indices.tolist() == [2, 0]
    with pytest.raises(ValueError, match=r"k=5 must be in \[0, 4\]"):
        tr.topk(x, 5)


def test_products_and_norms_at_zeros():
    x = tr.tensor([2.0, 0.0, 3.0, 0.0], dtype=tr.float64, requires_grad=True)
    (g,) = tr.grad(x[:3].prod(), x, create_graph=True)
    assert g.tolist() == [0, 6, 0, 0]
    assert tr.grad(g[1], x)[0].tolist() == [3, 0, 2, 0]
    assert tr.grad(tr.cumprod(x, 0).sum(), x)[0].tolist() == [1, 8, 0, 0]
    zero = tr.zeros(3, requires_grad=True)
    for p in (1, 2, 3, 0.5, np.inf, "fro"):
        assert tr.grad(tr.norm(zero, p), zero, allow_unused=True)[0].tolist() == [0, 0, 0]
    assert tr.grad(tr.std(zero), zero)[0].tolist() == [0, 0, 0]


def test_the_gradient_of_a_singular_determinant_is_its_cofactors():
    x = tr.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=tr.float64, requires_grad=True)
    np.testing.assert_allclose(tr.grad(linalg.det(x), x)[0].numpy(), [[4, -2], [-2, 1]], atol=1e-12)
    with pytest.raises(ValueError, match=r"inv\(.*[Ss]ingular"):
        linalg.inv(x)


def test_equal_eigenvalues_contribute_nothing_between_them():
    x = tr.tensor(np.eye(3), requires_grad=True)
    for f in (linalg.eigvalsh, linalg.svdvals):
        np.testing.assert_allclose(tr.grad((f(x) ** 2).sum(), x)[0].numpy(), 2 * np.eye(3), atol=1e-12)


def test_a_vector_with_nothing_in_it_joins_anything():
    assert tr.cat([tr.tensor([]), tr.ones(2, 2)], dim=1).shape == (2, 2)
    assert tr.stack([tr.ones(2)] * 3, dim=1).shape == (2, 3)


def test_scatter_takes_the_last_of_several():
    x = tr.zeros(3)
    assert tr.scatter(x, 0, tr.tensor([1, 1]), tr.tensor([4.0, 5.0])).tolist() == [0, 5, 0]
    assert tr.scatter(x, 0, tr.tensor([1, 1]), tr.tensor([4.0, 5.0]), reduce="add").tolist() == [0, 9, 0]
    with pytest.raises(ValueError, match="reduce is None or 'add'"):
        tr.scatter(x, 0, tr.tensor([1]), 2.0, reduce="multiply")


def test_trace_of_a_matrix_is_a_number_and_of_a_function_a_recording():
    x = tr.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert tr.trace(x).item() == x.trace().item() == 5
    assert len(tr.trace(lambda: (x * x).sum())) > 3
    assert len(tr.trace((x * x).sum())) > 3


# -- what is left out -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("get", "said"),
    [
        (lambda: tr.fft, "'tinyres' has no attribute 'fft': .*complex"), (lambda: tr.complex64, "complex numbers"),
        (lambda: tr.sparse, "index a dense one"), (lambda: nn.Conv3d, "'tinyres.nn'.*use the 2d layer"),
        (lambda: nn.TransformerDecoder, "TransformerEncoderLayer"), (lambda: tr.add_, "not written into"),
        (lambda: tr.ones(2).add_(1), "a tensor is a value"), (lambda: tr.nonsense, "has no attribute 'nonsense'$"),
        (lambda: tr.ones(2).nonsense, "nonsense"), (lambda: nn.Nonsense, "has no attribute 'Nonsense'$"),
    ],
)  # fmt: skip
def test_a_name_that_is_out_says_so(get, said):
    with pytest.raises(AttributeError, match=said):
        get()


def test_rooms_are_there_without_an_import_of_their_own():
    command = "import tinyres as torch; torch.linalg.inv; torch.nn.Linear; torch.optim.SGD; torch.nn.init"
    subprocess.run([sys.executable, "-c", command], check=True)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: tr.mm(x[0], x), "mm: needs 2 and 2 axes"),
        (lambda x: tr.outer(x, x), "outer: needs two vectors"),
        (lambda x: tr.chunk(x, 0), "chunk: .* positive"),
        (lambda x: tr.repeat(x, 2), "repeat: needs a number for each"),
        (lambda x: tr.roll(x, (1, 2), (0,)), "roll: 2 shifts for 1 axes"),
        (lambda x: tr.tril(x[0]), "tril and triu"),
        (lambda x: tr.diag(x[None]), "diag: needs a vector or a matrix"),
        (lambda x: x[0].trace(), "trace: needs a matrix"),
        (lambda x: tr.gather(x, 0, np.array([1])), "gather: the index needs 2 axes"),
        (lambda x: x[None].t(), "t: needs at"),
        (lambda x: tr.div(x, 2, rounding_mode="up"), "rounding_mode is None"),
        (lambda x: tr.norm(x, "two"), "norm: p is"),
        (lambda x: linalg.inv(x), "inv: needs square matrices"),
        (lambda x: linalg.qr(x, "full"), "qr: mode is"),
        (lambda x: linalg.eigh(x @ x.T, "l"), "UPLO"),
        (lambda x: linalg.matrix_norm(x, 3), "matrix_norm: ord is"),
        (lambda x: tr.norm(x[None], "nuc"), "needs dim="),
        (lambda x: linalg.norm(x[None], 2), "one axis or of two"),
    ],
)
def test_errors_say_what_is_wrong(call, said):
    with pytest.raises((TypeError, ValueError), match=said):
        call(tr.ones(2, 3))


# -- counting, and constants ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("minlength", [0, 3, 7])
@pytest.mark.parametrize("values", [[], [0], [3, 1, 3, 0, 3]])
def test_bincount_counts_as_numpys(values, minlength):
    index = np.array(values, np.int64)
    weights = np.linspace(1, 2, len(values))
    for given in (index, index.astype(np.uint8)):
        counted = tr.bincount(tr.tensor(given), minlength=minlength)
        assert counted.dtype == np.int64
        np.testing.assert_array_equal(counted.numpy(), np.bincount(index, minlength=minlength))
    assert isinstance(tr.bincount(index), np.ndarray)
    summed = tr.tensor(index).bincount(tr.tensor(weights), minlength)
    np.testing.assert_allclose(summed.numpy(), np.bincount(index, weights, minlength))


def test_bincount_passes_gradients_to_its_weights():
    index = tr.tensor([2, 0, 2])
    tr.gradcheck(lambda w: tr.bincount(index, w) ** 2, np.array([0.5, -1.0, 2.0]), order=2)


@pytest.mark.parametrize("given", [[[1, 2]], [1.0], [-1]])
def test_bincount_refuses_what_it_cannot_count(given):
    with pytest.raises(ValueError, match="bincount: needs a vector of integers from 0 on"):
        tr.bincount(tr.tensor(given))


def test_constants_have_pytorchs_names():
    assert (tr.pi, tr.e, tr.inf) == (np.pi, np.e, np.inf)
    assert tr.nan != tr.nan


@pytest.mark.parametrize("values", [0.0, 2.0, [], [0, 3, 0, 1], [[True, False], [False, True]], np.zeros((2, 0, 3))])
def test_nonzero_finds_the_places_of_elements(values):
    x = tr.tensor(values)
    rows = x.nonzero()
    assert rows.dtype == np.int64
    np.testing.assert_array_equal(rows.numpy(), np.argwhere(np.asarray(values)))
    columns = tr.nonzero(x, as_tuple=True)
    assert len(columns) == max(x.ndim, 1)
    if x.ndim:
        np.testing.assert_array_equal(x[columns].numpy(), x.numpy()[x.numpy() != 0])
    assert isinstance(tr.nonzero(x.numpy()), np.ndarray)


@pytest.mark.parametrize("of", [lambda w, v: v[0, 0] ** 2, lambda w, v: w[0] * v[1, 2], lambda w, v: (w**3).sum()])
def test_the_gradient_of_a_symmetric_matrix_is_symmetric(of):
    """So that a step along it leaves the matrix one; half of the difference of both triangles is what moves it."""
    rng = np.random.default_rng(0)
    x, step = (m + m.T for m in rng.standard_normal((2, 3, 3)))
    a = tr.tensor(x, requires_grad=True)
    (g,) = tr.grad(of(*tr.linalg.eigh(a)), a, create_graph=True)
    np.testing.assert_allclose(g.numpy(), g.numpy().T, rtol=1e-12, atol=1e-14)
    up, down = (of(*tr.linalg.eigh(tr.tensor(x + h * step))).item() for h in (1e-6, -1e-6))
    np.testing.assert_allclose((g.numpy() * step).sum(), (up - down) / 2e-6, rtol=1e-6, atol=1e-8)
    (again,) = tr.grad(g[0, 1], a)
    np.testing.assert_allclose(again.numpy(), again.numpy().T, rtol=1e-10, atol=1e-12)
