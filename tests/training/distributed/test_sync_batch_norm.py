"""Synchronised batch norm is batch norm of the whole: outputs, gradients of two orders, statistics. Ranks are threads
here; test_data_parallel.py has processes."""

import threading

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.training.distributed.sync_batch_norm import synchronise

SHARES = 3, 0, 1, 4  # rows of four ranks: none at all and a single one are allowed


class Rank:
    """One of several threads; `sum` is counted."""

    def __init__(self, rank, slots, barrier):
        self.rank, self.size, self.calls = rank, len(slots), 0
        self._slots, self._barrier = slots, barrier

    def sum(self, array):
        self.calls += 1
        self._slots[self.rank] = array
        self._barrier.wait()
        total = sum(self._slots[1:], self._slots[0])
        self._barrier.wait()
        return total


def together(work, count=4):
    """[work(rank)] of all ranks; what one of them raises is raised here."""
    found, slots = [None] * count, [None] * count
    barrier = threading.Barrier(count, timeout=20)

    def run(rank):
        try:
            with tr.kernels("im2col"):  # the compiled ones are for one thread of Python at a time
                found[rank] = work(Rank(rank, slots, barrier))
        except Exception as error:
            found[rank] = error
            barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    errors = [e for e in found if isinstance(e, Exception)]
    for error in sorted(errors, key=lambda e: isinstance(e, threading.BrokenBarrierError)):
        raise error
    return found


def draws(*shape, seed=0):
    return np.random.default_rng(seed).normal(0.5, 2, shape)


def rows_of(rank):
    return slice(sum(SHARES[:rank]), sum(SHARES[: rank + 1]))


def layer(image, affine):
    module = (nn.BatchNorm2d if image else nn.BatchNorm1d)(3, affine=affine).to("float64")
    if affine:
        module.weight.data, module.bias.data = draws(3, seed=1), draws(3, seed=2)
    return module


def results(module, rows, image, residual, relu, order):
    """y, and the gradients of a weighted sum of it; of order 2: those of the square of the first ones."""
    shape = (sum(SHARES), 3, 2, 5) if image else (sum(SHARES), 3)
    x = tr.tensor(draws(*shape, seed=3)[rows], requires_grad=True)
    other = tr.tensor(draws(*shape, seed=4)[rows], requires_grad=True)
    y = module(x, residual=other if residual else None, relu=relu)
    loss = (y * draws(*shape, seed=5)[rows]).sum()
    inputs = [x, *([other] if residual else []), *module.parameters()]
    found = tr.grad(loss, inputs, create_graph=order == 2)
    if order == 2:
        penalty = (found[0] * found[0] * draws(*shape, seed=6)[rows]).sum()
        found = tr.grad(penalty, [x, *([module.weight] if module.affine else [])])
    split = 1 + (residual and order == 1)
    return [y.numpy(), *(g.numpy() for g in found[:split])], [g.numpy() for g in found[split:]]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(("image", "affine"), [(True, True), (True, False), (False, True)])
def test_it_is_batch_norm_of_the_whole(image, affine, residual, relu, order):
    """At order 1 by the fused rules, at order 2 by the reference."""
    whole = layer(image, affine)
    expected, expected_sums = results(whole, slice(None), image, residual, relu, order)

    def work(rank):
        module = synchronise(layer(image, affine), rank)
        return *results(module, rows_of(rank.rank), image, residual, relu, order), dict(module.named_buffers())

    ranks = together(work)
    for parts, value in zip(zip(*(rows for rows, _, _ in ranks), strict=True), expected, strict=True):
        np.testing.assert_allclose(np.concatenate(parts), value, rtol=1e-10, atol=1e-11)
    for parts, value in zip(zip(*(sums for _, sums, _ in ranks), strict=True), expected_sums, strict=True):
        np.testing.assert_allclose(sum(parts), value, rtol=1e-10, atol=1e-11)  # each rank has those of its own loss
    for name, value in whole.named_buffers():
        for _, _, buffers in ranks:
            np.testing.assert_allclose(buffers[name].numpy(), value.numpy(), rtol=1e-12, err_msg=name)


def test_it_takes_one_exchange_forward_and_one_backward():
    def work(rank):
        module = synchronise(layer(True, True), rank)
        x = tr.tensor(draws(2, 3, 4, 4, seed=rank.rank), requires_grad=True)
        y = module(x, relu=True)
        forward = rank.calls
        y.sum().backward()
        module.eval()(x)
        return forward, rank.calls

    assert together(work, 2) == [(1, 2)] * 2


def test_nothing_cancels_where_the_mean_is_large():
    """Deviation 2 about 3000 here and 3001 there, in float32, whose sums of squares would be wrong in the first digit:
    what remains is the rounding of this rank's mean."""
    here, there = (draws(500, 2, seed=rank).astype("f") + 3000 + rank for rank in range(2))

    class Beside:
        rank, size = 0, 2

        def sum(self, table):
            exact = there.astype(float)
            table[1] = np.concatenate([[500], exact.mean(axis=0), exact.var(axis=0)])
            return table

    module = synchronise(nn.BatchNorm1d(2, momentum=1.0), Beside())
    module(tr.tensor(here))
    expected = np.concatenate([here, there]).astype(float).var(axis=0, ddof=1)
    rounding = np.spacing(np.float32(3000)) / 2
    np.testing.assert_allclose(module.running_var.numpy(), expected, rtol=0, atol=rounding)


def test_the_routes_of_a_residual_keep_their_roles():
    def work(rank):
        x = tr.tensor(draws(2, 3), requires_grad=True)
        return synchronise(layer(False, True), rank)(x, residual=x).node.roles

    assert together(work, 2) == [("branch", None, None, "skip")] * 2


def test_a_forward_pass_that_is_taken_again_counts_once():
    def work(rank):
        module = synchronise(layer(False, True), rank)
        x = tr.tensor(draws(4, 3, seed=rank.rank), requires_grad=True)
        plain = tr.grad((module(x) ** 3).sum(), x)[0].numpy()
        before = module.running_mean.numpy()
        y = tr.checkpoint(synchronise(module, rank), x)
        moved = module.running_mean.numpy()
        again = tr.grad((y**3).sum(), x)[0].numpy()
        same = np.array_equal(moved, module.running_mean.numpy())
        return (
            not np.array_equal(before, moved),
            same,
            np.allclose(plain, again, rtol=1e-12),
            int(module.num_batches_tracked.numpy()),
        )

    assert together(work, 2) == [(True, True, True, 2)] * 2


def test_one_value_in_all_is_an_error():
    def work(rank):
        synchronise(nn.BatchNorm1d(2), rank)(tr.tensor(np.zeros((1 - rank.rank, 2), "f")))

    with pytest.raises(ValueError, match=r"1 value\(s\) a channel in all processes, training needs at least 2"):
        together(work, 2)
