"""Functions of layers: what PyTorch cannot be asked, and what a wrong call is told."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.nn import functional as F


def leaf(values, dtype=np.float64):
    return tr.tensor(np.asarray(values, dtype), requires_grad=True)


def test_the_table_holds_functions_that_explain_their_errors():
    for name in F.__all__:
        assert callable(getattr(F, name)), name
    with pytest.raises(TypeError, match="group_norm: needs a tensor or an array, got list"):
        F.group_norm([[1.0, 2.0]], 1)


def test_what_is_out_says_why():
    with pytest.raises(AttributeError, match=r"functional.* has no attribute 'conv3d': three spatial dimensions"):
        _ = F.conv3d
    with pytest.raises(AttributeError, match="'Conv3d': three spatial dimensions"):
        _ = nn.Conv3d
    with pytest.raises(AttributeError, match=r"functional.* has no attribute 'nonsense'$"):
        _ = F.nonsense


@pytest.mark.parametrize("name", ["relu", "relu6", "leaky_relu", "elu", "selu", "celu", "silu", "mish", "hardtanh"])
def test_in_place_is_taken_and_writes_into_nothing(name):
    function, x = getattr(F, name), tr.tensor([-2.0, 0.5])
    y = function(x, inplace=True)
    np.testing.assert_array_equal(y.numpy(), function(x).numpy())
    np.testing.assert_array_equal(x.numpy(), [-2.0, 0.5])
    np.testing.assert_array_equal(F.relu(x, True).numpy(), [0.0, 0.5])
    np.testing.assert_array_equal(nn.ReLU(True)(x).numpy(), nn.ReLU(inplace=True)(x).numpy())
    np.testing.assert_array_equal(nn.LeakyReLU(0.5, True)(x).numpy(), [-1.0, 0.5])


def test_functions_agree_with_the_modules_that_call_them():
    rng = np.random.default_rng(0)
    x = tr.tensor(rng.normal(size=(2, 4, 5, 5)).astype("f"))
    conv, norm, layer = nn.Conv2d(4, 6, 3, rng=0), nn.GroupNorm(2, 4), nn.LayerNorm(5)
    np.testing.assert_array_equal(F.conv2d(x, conv.weight, conv.bias).numpy(), conv(x).numpy())
    np.testing.assert_array_equal(F.group_norm(x, 2, norm.weight, norm.bias).numpy(), norm(x).numpy())
    np.testing.assert_array_equal(F.layer_norm(x, (5,), layer.weight, layer.bias).numpy(), layer(x).numpy())


def test_dropout_of_channels_drops_whole_ones():
    x = tr.tensor(np.ones((4, 16, 3, 5), np.float32))
    y = F.dropout2d(x, 0.4, rng=0).numpy()
    flat = y.reshape(4, 16, -1)
    assert ((flat == 0).all(-1) | np.isclose(flat, 1 / 0.6).all(-1)).all()
    assert 0.2 < (flat[..., 0] == 0).mean() < 0.6
    assert F.dropout2d(x, 0.4, training=False) is x
    assert F.dropout1d(x[0, :, 0], 0.4, rng=0).shape == (16, 5)
    layer = nn.Dropout2d(0.4, rng=0)
    np.testing.assert_array_equal(layer(x).numpy(), y)
    assert layer.eval()(x) is x
    with pytest.raises(ValueError, match=r"dropout2d: needs images \(N, C, H, W\), or one \(C, H, W\), got \(2, 3\)"):
        F.dropout2d(tr.tensor(np.ones((2, 3))))
    with pytest.raises(ValueError, match="dropout: p is a probability"):
        F.dropout(x, 1.5)


def test_what_is_given_no_generator_draws_from_the_seeded_one():
    x = tr.tensor(np.ones(50, np.float32))
    tr.manual_seed(3)
    first = F.dropout(x).numpy(), nn.Linear(3, 2).weight.numpy()
    tr.manual_seed(3)
    again = F.dropout(x).numpy(), nn.Linear(3, 2).weight.numpy()
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (F.dropout(x).numpy() != first[0]).any()


# -- shapes ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_an_infinite_pixel_stays_where_it_is(mode):
    """Weights of 0 elsewhere are not multiplied by it."""
    x = np.zeros((1, 1, 8, 8))
    x[0, 0, 1, 1] = np.inf
    with np.errstate(invalid="ignore"):
        y = F.interpolate(tr.tensor(x), size=(12, 12), mode=mode).numpy()[0, 0]
    assert not np.isfinite(y).all()
    assert (y[8:] == 0).all()
    assert (y[:, 8:] == 0).all()


def test_the_nearest_pixel_is_pytorchs_where_rounding_decides():
    def places(n, **asked):
        return F.interpolate(np.arange(n, dtype=np.float32)[None, None, None], **asked)[0, 0, 0].tolist()

    assert places(10, size=(1, 6)) == [0, 1, 3, 5, 6, 8]
    assert places(3, scale_factor=(1.0, 2.1)) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_a_padded_pixel_takes_its_source_s_gradient(mode):
    x = leaf([[1.0, 2.0, 3.0]])
    (g,) = tr.grad(F.pad(x, (2, 1), mode).sum(), [x])
    assert g.numpy().sum() == 6
    assert (g.numpy() >= 1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: F.pad(x, (3, 0), "reflect"), r"pad: mode 'reflect' needs widths of at most 2 on an axis of 3"),
        (lambda x: F.pad(x, (0, 4), "circular"), r"pad: mode 'circular' needs widths of at most 3 on an axis of 3"),
        (lambda x: F.pad(x, (1, 1), "mirror"), r"pad: mode must be one of 'constant', .*, got 'mirror'"),
        (lambda x: F.pad(x, (1, 1), "reflect", 2.0), r"value=2.0 is for mode 'constant', not for 'reflect'"),
        (lambda x: F.pad(x, (-2, -2)), r"pad: axis 3 has 3 entries, which \(-2, -2\) cuts to less than none"),
        (lambda x: F.conv2d(x, np.ones((1, 2, 2, 2)), stride=2, padding="same"), "padding='same' needs stride 1"),
        (
            lambda x: F.conv2d(x, np.ones((1, 2, 2, 2)), padding="full"),
            "conv2d: padding must be a whole number .*, or 'same', or 'valid', got 'full'",
        ),
        (lambda x: F.conv1d(x, np.ones((1, 2, 2))), r"conv1d: needs three axes, \(N, C, L\), or two for one sample"),
        (lambda x: F.interpolate(x), "interpolate: needs size or scale_factor, got neither"),
        (lambda x: F.interpolate(x, 2, 2.0), "interpolate: needs size or scale_factor, got both"),
        (lambda x: F.interpolate(x, 2, mode="linear"), r"mode 'linear' needs signals \(N, C, L\), got \(1, 2, 3, 3\)"),
        (lambda x: F.interpolate(x, (2, 2, 2)), "size must be a positive integer, or 2 of them"),
        (lambda x: F.interpolate(x, 2, align_corners=True), "align_corners is for linear, .* not for 'nearest'"),
        (lambda x: F.interpolate(x, scale_factor=0.1), r"sizes must be at least 1 .*, got \(3, 3\) -> \(0, 0\)"),
        (lambda x: F.avg_pool2d(x, 2, divisor_override=0), "divisor_override must not be 0"),
        (lambda x: F.group_norm(x, 3), r"group_norm: needs .* divisible by num_groups=3, got \(1, 2, 3, 3\)"),
        (lambda x: F.layer_norm(x, (2, 3)), r"layer_norm: input must have shape \(..., 2, 3\), got \(1, 2, 3, 3\)"),
        (lambda x: F.instance_norm(x[..., :1, :1]), "instance_norm: needs at least two pixels"),
        (lambda x: F.prelu(x, tr.tensor(np.ones(3))), "prelu: weight must hold one slope, or one for each channel"),
        (lambda x: F.glu(x), "glu: axis -1 must have an even size"),
        (lambda x: F.hardtanh(x, 2.0, 1.0), "hardtanh: min_val must not be above max_val"),
        (lambda x: F.softshrink(x, -1.0), "softshrink: lambd must be at least 0"),
    ],
)
def test_what_a_wrong_call_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call(tr.tensor(np.ones((1, 2, 3, 3))))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batches_without_a_sample(dtype):
    x = tr.tensor(np.zeros((0, 4, 6, 6), dtype), requires_grad=True)
    calls = {
        "group_norm": lambda x: F.group_norm(x, 2), "instance_norm": F.instance_norm,
        "max_pool2d": lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True), "pad": lambda x: F.pad(x, (1, 1), "reflect"),
        "avg_pool2d": lambda x: F.avg_pool2d(x, 3, 2, 1, True), "glu": lambda x: F.glu(x, 1), "mish": F.mish,
        "interpolate": lambda x: F.interpolate(x, 4, mode="bilinear"), "normalize": F.normalize,
    }  # fmt: skip
    for name, call in calls.items():
        y = call(x)
        assert y.shape[0] == 0, name
        assert y.dtype == dtype, name
        assert tr.grad(y.sum(), [x])[0].shape == x.shape, name


def test_integers_make_one_hot_rows():
    for given in ([1, 0, 3], np.array([1, 0, 3]), tr.tensor(np.array([1, 0, 3]))):
        y = F.one_hot(given)
        assert np.asarray(y).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
        assert isinstance(y, tr.Tensor) == isinstance(given, tr.Tensor)
    assert F.one_hot(np.array([[1]]), 3).shape == (1, 1, 3)
    with pytest.raises(ValueError, match=r"one_hot: classes must be in 0 to 1, got 3"):
        F.one_hot([1, 3], 2)
    with pytest.raises(TypeError, match="one_hot: indices must be integers, got float64"):
        F.one_hot([1.0])


# -- statistics and places --------------------------------------------------------------------------------------------
def test_the_running_statistics_of_instances_are_means_of_theirs():
    x = np.random.default_rng(0).normal(2, 3, size=(4, 2, 5))
    norm = nn.InstanceNorm1d(2, momentum=0.25, track_running_stats=True).to("float64")
    norm(tr.tensor(x))
    np.testing.assert_allclose(norm.running_mean.numpy(), 0.25 * x.mean((0, 2)))
    variances = [[np.sum((c - np.mean(c)) ** 2) / 4 for c in sample] for sample in x]
    np.testing.assert_allclose(norm.running_var.numpy(), 0.75 + 0.25 * np.mean(variances, 0))
    y = norm.eval()(tr.tensor(x)).numpy()
    running = (v.numpy()[:, None] for v in (norm.running_mean, norm.running_var))
    mean, var = running
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5), rtol=1e-12)


@pytest.mark.parametrize("how", [{}, {"padding": 1}, {"ceil_mode": True}, {"dilation": 2}, {"stride": (1, 2)}])
def test_the_places_of_the_winners_hold_them(how):
    x = np.random.default_rng(0).normal(size=(2, 3, 7, 6))
    y, places = F.max_pool2d(tr.tensor(x), 3, return_indices=True, **how)
    np.testing.assert_array_equal(y.numpy(), F.max_pool2d(x, 3, **how))
    held = np.take_along_axis(x.reshape(2, 3, 42), places.numpy().reshape(2, 3, -1), -1)
    np.testing.assert_array_equal(held.reshape(y.shape), y.numpy())


@pytest.mark.parametrize("mode", ["zeros", "replicate"])
def test_an_even_kernel_has_its_odd_row_at_the_end(mode):
    layer = nn.Conv2d(1, 1, 2, padding="same", padding_mode=mode, bias=False)
    weight = np.zeros((1, 1, 2, 2), np.float32)
    weight[0, 0, 1, 1] = 1
    layer.weight.data = weight
    y = layer(tr.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).numpy()[0, 0]
    rim = 0 if mode == "zeros" else 4
    np.testing.assert_array_equal(y, [[4, rim], [rim, rim]])


# -- lengths --------------------------------------------------------------------------------------------------------
def test_a_vector_of_zeros_has_a_direction_without_nan():
    x = leaf([[0.0, 0.0], [3.0, 4.0]])
    y = F.normalize(x)
    np.testing.assert_allclose(y.detach().numpy(), [[0, 0], [0.6, 0.8]])
    (g,) = tr.grad(y, [x], np.ones((2, 2)))
    assert np.isfinite(g.numpy()).all()
    assert F.cosine_similarity(x, x).numpy().tolist() == pytest.approx([0.0, 1.0])


def test_pixels_become_channels_and_back():
    x = np.arange(2 * 8 * 2 * 3.0).reshape(2, 8, 2, 3)
    y = F.pixel_shuffle(x, 2)
    assert y.shape == (2, 2, 4, 6)
    assert y[1, 1, 3, 2] == x[1, 4 + 2 * 1 + 0, 1, 1]
    np.testing.assert_array_equal(F.pixel_unshuffle(y, 2), x)
    with pytest.raises(ValueError, match=r"pixel_shuffle: needs .* divisible by upscale_factor\^2 = 9"):
        F.pixel_shuffle(x, 3)
    with pytest.raises(ValueError, match=r"pixel_unshuffle: needs .* divisible by downscale_factor = 2"):
        F.pixel_unshuffle(x, 2)
    with pytest.raises(ValueError, match="ReflectionPad2d: padding must be an integer or 4 of them"):
        nn.ReflectionPad2d((1, 2))


@pytest.mark.parametrize("size", [2, 3, (1, 4), (4, 3)])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_in_the_regions_that_hold_it(size, bad):
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 6))
    clean = F.adaptive_avg_pool2d(tr.tensor(x), size).numpy()
    x[0, 1, 0, 0] = bad
    found = F.adaptive_avg_pool2d(tr.tensor(x), size).numpy().copy()
    assert not np.isfinite(found[0, 1, 0, 0])
    found[0, 1, 0, 0] = clean[0, 1, 0, 0]
    np.testing.assert_allclose(found, clean, rtol=1e-12)
