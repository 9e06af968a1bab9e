"""Worked solutions of exercises 14 and 15 pass; the usual mistakes are refused with the hint that names them."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.exercises import ex14, exercise

try:
    from tinyres_kernels.cuda.host import cuda
except ImportError:
    cuda = None
needs_cuda = pytest.mark.skipif(cuda is None, reason="NO NUMBA.CUDA: exercise 15 needs it, though no GPU")


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
        (lambda *a: listing(*a, retain=False, labels=1), "it raised an error: .*retain_graph"),
        (lambda *a: listing(*a, retain=True, labels=0), "D's gradient .*other player's loss is in it"),
        (
            lambda *a: (gradients(*a)[0], listing(*a, retain=True, labels=0)[1]),
            "G's gradient .*other player's loss is in it",
        ),
        (lambda *a: (gradients(*a)[0], listing(*a, retain=True, labels=1)[1]), "G's targets are zeros"),
        (apart(lambda d, g, f: d, lambda d, g, f: f), "G asks D to call its fakes fake"),
        (apart(lambda d, g, f: d, lambda d, g, f: -f), "saturating loss"),
        (apart(lambda d, g, f: d, lambda d, g, f: -g), "wrong sign"),
        (apart(lambda d, g, f: -d, lambda d, g, f: g), "D's gradient .*wrong sign"),
        (apart(lambda d, g, f: d - g, lambda d, g, f: g), "is subtracted"),
        (apart(lambda d, g, f: d, lambda d, g, f: g + g), "counted twice"),
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
        (plainly, "reads 22 numbers from x; 8 are enough"),
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
