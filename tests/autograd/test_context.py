"""The ambient state: what a block changes ends with it, in whatever order blocks are left."""

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor

import pytest

import tinyres as tr
from tests.autograd.leaves import leaf
from tinyres.context import context, current, is_recording


def counting(n):
    """A generator that holds a block open between its items."""
    with tr.no_grad():
        yield from range(n)


def test_a_generator_that_is_closed_within_another_block_leaves_nothing_behind():
    before = current()
    for close in (lambda g: g.close(), lambda g: None):  # by hand, or when it is collected
        generator = counting(3)
        next(generator)
        assert not is_recording()
        with tr.kernels("reference"):
            close(generator)
            del generator
            gc.collect()
            assert is_recording()
            assert current().kernels == "reference"
        assert current() == before


def test_blocks_left_in_the_order_in_which_they_were_entered():
    before = current()
    first, second = tr.no_grad(), tr.kernels("im2col")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert (current().recording, current().kernels) == (True, "im2col")
    second.__exit__(None, None, None)
    assert current() == before


def test_observers_left_in_any_order_leave_themselves_alone():
    before, a, b = current(), tr.Observer(), tr.Observer()
    for order in ((a, b), (b, a)):
        a.__enter__()
        b.__enter__()
        order[0].__exit__(None, None, None)
        assert current().observers == (order[1],)
        order[1].__exit__(None, None, None)
        assert current() == before
    a.__enter__()
    a.__enter__()
    a.__exit__(None, None, None)
    assert current().observers == (a,)
    a.__exit__(None, None, None)
    assert current() == before


@tr.no_grad()
def decorated(log):
    """Says at each turn whether it is recorded; takes what is sent and thrown."""
    log.append(is_recording())
    try:
        sent = yield 1
        log.append((sent, is_recording()))
        yield 2
    except ValueError:
        log.append(("thrown", is_recording()))
        yield 3
    finally:
        log.append(("end", is_recording()))
    return "done"


def test_a_decorated_generator_is_inside_while_its_body_runs():
    log = []
    generator = decorated(log)
    assert (next(generator), is_recording()) == (1, True)
    assert (generator.send("x"), is_recording()) == (2, True)
    assert generator.throw(ValueError) == 3
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "done"
    assert log == [False, ("x", False), ("thrown", False), ("end", False)]
    log.clear()
    generator = decorated(log)
    next(generator)
    generator.close()
    assert log == [False, ("end", False)]
    assert decorated.__doc__.startswith("Says at each turn")


def test_a_decorated_coroutine_is_inside_and_other_tasks_are_not():
    found = []

    @tr.no_grad()
    async def inside():
        found.append(is_recording())
        await asyncio.sleep(0)
        found.append(is_recording())

    async def outside():
        found.append(is_recording())
        await asyncio.sleep(0)
        found.append(is_recording())

    async def both():
        await asyncio.gather(inside(), outside())

    with ThreadPoolExecutor(1) as thread:  # of its own: a browser's test before may have left a loop in this one
        thread.submit(asyncio.run, both()).result()
    assert found == [False, True, False, True]
    with pytest.raises(TypeError, match="is an asynchronous generator, which a block cannot decorate: open the block"):

        @tr.no_grad()
        async def refused():
            yield 1


def test_observers_watch_side_by_side():
    class Count(tr.Observer):
        def __init__(self):
            self.seen = 0

        def on_forward(self, node, value):
            self.seen += 1

    x, outer, inner = leaf(2), Count(), Count()
    with outer:
        tr.exp(x)
        with inner:
            tr.exp(x)
        tr.exp(x)
    assert (outer.seen, inner.seen) == (3, 1)


def test_the_context_is_restored_after_an_error():
    before = current()
    with pytest.raises(ValueError, match="planted"), tr.no_grad(), tr.Observer(), tr.kernels("reference"):
        raise ValueError("planted")
    assert current() is before


def test_a_decorated_function_may_call_itself():
    depth = []

    @tr.no_grad()
    def recurse(n):
        depth.append(tr.is_recording())
        if n:
            recurse(n - 1)
        depth.append(tr.is_recording())

    recurse(3)
    assert not any(depth)
    assert tr.is_recording()
    with context(path="a"), context(path="b"):
        assert current().path == "b"


def test_one_block_may_be_entered_inside_itself():
    block = tr.no_grad()
    with block, block:
        assert not tr.is_recording()
    assert tr.is_recording()


def test_recording_is_switched_until_the_block_ends_or_for_good():
    x = tr.tensor([1.0], requires_grad=True)
    with tr.set_grad_enabled(False):
        assert not tr.is_grad_enabled()
        assert not (x * 2).requires_grad
        with tr.set_grad_enabled(True):
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad
    with tr.no_grad():
        tr.set_grad_enabled(True)
        assert (x * 2).requires_grad
    assert tr.is_grad_enabled()
    try:
        tr.set_grad_enabled(False)
        assert not (x * 2).requires_grad
    finally:
        tr.set_grad_enabled(True)
    assert (x * 2).requires_grad


@pytest.mark.parametrize("mode", [True, False])
def test_inference_mode(mode):
    x = tr.tensor([1.0], requires_grad=True)
    with tr.inference_mode(mode):
        y = x * 2
    assert y.requires_grad is not mode

    @tr.inference_mode(mode)
    def double():
        return x * 2

    assert double().requires_grad is not mode
    assert tr.is_grad_enabled()
