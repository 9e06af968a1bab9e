"""What images and batches of odd sizes do: an error that helps, or a defined result."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn
from tinyres.ops import cross_entropy


def image(*shape, dtype="float64"):
    return tr.tensor(np.random.default_rng(0).standard_normal(shape).astype(dtype), requires_grad=True)


def test_a_kernel_larger_than_the_padded_image():
    expected = (
        r"conv2d\(x: \(1, 1, 3, 3\) float64, w: \(1, 1, 6, 6\) float64\): the kernel does not fit.*padded image has 5"
    )
    with pytest.raises(ValueError, match=expected):
        tr.conv2d(image(1, 1, 3, 3), image(1, 1, 6, 6), padding=1)
    with pytest.raises(ValueError, match=r"max_pool2d\(x: \(1, 1, 3, 3\) float64\): the kernel does not fit"):
        tr.max_pool2d(image(1, 1, 3, 3), 4)


def test_channels_groups_and_dtypes_that_do_not_belong_together():
    with pytest.raises(ValueError, match=r"conv2d\(x: \(1, 3, 8, 8\) float64, w: \(4, 2, 3, 3\) .*groups=1"):
        tr.conv2d(image(1, 3, 8, 8), image(4, 2, 3, 3))
    with pytest.raises(TypeError, match=r"dtypes float32 and float64 differ; convert one"):
        tr.conv2d(image(1, 2, 8, 8, dtype="float32"), image(4, 2, 3, 3))
    with pytest.raises(ValueError, match=r"needs an image \(N, C, H, W\)"):
        tr.conv2d(image(8, 8), image(4, 2, 3, 3))
    with pytest.raises(ValueError, match=r"stride must be an integer or a pair of integers, got \(1, 2, 3\)"):
        tr.conv2d(image(1, 2, 8, 8), image(4, 2, 3, 3), stride=(1, 2, 3))
    with pytest.raises(ValueError, match=r"output_padding must be smaller than stride or dilation, got"):
        tr.conv_transpose2d(image(1, 4, 4, 4), image(4, 2, 3, 3), output_padding=1)


@pytest.mark.parametrize("rung", ["reference", "im2col", "cpu"])
def test_an_empty_batch_has_an_empty_result_and_zero_weight_gradients(rung):
    x, w = image(0, 2, 5, 5), image(3, 2, 3, 3)
    with tr.kernels(rung):
        y = tr.max_pool2d(tr.relu(tr.conv2d(x, w, padding=1)), 2)
        assert y.shape == (0, 3, 2, 2)
        gx, gw = tr.grad(y.sum(), [x, w])
    assert gx.shape == (0, 2, 5, 5)
    np.testing.assert_array_equal(gw.numpy(), np.zeros((3, 2, 3, 3)))
    a, b = image(0, 4), image(4, 3)
    (gb,) = tr.grad((a @ b).sum(), b)
    np.testing.assert_array_equal(gb.numpy(), np.zeros((4, 3)))


def test_a_mean_of_nothing_is_refused_by_a_loss():
    model = models.plain(8, width=4, in_channels=1, rng=0).to("float64").eval()
    logits = model(image(0, 1, 8, 8))
    assert logits.shape == (0, 10)
    with pytest.raises(ValueError, match="cross_entropy"):
        cross_entropy(logits, np.zeros(0, dtype=int))


def test_one_value_a_channel_cannot_be_normalised_in_training():
    with pytest.raises(ValueError, match=r"batch_norm: \(1, 3\) has 1 value\(s\) a channel.* or .eval\(\)"):
        tr.batch_norm(image(1, 3))
    assert tr.batch_norm(image(1, 3, 2, 2)).shape == (1, 3, 2, 2)


def test_a_summed_letter_of_size_one_stands_for_many():
    a, b = np.arange(6.0).reshape(1, 6), np.arange(6.0).reshape(6, 1)
    assert tr.einsum("ij,ij->", tr.tensor(a), tr.tensor(b)).item() == np.einsum("ij,ij->", a, b) == 225
    x, y = np.arange(2.0).reshape(2, 1), np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(
        tr.einsum("ij,jk->ik", tr.tensor(x), tr.tensor(y)).numpy(), x @ y.sum(0, keepdims=True)
    )
    (g,) = tr.grad(tr.einsum("ij,ij->", leaf := tr.tensor(a, requires_grad=True), tr.tensor(b)), leaf)
    np.testing.assert_array_equal(g.numpy(), np.full((1, 6), 15.0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: tr.expand(x, -1, 2, 3), "expand: .* -1 only for axes that exist"),
        (lambda x: tr.expand(x, 3), "expand: .* at least 2 sizes"),
        (lambda x: tr.flatten(x, 1, 0), "flatten: axis 0 comes before axis 1"),
        (lambda x: tr.flatten(x, 5), "axis 5 is out of range for 2 dimensions"),
        (lambda x: tr.transpose(x, 0), "transpose: needs two axes"),
        (lambda x: tr.permute(x, 0, 0), "permute: .* must name each of the 2 axes once"),
        (lambda x: tr.split(x, [1, 2], 0), r"split: sizes \[1, 2\] add up to 3, axis 0 has 2"),
    ],
)
def test_axes_and_sizes_that_do_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call(image(2, 3))


def test_numpy_integers_are_axes_and_sizes_too():
    x, two = image(2, 3), np.int64(2)
    assert x.sum(np.int64(1)).shape == (2,)
    assert x.reshape(np.int64(3), two).shape == (3, 2)


def test_an_index_out_of_range_names_the_operation():
    with pytest.raises(IndexError, match=r"getitem\(x: \(3,\) float64\)"):
        tr.tensor(np.ones(3), requires_grad=True)[5]


@pytest.mark.parametrize("size", [10, 10_000])
def test_a_unit_that_is_off_sends_zero_whatever_comes(size):
    x = tr.tensor(np.where(np.arange(size) % 2, 1.0, -1.0), requires_grad=True)
    g = np.ones(size)
    g[:4] = np.inf, 2.0, np.nan, np.inf
    (dx,) = tr.grad(tr.relu(x), x, g)
    np.testing.assert_array_equal(dx.numpy()[:6], [0, 2, 0, np.inf, 0, 1])
    (dx,) = tr.grad(tr.relu(x), x, np.ones(size))
    np.testing.assert_array_equal(dx.numpy(), x.data > 0)


@pytest.mark.parametrize("size", [10, 10_000])
def test_a_choice_is_the_same_for_few_and_for_many(size):
    x, numbers = np.arange(size), np.arange(size) % 3
    for a, condition in ((x, x > 2), (x * 0.5, x > 2), (x * 0.5, numbers)):
        chosen, expected = tr.where(condition, tr.tensor(a), 0.0), np.where(condition, a, 0.0)
        assert chosen.dtype == expected.dtype
        np.testing.assert_array_equal(chosen.numpy(), expected)


def test_nan_and_infinity_stay_what_they_are():
    x = np.ones((1, 1, 4, 4))
    x[0, 0, 1, 1], x[0, 0, 3, 3] = np.nan, np.inf
    y = tr.conv2d(tr.tensor(x), tr.tensor(np.ones((1, 1, 1, 1)))).numpy()
    assert (np.isnan(y).sum(), np.isinf(y).sum()) == (1, 1)
    assert np.isnan(tr.max_pool2d(tr.tensor(x), 2).numpy()).sum() == 1


@pytest.mark.parametrize("integer", [np.int64, np.int32, np.uint8])
def test_numpys_integers_are_integers(integer):
    x, w = image(1, 2, 6, 6), image(2, 2, 3, 3)
    one = integer(1)
    expected = tr.conv2d(x, w, stride=(1, 2), padding=1).numpy()
    np.testing.assert_array_equal(tr.conv2d(x, w, stride=(one, integer(2)), padding=one).numpy(), expected)
    assert [part.shape[0] for part in tr.split(tr.tensor(np.arange(5.0)), integer(2))] == [2, 2, 1]
    assert nn.MaxPool2d(integer(2))(x).shape == (1, 2, 3, 3)
    assert nn.Conv2d(2, 2, integer(3), stride=integer(2), rng=0)(x.astype("float32")).shape == (1, 2, 2, 2)


@pytest.mark.parametrize("value", [1.5, (1, 2.0), (1, 2, 3), "12", None])
def test_what_is_no_pair(value):
    with pytest.raises((TypeError, ValueError), match=r"conv2d.*stride.* must be (a whole number|an integer) .*, got"):
        tr.conv2d(image(1, 2, 6, 6), image(2, 2, 3, 3), stride=value)


def test_one_number_is_no_bias_for_all_channels():
    with pytest.raises(ValueError, match=r"conv2d: bias must have the shape \(2,\), got \(1,\)"):
        tr.conv2d(image(1, 2, 6, 6), image(2, 2, 3, 3), tr.tensor(np.zeros(1)))
    with pytest.raises(ValueError, match=r"conv_transpose2d: bias must have the shape \(2,\), got \(1,\)"):
        tr.conv_transpose2d(image(1, 2, 6, 6), image(2, 2, 3, 3), tr.tensor(np.zeros(1)))
    for name in ("running_mean", "running_var", "weight", "bias"):
        with pytest.raises(ValueError, match=rf"batch_norm: {name} must have the shape \(2,\), .* got \(1,\)"):
            tr.batch_norm(image(3, 2, 6, 6), **{name: tr.tensor(np.ones(1))})


def test_split_takes_no_negative_sizes():
    with pytest.raises(ValueError, match=r"split: sizes cannot be negative, got \[5, -1\]"):
        tr.split(tr.tensor(np.arange(4.0)), [5, -1])


@pytest.mark.parametrize(
    ("stride", "dilation", "extra"), [(1, 3, 2), (2, 4, 3), ((1, 2), (3, 1), (2, 1)), (2, 5, 4), (1, 2, 0)]
)
def test_output_padding_between_stride_and_dilation(stride, dilation, extra):
    """By the definition: every pixel scatters its taps, i s - p + d k; beyond them, zeros of the chosen size."""
    (s, t), (d, e), (m, n) = (v if isinstance(v, tuple) else (v, v) for v in (stride, dilation, extra))
    x, w, p = image(2, 2, 3, 4), image(2, 3, 2, 3), 1

    def transposed(x, w):
        return tr.conv_transpose2d(x, w, stride=stride, padding=p, dilation=dilation, output_padding=extra)

    full = np.zeros((2, 3, 2 * s + d + 1 + m, 3 * t + 2 * e + 1 + n))
    for i in range(3):
        for j in range(4):
            for k in range(2):
                for q in range(3):
                    full[:, :, i * s + d * k, j * t + e * q] += x.numpy()[:, :, i, j] @ w.numpy()[:, :, k, q]
    expected = full[:, :, p : full.shape[2] - p, p : full.shape[3] - p]
    np.testing.assert_allclose(transposed(x, w).numpy(), expected, rtol=1e-12, atol=1e-12)
    tr.gradcheck(transposed, (x, w))


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "bool"])
def test_a_mean_of_integers_is_no_integer(dtype):
    whole = np.random.default_rng(0).integers(0, 2, (2, 3, 6, 4)).astype(dtype)
    x, y = tr.tensor(whole), tr.tensor(whole.astype("float64"))
    for pool in (
        lambda x: tr.adaptive_avg_pool2d(x, (4, 3)),
        lambda x: tr.adaptive_avg_pool2d(x, 1),
        lambda x: tr.avg_pool2d(x, 2),
        lambda x: tr.mse_loss(x, np.full(x.shape, 0.125)),
        lambda x: tr.l1_loss(x, np.full(x.shape, 0.125)),
    ):
        np.testing.assert_array_equal(pool(x).numpy(), pool(y).numpy())
        assert 0 < float(pool(x).mean().numpy()) < 1


def test_einsum_with_lists_of_axes():
    x = tr.tensor(np.ones((2, 2)))
    with pytest.raises(TypeError, match=r"einsum: the first argument is a string .* got Tensor"):
        tr.einsum(x, [0, 1], x, [1, 2])
