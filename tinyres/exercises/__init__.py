"""What checks a reader's answers to the exercises of the tutorials: a file a tutorial, found by its number.

A checker is a module `exNN` with `check(answer)`, which raises an AssertionError that says what came and what was
needed, with a hint. The first line of its docstring is what a right answer has shown.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any


def exercise(number: str, answer: Any) -> None:
    """Check the answer to the exercise of a tutorial, and print in one line what a right one has shown.

    Args:
        number: of the tutorial: "03".
        answer: what the exercise asks for, mostly a function.

    Raises:
        AssertionError: the answer is not right; the message says where, and gives a hint.
        ValueError: no tutorial of that number has an exercise.
    """
    name = f"ex{str(number).zfill(2)}"
    names = sorted(entry.name for entry in pkgutil.iter_modules(__path__) if entry.name[2:].isdigit())
    if name not in names:
        there = ", ".join(known.removeprefix("ex") for known in names)
        raise ValueError(f"exercise: there is no exercise {number!r}; there are {there}")
    checker = import_module(f"{__name__}.{name}")
    checker.check(answer)
    shown = str(checker.__doc__).strip().splitlines()[0]
    print(f"Exercise {name.removeprefix('ex')} is right. {shown}")


__all__ = ["exercise"]
