"""Kernels with one fault each whose cause is known, and what the heading has to name. The cause is often in the values:
a fault shows where numbers are negative, where maxima are equal or where windows overlap, and sizes merely make that
likely."""

import numpy as np
from tinyres_kernels import im2col

from tests.kernels.conformance.rarer import last_of_equal


def pixels(x, out, s):
    """For each tap: its place, where it lies in the image, and the pixels there (0 where it does not)."""
    (H, W), dilation = x.shape[1:3], getattr(s, "dilation", (1, 1))
    for a, b in np.ndindex(*s.kernel):
        rows = np.arange(out.shape[1]) * s.stride[0] - s.padding[0] + a * dilation[0]
        columns = np.arange(out.shape[2]) * s.stride[1] - s.padding[1] + b * dilation[1]
        there = ((rows >= 0) & (rows < H))[:, None] & ((columns >= 0) & (columns < W))
        seen = x[:, rows.clip(0, H - 1)[:, None], columns.clip(0, W - 1)]
        yield a * s.kernel[1] + b, there[None, :, :, None], seen


def max_from_zero(x, out, index, s):
    im2col.max_pool2d(x, out, index, s)
    np.fmax(out, 0, out=out, where=~np.isnan(out))


def places(index, out, s, width):
    """The pixels that an index points at, and which of them lie in the image; taps are counted in rows of `width`."""
    tap_rows, tap_columns = np.divmod(index, width)
    i, j = (np.arange(n) for n in index.shape[1:3])
    rows = i[None, :, None, None] * s.stride[0] - s.padding[0] + tap_rows * s.dilation[0]
    columns = j[None, None, :, None] * s.stride[1] - s.padding[1] + tap_columns * s.dilation[1]
    there = (rows >= 0) & (rows < out.shape[1]) & (columns >= 0) & (columns < out.shape[2])
    n, _, _, c = np.indices(index.shape)
    return tuple(one[there] for one in (n, rows, columns, c)), there


def winners_not_added(g, index, out, s):
    at, there = places(index, out, s, s.kernel[1])
    out[...] = 0
    out[at] += g[there]  # of equal places the last one is kept


def taps_in_rows_of_the_height(g, index, out, s):
    at, there = places(index, out, s, s.kernel[0])
    out[...] = 0
    np.add.at(out, at, g[there])


def taken_in_rows_of_the_height(u, index, out, s):
    at, there = places(index, u, s, s.kernel[0])
    out[...] = 0
    out[there] = u[at]


def height_squared(x, out, s):
    im2col.avg_pool2d(x, out, s)
    if s.count_include_pad:
        out *= s.kernel[1] / s.kernel[0]


def shares_not_added(g, out, s):
    out[...] = 0
    for i, j in np.ndindex(*g.shape[1:3]):
        top, left = i * s.stride[0] - s.padding[0], j * s.stride[1] - s.padding[1]
        window = out[:, max(top, 0) : top + s.kernel[0], max(left, 0) : left + s.kernel[1]]
        count = s.kernel[0] * s.kernel[1] if s.count_include_pad else window.shape[1] * window.shape[2]
        window[...] = g[:, i, j][:, None, None] / count


def without_nan(x, out, index, s):
    im2col.max_pool2d(x, out, index, s)
    taps = [np.where(there, seen, np.nan) for _, there, seen in pixels(x, out, s)]
    with np.errstate(all="ignore"):
        least = np.fmax.reduce(taps)
    out[...] = np.where(np.isnan(out) & ~np.isnan(least), least, out)


def negative_weights_dropped(x, w, out, s):
    im2col.conv2d(x, np.where(w < 0, 0, w), out, s)


def last_image_only(x, g, out, s):
    im2col.conv2d_dw(np.ascontiguousarray(x[-1:]), np.ascontiguousarray(g[-1:]), out, s)


def turned_round(x, w, out, s):
    im2col.conv2d(x, np.ascontiguousarray(w[::-1, ::-1]), out, s)


