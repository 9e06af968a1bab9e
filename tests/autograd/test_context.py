"""The ambient state: what a block changes ends with it, in whatever order blocks are left."""

import asyncio
import gc

import pytest

import tinyres as tr
from tinyres.context import current, is_recording


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

    asyncio.run(both())
    assert found == [False, True, False, True]
    with pytest.raises(TypeError, match="is an asynchronous generator, which a block cannot decorate: open the block"):

        @tr.no_grad()
        async def refused():
            yield 1
