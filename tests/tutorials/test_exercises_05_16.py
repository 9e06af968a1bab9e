"""Worked solutions of exercises 05 and 14 to 16 pass; the usual mistakes are refused with the hint that names them."""

import numpy as np
import pytest
from tinyres_kernels import reference
from tinyres_kernels.geometry import pool_axes

import tinyres as tr
from tinyres import nn
from tinyres.exercises import ex05, ex14, exercise

try:
    from tinyres_kernels.cuda.host import cuda
except ImportError:
    cuda = None
needs_cuda = pytest.mark.skipif(cuda is None, reason="NO NUMBA.CUDA: exercise 15 needs it, though no GPU")


@pytest.mark.parametrize("number", ["05", "14", "15", "16"])
def test_what_is_no_function_is_told(number):
    with pytest.raises(AssertionError, match=r"is to be a function; .*float"):
        exercise(number, 0.5)


# -- 05: a convolution, tap by tap ------------------------------------------------------------------------------------
def conv2d(x, w, stride=1, padding=0, *, flipped=False, turned=False, last_only=False, unstrided=False, unpadded=False):
    if unpadded:
        padding = 0
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    height, width = ((x.shape[k] - w.shape[k - 1]) // stride + 1 for k in (1, 2))
    y = np.zeros((x.shape[0], height, width, w.shape[3]))
    step = 1 if unstrided else stride
    for a in range(w.shape[0]):
        for b in range(w.shape[1]):
            tap = w[-1 - a, -1 - b] if flipped else w[b, a] if turned and w.shape[0] == w.shape[1] else w[a, b]
            product = x[:, a::step, b::step][:, :height, :width] @ tap
            y = product if last_only else y + product
    return y


def by_windows(x, w, stride=1, padding=0):
    """Another right way: im2col."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[:2], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nijcab,abco->nijo", windows, w)


def in_place(x, w, stride=1, padding=0):
    y = conv2d(x, w, stride, padding)
    x *= 2
    return y


@pytest.mark.parametrize("answer", [conv2d, by_windows])
def test_05_worked(answer, capsys):
    exercise("05", answer)
    assert "sum of matrix products" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        ({"flipped": True}, "turned by 180 degrees"),
        ({"turned": True}, "Rows and columns of the kernel are exchanged"),
        ({"last_only": True}, "Only one tap is in the result"),
        ({"unstrided": True}, r"Window i begins at row i \* stride"),
        ({"unpadded": True}, r"\(H \+ 2 padding - KH\) // stride \+ 1 windows"),
    ],
)
def test_05_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("05", lambda x, w, stride, padding: conv2d(x, w, stride, padding, **mistake))


@pytest.mark.parametrize(
    ("answer", "hint"),
    [(ex05._loops, "right, but slow"), (in_place, "x was changed"), (lambda x, w, stride, padding: None, "a return")],
)
def test_05_slow_destructive_or_empty(answer, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("05", answer)


# -- 14: a GAN's two gradients ----------------------------------------------------------------------------------------
def losses(G, D, reals, z):
    bce = nn.BCEWithLogitsLoss()
    ones, zeros = (tr.tensor(np.full((len(z), 1), value)) for value in (1.0, 0.0))
    fakes = G(z)
    d_loss = bce(D(reals), ones) + bce(D(fakes), zeros)
    return d_loss, bce(D(fakes), ones), bce(D(fakes), zeros)


def gradients(G, D, reals, z):
    d_loss, g_loss, _ = losses(G, D, reals, z)
    return tr.grad(d_loss, list(D.parameters()), retain_graph=True), tr.grad(g_loss, list(G.parameters()))


def detached(G, D, reals, z):
    """Another right way: backward, the fakes without their past, and zero_grad."""
    fakes = G(z)
    (tr.softplus(-D(reals)).mean() + tr.softplus(D(tr.tensor(fakes.numpy()))).mean()).backward()
    of_d = [p.grad.numpy().copy() for p in D.parameters()]
    tr.softplus(-D(fakes)).mean().backward()
    return of_d, [p.grad for p in G.parameters()]


def listing(G, D, reals, z, *, retain, labels):
    d_loss, *g_losses = losses(G, D, reals, z)
    d_loss.backward(retain_graph=retain)
    g_losses[labels].backward()
    return [p.grad for p in D.parameters()], [p.grad for p in G.parameters()]


def apart(of_d, of_g):
    """Gradients of functions of (d_loss, g_loss, -log(1 - D(fakes)))."""

    def answer(G, D, reals, z):
        found = losses(G, D, reals, z)
        return (
            tr.grad(of_d(*found), list(D.parameters()), retain_graph=True),
            tr.grad(of_g(*found), list(G.parameters())),
        )

    return answer


def stepping(G, D, reals, z):
    found = gradients(G, D, reals, z)
    for p in D.parameters():
        p.data = p.data - 0.1
    return found


@pytest.mark.parametrize("answer", [gradients, detached])
def test_14_worked(answer):
    exercise("14", answer)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (lambda *a: listing(*a, retain=False, labels=1), "it stops: .*retain_graph"),
        (lambda *a: listing(*a, retain=True, labels=0), "D's gradient .*other player's loss is in it"),
        (
            lambda *a: (gradients(*a)[0], listing(*a, retain=True, labels=0)[1]),
            "G's gradient .*other player's loss is in it",
        ),
        (lambda *a: (gradients(*a)[0], listing(*a, retain=True, labels=1)[1]), "G asks for zeros"),
        (apart(lambda d, g, f: d, lambda d, g, f: f), "G asks D to call its fakes fake"),
        (apart(lambda d, g, f: d, lambda d, g, f: -f), "saturating loss"),
        (apart(lambda d, g, f: d, lambda d, g, f: -g), "wrong sign"),
        (apart(lambda d, g, f: -d, lambda d, g, f: g), "D's gradient .*wrong sign"),
        (apart(lambda d, g, f: d - g, lambda d, g, f: g), "is taken off"),
        (apart(lambda d, g, f: d, lambda d, g, f: g + g), "there twice"),
        (apart(lambda d, g, f: d, lambda d, g, f: ex14.N * g), "sum over the batch"),
        (apart(lambda d, g, f: d, lambda d, g, f: d), "other player's loss|D's loss|fake"),
        (lambda *a: gradients(*a)[::-1], "D's come first"),
        (stepping, "no step"),
        (lambda *a: None, "end in a return"),
    ],
)
def test_14_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=f"(?s){hint}"):
        exercise("14", mistake)


# -- 15: a block that shares what it reads ----------------------------------------------------------------------------


def sum3(x, out):
    tile = cuda.shared.array(10, np.float64)
    t = cuda.threadIdx.x
    i = cuda.blockIdx.x * 8 + t
    tile[t + 1] = x[i] if i < x.size else 0.0
    if t == 0:
        tile[0] = x[i - 1] if i > 0 else 0.0
    if t == 7:
        tile[9] = x[i + 1] if i + 1 < x.size else 0.0
    cuda.syncthreads()
    if i < out.size:
        out[i] = tile[t] + tile[t + 1] + tile[t + 2]


def without_a_barrier(x, out):
    tile = cuda.shared.array(10, np.float64)
    t = cuda.threadIdx.x
    i = cuda.blockIdx.x * 8 + t
    if t == 7:  # one thread loads everything, but who is first?
        for k in range(10):
            j = cuda.blockIdx.x * 8 + k - 1
            tile[k] = x[j] if 0 <= j < x.size else 0.0
    total = 0.0
    for k in range(3):
        j = i + k - 1
        total += x[j] if 0 <= j < x.size else 0.0
    if i < out.size:
        out[i] = total + 0 * tile[t]


def forgetting_the_barrier(x, out):
    tile = cuda.shared.array(10, np.float64)
    t = cuda.threadIdx.x
    i = cuda.blockIdx.x * 8 + t
    tile[t + 1] = x[i] if i < x.size else 0.0
    if t == 0:
        tile[0] = x[i - 1] if i > 0 else 0.0
    if t == 7:
        tile[9] = x[i + 1] if i + 1 < x.size else 0.0
    if i < out.size:
        out[i] = tile[t] + tile[t + 1] + tile[t + 2]


def plainly(x, out):
    i = cuda.blockIdx.x * 8 + cuda.threadIdx.x
    if i < x.size:
        total = 0.0
        for j in range(max(0, i - 1), min(x.size, i + 2)):
            total += x[j]
        out[i] = total


def without_the_rim(x, out):
    tile = cuda.shared.array(10, np.float64)
    t = cuda.threadIdx.x
    i = cuda.blockIdx.x * 8 + t
    tile[t + 1] = x[i] if i < x.size else 0.0
    cuda.syncthreads()
    if i < out.size:
        out[i] = tile[t] + tile[t + 1] + tile[t + 2]


def beyond_the_end(x, out):
    tile = cuda.shared.array(10, np.float64)
    t = cuda.threadIdx.x
    i = cuda.blockIdx.x * 8 + t
    tile[t + 1] = x[i]
    if t == 0:
        tile[0] = x[i - 1] if i > 0 else 0.0
    if t == 7:
        tile[9] = x[i + 1] if i + 1 < x.size else 0.0
    cuda.syncthreads()
    out[i] = tile[t] + tile[t + 1] + tile[t + 2]


def one_place_off(x, out):
    tile = cuda.shared.array(12, np.float64)
    t = cuda.threadIdx.x
    i = cuda.blockIdx.x * 8 + t
    tile[t] = x[i] if i < x.size else 0.0
    cuda.syncthreads()
    if i < out.size:
        out[i] = tile[t] + tile[t + 1] + tile[t + 2]


def the_first_only(x, out):
    if cuda.blockIdx.x == 0 and cuda.threadIdx.x == 0:
        out[0] = x[0] + x[1]


def all_write_the_first(x, out):
    i = cuda.blockIdx.x * 8 + cuda.threadIdx.x
    out[0] = x[0] + x[1]
    if 0 < i < x.size:
        out[i] = x[i - 1] + x[i] + (x[i + 1] if i + 1 < x.size else 0.0)


@needs_cuda
def test_15_worked():
    exercise("15", sum3)
    exercise("15", cuda.jit(sum3))


@needs_cuda
@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (plainly, "reads 22 numbers from x; 8 suffice"),
        (without_the_rim, "rim of a block"),
        (beyond_the_end, "lies outside of the array.*beyond the end"),
        (one_place_off, "Where in the tile"),
        (the_first_only, "was never written"),
        (all_write_the_first, "written more than once"),
    ],
)
def test_15_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=f"(?s){hint}"):
        exercise("15", mistake)


@needs_cuda
@pytest.mark.filterwarnings("ignore:invalid value")
def test_15_right_by_luck_is_not_right():
    with pytest.raises(AssertionError, match=r"a race: .*right only by luck.*syncthreads"):
        exercise("15", without_a_barrier)


@needs_cuda
@pytest.mark.filterwarnings("ignore:invalid value")
def test_15_a_missing_barrier_is_named_where_results_are_wrong_too():
    with pytest.raises(AssertionError, match=r"a race: .*syncthreads"):
        exercise("15", forgetting_the_barrier)


# -- 16: a kernel of one's own ----------------------------------------------------------------------------------------
def avg_pool2d(x, out, *, kernel, stride, padding, count_include_pad, checked=True, all_count=False):
    if checked:
        pool_axes(x.shape, out.shape, kernel, stride, padding)
    (KH, KW), (sh, sw), (ph, pw) = kernel, stride, padding
    H, W = out.shape[1:3]
    pad = ((0, 0), (ph, ph), (pw, pw), (0, 0))
    padded = np.pad(x, pad)
    inside = np.pad(np.ones((1, *x.shape[1:3], 1)), pad, constant_values=float(count_include_pad or all_count))
    share = np.zeros((1, H, W, 1))
    out[...] = 0
    for a in range(KH):
        for b in range(KW):
            out += padded[:, a::sh, b::sw][:, :H, :W]
            share += inside[:, a::sh, b::sw][:, :H, :W]
    out /= share
    return out


def by_running_sums(x, out, *, kernel, stride, padding, count_include_pad):
    """Sums of windows as differences of sums from the left: a NaN never leaves them again."""
    rows, cols = pool_axes(x.shape, out.shape, kernel, stride, padding)
    running = np.pad(np.pad(x, ((0, 0), *((p, p) for p in padding), (0, 0))).cumsum(1).cumsum(2),
                     ((0, 0), (1, 0), (1, 0), (0, 0)))  # fmt: skip
    for i in range(rows.out):
        for j in range(cols.out):
            top, left = i * stride[0], j * stride[1]
            low, right = top + kernel[0], left + kernel[1]
            total = running[:, low, right] - running[:, top, right] - running[:, low, left] + running[:, top, left]
            count = kernel[0] * kernel[1] if count_include_pad else len(rows.window(i)) * len(cols.window(j))
            out[:, i, j] = total / count
    return out


def test_16_worked():
    exercise("16", avg_pool2d)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        ({"all_count": True}, "count_include_pad=False divide by the number"),
        ({"checked": False}, "must raise ValueError"),
    ],
)
def test_16_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("16", lambda x, out, **settings: avg_pool2d(x, out, **settings, **mistake))


def swapped(x, out, *, stride, **settings):
    return avg_pool2d(x, out, stride=stride[::-1], **settings, checked=False)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (swapped, "rows first, then columns"),
        (by_running_sums, "running sums carry it along"),
        (reference.avg_pool2d, "right, but it takes"),
        (lambda x, out, **settings: out, "Begin with the plain case"),
    ],
)
def test_16_others(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("16", mistake)
