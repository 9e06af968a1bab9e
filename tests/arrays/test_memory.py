"""Recycled memory: handed out again only when nothing reads it any more."""

import gc
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import tinyres as tr
from tinyres import models
from tinyres.arrays import memory

SHAPE = (64, 1024)  # float32: 256 KB


@pytest.fixture(autouse=True)
def nothing_idle():
    memory.release()
    yield
    memory.release()


def place(array):
    return array.__array_interface__["data"][0]


def test_memory_comes_back_when_the_array_dies():
    first = memory.empty(SHAPE, "f")
    where = place(first)
    del first
    again = memory.empty((1024, 32), "d")  # as many bytes
    assert place(again) == where
    assert place(memory.empty(SHAPE, "f")) != where


@pytest.mark.parametrize(
    "keep",
    [
        lambda a: a[3:5],
        lambda a: a.T,
        lambda a: memoryview(a),
        lambda a: a.view(np.uint8)[:, ::7],
        lambda a: np.broadcast_to(a[0], (5, 1024)),
        lambda a: np.lib.stride_tricks.as_strided(a, (2, 2), (4, 4)),
        lambda a: a.reshape(-1),
        lambda a: iter(a),
    ],
)
@pytest.mark.slow
def test_whatever_still_reads_keeps_it(keep):
    array = memory.empty(SHAPE, "f")
    where = place(array)
    view = keep(array)
    del array
    gc.collect()
    assert place(memory.empty(SHAPE, "f")) != where
    del view
    gc.collect()
    assert place(memory.empty(SHAPE, "f")) == where


def test_small_arrays_are_numpys_own_and_large_ones_are_aligned_and_writeable():
    assert memory.empty((3,), "f").base is None
    for dtype in "fd":
        array = memory.empty(SHAPE, dtype)
        assert place(array) % 64 == 0
        assert array.flags.c_contiguous
        assert array.flags.writeable
        array[...] = 1
    assert memory.empty((0, 5), "f").shape == (0, 5)


def test_idle_memory_has_a_limit_and_what_was_asked_for_longest_ago_goes_first(monkeypatch):
    monkeypatch.setattr(memory, "LIMIT", 3 * 2**20)
    old = memory.empty((2**19,), "f")  # 2 MB
    new = [memory.empty((2**18,), "f") for _ in range(2)]  # 1 MB each
    places = {place(array) for array in new}
    del old
    new.pop()
    assert memory._idle.bytes == 3 * 2**20
    new.pop()  # one more than the limit: the block of 2 MB goes
    assert memory._idle.bytes == 2 * 2**20
    assert {place(memory.empty((2**18,), "f")), place(memory.empty((2**18,), "f"))} <= places


def test_a_training_step_reads_nothing_that_was_handed_out_again():
    """The same net, once on recycled memory that is overwritten as soon as it is free, once on fresh memory."""

    def gradients():
        model = models.resnet(8, width=8, rng=0)
        x = tr.tensor(np.random.default_rng(0).standard_normal((16, 3, 32, 32)).astype("f"))
        for _ in range(2):
            loss = tr.ops.cross_entropy(model(x), np.arange(16) % 10)
            loss.backward()
        return [p.grad.numpy().copy() for p in model.parameters()]

    def poisoned(self, size, block):
        block[0][...] = 0xFF  # NaN, whatever the floating dtype
        give(self, size, block)

    expected = gradients()
    give = memory._Idle.give
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory._Lease.__del__, "__defaults__", (lambda size, block: poisoned(memory._idle, size, block),))
        found = gradients()
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_array_may_outlive_everything():
    code = "from tinyres.arrays import memory; import builtins; builtins.kept = memory.empty((1 << 20,), 'f')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr == ""


class Machine(RuleBasedStateMachine):
    """Arrays taken, viewed and dropped in any order: what is alive keeps what was written into it."""

    @initialize()
    def begin(self):
        memory.release()
        self.alive = []
        self.count = 0

    @rule(rows=st.sampled_from([16, 32, 64]), views=st.booleans())
    def take(self, rows, views):
        array = memory.empty((rows, 1024), "f")
        self.count += 1
        array[...] = self.count
        self.alive.append((array[1:, ::2] if views else array, self.count))

    @rule(k=st.integers(0, 10))
    def drop(self, k):
        if self.alive:
            self.alive.pop(k % len(self.alive))

    @invariant()
    def nobody_wrote_into_another(self):
        for array, value in getattr(self, "alive", ()):
            assert (array == value).all()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
