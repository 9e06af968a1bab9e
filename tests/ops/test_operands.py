"""What stands where a tensor should: lists, other libraries' tensors, strings, wrong ranks: a result, or a sentence."""

import datetime

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn


class Foreign:
    """A tensor of a library that nobody has: it speaks DLPack, and refuses while it requires a gradient."""

    def __init__(self, array, requires_grad=False):
        self.array, self.requires_grad = np.asarray(array), requires_grad

    def __dlpack__(self, **how):
        if self.requires_grad:
            raise BufferError("it requires a gradient; use .detach()")
        return self.array.__dlpack__(**how)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def detach(self):
        return Foreign(self.array)

    @property
    def shape(self):
        return self.array.shape

    @property
    def ndim(self):
        return self.array.ndim

    @property
    def dtype(self):
        return "foreign.float32"

    def size(self, axis=None):  # a method, as PyTorch's
        return self.array.shape


A = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "f")


def leaf():
    return tr.tensor(A, requires_grad=True)


BESIDE_A_TENSOR = {
    "x * t": lambda x, t: x * t,
    "t * x": lambda x, t: t * x if isinstance(t, np.ndarray) else x.__rmul__(t),
    "x - t": lambda x, t: x - t,
    "maximum": lambda x, t: tr.maximum(x, t),
    "where": lambda x, t: tr.where(x > 2, x, t),
    "x @ t": lambda x, t: x @ t,
    "concatenate": lambda x, t: tr.concatenate([x, t]),
    "mse_loss": lambda x, t: tr.mse_loss(x, t),
    "linear": lambda x, t: nn.Linear(3, 2, rng=0)(t),
    "data": lambda x, t: _with_data(x, t),
    "tensor": lambda x, t: tr.tensor(t),
}


def _with_data(x, t):
    x.data = t
    return x


@pytest.mark.parametrize("name", BESIDE_A_TENSOR)
def test_another_librarys_tensor_is_an_array(name):
    t = A[:, ::-1].T.copy() if name == "x @ t" else A[:, ::-1].copy()
    function = BESIDE_A_TENSOR[name]
    y, expected = function(leaf(), Foreign(t)), function(leaf(), t)
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y.detach().numpy(), expected.detach().numpy())


def test_its_memory_is_not_shared():
    t, x = Foreign(A.copy()), leaf()
    y, made = (x * t).sum(), tr.tensor(t)
    x.data = t
    t.array[:] = 0
    np.testing.assert_array_equal(tr.grad(y, x)[0].numpy(), A)
    np.testing.assert_array_equal(made.numpy(), A)
    np.testing.assert_array_equal(x.detach().numpy(), A)


def test_labels_and_indices_of_another_library():
    x, rows = leaf(), np.array([1, 0])
    np.testing.assert_array_equal(x[Foreign(rows)].detach().numpy(), A[rows])
    assert tr.cross_entropy(x, Foreign(rows)).item() == tr.cross_entropy(x, rows).item()
    np.testing.assert_array_equal(nn.Embedding(2, 3, rng=0)(Foreign(rows)).shape, (2, 3))


def test_one_that_requires_a_gradient():
    t = Foreign(A, requires_grad=True)
    with pytest.raises(
        TypeError, match=r"mul: an operand is a .*Foreign that cannot be read through DLPack: .*\.detach\(\)"
    ):
        leaf() * t
    np.testing.assert_array_equal(tr.tensor(t).numpy(), A)  # only its values are taken


def test_a_state_dict_of_parameters_that_require_gradients(tmp_path):
    state = {"weight": Foreign(A[:, :2].T, True), "bias": Foreign(np.zeros(2, "f"), True)}
    layer = nn.Linear(3, 2, rng=0)
    state["weight"] = Foreign(A, True)
    layer.load_state_dict(state)
    np.testing.assert_array_equal(layer.weight.detach().numpy(), A)
    tr.save(state, tmp_path / "state.safetensors")
    np.testing.assert_array_equal(tr.load(tmp_path / "state.safetensors")["weight"], A)