def height_for_width(x, w, out, s):
    """It goes to the next row of the image after as many pixels as the image is high."""
    N, H, W, C = x.shape
    flat = np.concatenate([x.reshape(N, -1, C)] * (1 + H // W), 1)
    skewed = flat[:, (np.arange(H)[:, None] * H + np.arange(W)) % (H * W)]
    im2col.conv2d(np.ascontiguousarray(skewed), w, out, s)


def absolute_weights(x, weight, bias, out, mean, scale, s):
    im2col.layer_norm(x, None if weight is None else abs(weight), bias, out, mean, scale, s)


def no_weight(x, weight, bias, out, mean, scale, s):
    im2col.layer_norm(x, None, bias, out, mean, scale, s)


def no_bias(x, weight, bias, out, mean, scale, s):
    im2col.layer_norm(x, weight, None, out, mean, scale, s)


def biased_running_variance(x, weight, bias, residual, out, mean, variance, running, s):
    im2col.batch_norm(x, weight, bias, residual, out, mean, variance, running, s)
    if running is not None:
        running.new_var[...] = (1 - s.momentum) * running.var + s.momentum * variance


def positive_always(x, weight, bias, residual, out, mean, variance, running, s):
    im2col.batch_norm(x, weight, bias, residual, out, mean, variance, running, s._replace(relu=True))


def top_never_subtracted(x, out, s):
    with np.errstate(all="ignore"):
        power = np.exp(x)
        total = power.sum(1, keepdims=True)
        out[...] = x - np.log(total) if s.log else power / total


def log_of_the_softmax(x, out, s):
    im2col.softmax(x, out, s._replace(log=False))
    if s.log:
        with np.errstate(all="ignore"):
            np.log(out, out=out)


def down_the_columns(x, out, s):
    turned = np.empty((x.shape[1], x.shape[0]), x.dtype)
    im2col.softmax(np.ascontiguousarray(x.T), turned, s)
    out[...] = turned.T


def no_shared_term(g, y, out, s):
    out[...] = g if s.log else g * y


def top_never_subtracted_from_losses(x, target, out, probabilities):
    with np.errstate(all="ignore"):
        np.exp(x, out=probabilities)
        total = probabilities.sum(axis=1)
        out[...] = np.log(total) - x[np.arange(len(x)), target]
        probabilities /= total[:, None]


def log_of_the_probability(x, target, out, probabilities):
    im2col.cross_entropy(x, target, out, probabilities)
    with np.errstate(all="ignore"):
        out[...] = -np.log(probabilities[np.arange(len(x)), target])


def first_class_ignored(x, target, out, probabilities):
    im2col.cross_entropy(x, target, out, probabilities)
    out[target == 0] = 0


def one_never_subtracted(g, probabilities, target, out):
    np.multiply(probabilities, g[:, None], out=out)


def target_rounded(x, target, out):
    im2col.bce_with_logits(x, np.where(np.isnan(target), target, target.round()), out)


def log_of_the_sigmoid(x, target, out):
    with np.errstate(all="ignore"):
        p = 1 / (1 + np.exp(-x))
        out[...] = -target * np.log(p) - (1 - target) * np.log(1 - p)


def passed_on_at_zero(g, y, out, s):
    out[...] = np.where(y >= 0, g, g * g.dtype.type(s.slope) if s.slope else 0)
    out[np.isnan(y)] = 0 if not s.slope else (g * g.dtype.type(s.slope))[np.isnan(y)]


def divided_by_less(x, weight, bias, out, mean, scale, s):
    """Of one column it makes no number, and of several wrong ones."""
    im2col.layer_norm(x, weight, bias, out, mean, scale, s)
    with np.errstate(all="ignore"):
        scale[...] = 1 / np.sqrt(((x - mean[:, None]) ** 2).sum(1) / np.float64(x.shape[1] - 1) + s.eps)


def eps_outside(x, weight, bias, out, mean, scale, s):
    im2col.layer_norm(x, weight, bias, out, mean, scale, s)
    scale[...] = 1 / (np.sqrt(x.var(1)) + s.eps)
    out[...] = (x - mean[:, None]) * scale[:, None] * (1 if weight is None else weight)
    out += 0 if bias is None else bias


def eps_of_its_own(x, weight, out, scale, s):
    im2col.rms_norm(x, weight, out, scale, s._replace(eps=1e-6))


def adam_by(change):
    """Adam with something else below the fraction: `change(v, c, eps)`."""

    def kernel(p, g, m, v, out, new_m, new_v, s):
        im2col.adam(p, g, m, v, out, new_m, new_v, s)
        start = p * (1 - s.lr * s.weight_decay) if s.decoupled else p
        with np.errstate(all="ignore"):
            out[...] = start - s.lr / (1 - s.beta1**s.step) * new_m / change(new_v, 1 - s.beta2**s.step, s.eps)

    return kernel


def log_of_a_little_more(x, target, out, probabilities):
    im2col.cross_entropy(x, target, out, probabilities)
    out[...] = -np.log(probabilities[np.arange(len(x)), target] + 1e-8)


MANY = "a kernel of several taps"
# The operation, the kernel, the heading, and what is said of it. In a heading nothing else is named.
CAUSES = {
    "a maximum from 0": ("max_pool2d", max_from_zero, "a window with nothing but negative numbers", ""),
    "the last of equals": ("max_pool2d", last_of_equal, "equal maxima in a window", "it takes the last"),
    "a NaN passed over": ("max_pool2d", without_nan, "a NaN in x", ""),
    "winners not added": ("max_pool2d_dx", winners_not_added, "windows with the same winner", ""),
    "rows of taps": ("max_pool2d_dx", taps_in_rows_of_the_height, "a kernel that is not square", ""),
    "rows of taps, taken": ("max_pool2d_take", taken_in_rows_of_the_height, "a kernel that is not square", ""),
    "the height squared": ("avg_pool2d", height_squared, "count_include_pad=True and a kernel that is not square", ""),
    "shares not added": ("avg_pool2d_dx", shares_not_added, "windows that overlap", ""),
    "negative weights": ("conv2d", negative_weights_dropped, "a negative number in w", ""),
    "one image": ("conv2d_dw", last_image_only, "several images", ""),
    "turned round": ("conv2d", turned_round, MANY, "turns the weights round"),
    "height for width": ("conv2d", height_for_width, "an image that is not square", ""),
    "absolute weights": ("layer_norm", absolute_weights, "a weight and a negative number in weight", ""),
    "no weight": ("layer_norm", no_weight, "a weight", ""),
    "no bias": ("layer_norm", no_bias, "a bias", ""),
    "running variance": ("batch_norm", biased_running_variance, "training=True and running statistics", "M / (M - 1)"),
    "ReLU always": ("batch_norm", positive_always, "relu=False", ""),
    "softmax that overflows": ("softmax", top_never_subtracted, "large logits", "subtract the row's largest"),
    "log of the softmax": ("softmax", log_of_the_softmax, "large logits and a logarithm", "logarithm of a probability"),
    "wrong axis": ("softmax", down_the_columns, "every case", "over the columns"),
    "no shared term": ("softmax_dx", no_shared_term, "every case", ""),
    "losses that overflow": (
        "cross_entropy", top_never_subtracted_from_losses, "large logits", "subtract the row's largest",
    ),
    "log of a probability": ("cross_entropy", log_of_the_probability, "large logits", "logarithm of a probability"),
    "class 0": ("cross_entropy", first_class_ignored, "class 0 in target", ""),
    "no one": ("cross_entropy_dx", one_never_subtracted, "every case", ""),
    "a rounded target": ("bce_with_logits", target_rounded, "targets between 0 and 1", ""),
    "log of the sigmoid": ("bce_with_logits", log_of_the_sigmoid, "large logits", "needs no sigmoid"),
    "passed on at 0": ("relu_dx", passed_on_at_zero, "a 0 in y", ""),
    "over C - 1": ("layer_norm", divided_by_less, "every case", "over C"),
    "eps outside the root": ("layer_norm", eps_outside, "most cases", "sqrt(variance + eps)"),
    "an eps of its own": ("rms_norm", eps_of_its_own, "most cases", "eps to be 1e-06"),
    "Adam's eps inside": ("adam", adam_by(lambda v, c, eps: np.sqrt(v / c + eps)), "a small error", "inside the root"),
    "Adam's eps uncorrected": (
        "adam", adam_by(lambda v, c, eps: (np.sqrt(v) + eps) / np.sqrt(c)), "a small error", "before the correction",
    ),
    "log of a little more": ("cross_entropy", log_of_a_little_more, "a small error", "1e-08 seems to be added inside"),
}  # fmt: skip
