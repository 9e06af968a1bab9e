"""Many values in one test: all of them are tried, and the one at which it fails is told."""

import inspect

import pytest

from tests.each import for_each


def test_each_value_is_tried_with_what_is_given_besides():
    tried = []

    @for_each("a", [1, 2])
    @for_each("b", "xy")
    def of(a, b, given):
        tried.append((a, b, given))

    assert list(inspect.signature(of).parameters) == ["given"]
    of(given=3)
    assert tried == [(1, "x", 3), (1, "y", 3), (2, "x", 3), (2, "y", 3)]


def test_the_value_at_which_it_fails_is_told():
    @for_each("a", [1, 2, 3])
    def less_than_two(a):
        assert a < 2

    with pytest.raises(AssertionError) as failed:
        less_than_two()
    assert failed.value.__notes__ == ["with a = 2"]