STRANGE = {
    "softmax": (lambda t: tr.softmax(t), "softmax"),
    "sum": (lambda t: tr.sum(t), "sum"),
    "cross_entropy": (lambda t: tr.cross_entropy(t, [0, 1]), "cross_entropy"),
    "batch norm": (lambda t: nn.BatchNorm1d(3)(t), r"BatchNorm1d\(3,.*\)"),
    "layer norm": (lambda t: nn.LayerNorm(3)(t), r"LayerNorm\(.*\)"),
    "dropout": (lambda t: nn.Dropout(0.5, rng=0)(t), r"Dropout\(p=0.5\)"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_where_no_tensor_is_beside_it_the_sentence_has_the_mend(name):
    call, says = STRANGE[name]
    with pytest.raises(
        TypeError, match=rf"^{says}: got a .*Foreign; pass tr.tensor\(t\), which copies it, or tr.from_dlpack"
    ):
        call(Foreign(A))
    with pytest.raises(TypeError, match=rf"^{says}: needs a tensor or an array, got list; make it one with tr.tensor"):
        call(A.tolist())


def test_none_and_functions_without_a_tensor():
    for call in (lambda: tr.softmax(None), lambda: tr.stack([[1.0], [2.0]]), lambda: tr.einsum("i->", [1.0])):
        with pytest.raises(TypeError, match=r"needs a tensor or an array, got (NoneType|list); make it one"):
            call()
    for call in (lambda: tr.tanh([1.0]), lambda: tr.relu("a"), lambda: tr.exp(None), lambda: tr.isnan("a")):
        with pytest.raises(TypeError, match=r"^(tanh|relu|exp|isnan): needs a tensor or an array, got (list|str|None)"):
            call()
    with pytest.raises(TypeError, match="matmul: needs a tensor or an array, got NoneType"):
        leaf() @ None


def test_an_error_of_the_users_own_stays_what_it_is():
    class Own(nn.Module):
        def forward(self, x):
            return self.missing

    with pytest.raises(AttributeError, match="'Own' object has no attribute 'missing'"):
        Own()([1.0])


def test_lists_beside_a_tensor_are_what_tensor_makes_of_them():
    x = leaf()
    for y, expected in (
        (x @ [1.0, 2.0, 3.0], A @ [1, 2, 3]),
        ([1.0, 2.0] @ x, [1, 2] @ A),
        (x * [1.0, 2.0, 3.0], A * [1, 2, 3]),
        (tr.where([True, False, True], x, 0.0), A * [1, 0, 1]),
    ):
        assert y.dtype == np.float32
        np.testing.assert_array_equal(y.detach().numpy(), expected)


def test_numpys_arrays_and_numbers_on_the_left_give_tensors():
    x = leaf()
    for left in (A, A.astype("d"), A[:1], np.float32(2), np.float64(2), np.array(2.0), np.int64(2), 2, 2.0, True):
        for y in (left + x, left * x, left - x, left / x, left < x, left == x, left**x if left is not True else x):
            assert isinstance(y, tr.Tensor), type(left)
    assert isinstance(A.T @ x, tr.Tensor)
    a = A.copy()
    a *= x  # the name now stands for a tensor, and the array is as it was
    assert isinstance(a, tr.Tensor)


NUMPYS = [np.std, np.exp, np.tanh, np.abs, lambda x: np.maximum(x, 1), np.linalg.norm,
          lambda x: np.concatenate([x, x]), lambda x: np.add(A, x), lambda x: np.where(x > 0, x, 0)]  # fmt: skip


@pytest.mark.parametrize("function", NUMPYS)
def test_numpys_own_functions(function):
    with pytest.raises(RuntimeError, match=r"would be lost silently; use \.detach\(\)\.numpy\(\)"):
        function(leaf())
    np.testing.assert_array_equal(function(leaf().detach()), function(A))


def test_those_of_numpys_functions_that_call_the_method_keep_the_gradient():
    for function, expected in ((np.sum, np.ones((2, 3))), (np.mean, np.ones((2, 3)) / 6), (np.max, A.max() == A)):
        x = leaf()
        np.testing.assert_allclose(tr.grad(function(x), x)[0].numpy(), expected)
        np.testing.assert_array_equal(function(x.detach()), function(A))


def test_what_asks_for_a_shape_only_works_on_every_tensor():
    x = leaf()
    assert (np.shape(x), np.ndim(x), np.size(x)) == ((2, 3), 2, 6)


@pytest.mark.parametrize(
    "given",
    ["a", b"a", None, {1: 2}, [[1], [1, 2]], [datetime.datetime(2020, 1, 1)], np.array(["a"]), np.array([1, None]),
     np.array(["2020-01-01"], "datetime64[D]"), np.timedelta64(1), np.zeros(2, [("a", "f")])],
)  # fmt: skip
def test_what_holds_no_numbers_is_no_tensor(given):
    with pytest.raises(TypeError, match="does not hold numbers of one rectangular shape"):
        tr.tensor(given)
    if isinstance(given, np.ndarray):
        with pytest.raises(TypeError, match="does not hold numbers"):
            leaf().data = given


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: tr.pad(x, 1), r"pad: needs a list of integers, .*, got 1"),
        (lambda x: tr.pad(x, (1.5, 1)), r"pad: needs a list of integers"),
        (lambda x: tr.upsample_nearest2d(x, 2), r"upsample_nearest2d: needs an image \(N, C, H, W\), got \(2, 3\)"),
        (lambda x: tr.adaptive_avg_pool2d(x, 1), r"adaptive_avg_pool2d: needs an image \(N, C, H, W\), got \(2, 3\)"),
        (lambda x: tr.adaptive_avg_pool2d(x, 2), r"adaptive_avg_pool2d: needs an image"),
        (lambda x: tr.max_pool2d(x, 2), r"max_pool2d\(x: \(2, 3\) float32\): needs an image"),
        (lambda x: tr.avg_pool2d(x, 2), r"avg_pool2d\(x: \(2, 3\) float32\): needs an image"),
    ],
)
def test_wrong_ranks_and_kinds(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call(leaf())


@pytest.mark.parametrize("dtype", ["float16", "int32"])
def test_a_dtype_that_a_forced_rung_is_not_made_for(dtype):
    x, w = (tr.tensor(np.ones(shape, dtype)) for shape in ((1, 2, 6, 6), (3, 2, 3, 3)))
    calls = [lambda: tr.conv2d(x, w), lambda: tr.max_pool2d(x, 2)]
    calls += (
        [lambda: tr.batch_norm(x), lambda: tr.relu(tr.tensor(np.ones(1 << 18, dtype)))] if dtype == "float16" else []
    )
    for call in calls:
        with tr.kernels("cpu"), pytest.raises(TypeError, match=f"'cpu' computes in float32 and float64, got {dtype}"):
            call()
        assert call().dtype == dtype  # unforced, another rung takes it


@pytest.mark.parity
def test_torchs_tensors():
    torch = pytest.importorskip("torch", reason="no tests of PyTorch's tensors: torch is missing")
    x, t = leaf(), torch.tensor(A)
    for y, expected in ((x * t, A * A), (t * x, A * A), (t + x, 2 * A), (x @ t.T, A @ A.T), (t @ x.T, A @ A.T)):
        assert isinstance(y, tr.Tensor)
        np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-6)
    with pytest.raises(TypeError, match=r"ReLU.*got a torch.Tensor; pass tr.tensor"):
        nn.ReLU()(t)
    with pytest.raises(TypeError, match=r"tensor: data is a torch.Tensor that cannot be read through DLPack: .*"):
        tr.tensor(t.to_sparse())
    with pytest.raises(TypeError, match=r"torch.Tensor of bfloat16, which NumPy does not have: .* x.float\(\)"):
        tr.tensor(t.bfloat16())
    layer = nn.Linear(3, 2, rng=0)
    theirs = torch.nn.Linear(3, 2)
    layer.load_state_dict(dict(theirs.named_parameters()))
    np.testing.assert_allclose(layer(t).detach().numpy(), theirs(t).detach().numpy(), rtol=1e-5)
