"""What an exercise says that nobody has tried yet."""

import pytest

from tinyres.exercises import NotRight, exercise


@pytest.mark.parametrize("number", [f"{k:02}" for k in range(1, 21)])
def test_a_call_without_an_answer_says_what_is_missing(number):
    with pytest.raises(NotRight, match=rf"Exercise {number} is not tried yet: "):
        exercise(number)


def test_a_function_as_it_stands_on_its_page_is_told_so():
    from tinyres.exercises import ex02

    names = {}
    exec(ex02.STUB, names)
    with pytest.raises(NotRight, match="02 is not tried yet: the function stands as on its page"):
        exercise("02", names["forward"])
