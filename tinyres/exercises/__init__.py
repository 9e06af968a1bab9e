"""What checks a reader's answers to the exercises of the tutorials: one file per tutorial, found by its number.

A checker is a module `exNN` with `check(answer)`, which raises an AssertionError that says what came and what was
needed, with a hint. The first line of its docstring is what a right answer has shown.
"""

from __future__ import annotations

import os
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Any

from tinyres.exercises.expect import untouched
from tinyres.exercises.plainly import NotRight, raised_in, show_plainly
from tinyres.exercises.results import record

FOLDER = "TINYRES_EXERCISES"


def exercise(
    number: str, answer: Any = ..., *, results: str | os.PathLike[str] | None = None, name: object = ""
) -> None:
    """Check the answer to the exercise of a tutorial, and print in one line what a right one has shown.

    Nothing is written unless you ask for it. If you name a folder, with `results` or with the environment variable
    TINYRES_EXERCISES, a line is appended to `tinyres-results.csv` there: the tutorial's number, the time, right or
    wrong, and `name`. The answer itself is not kept, and the function from the page, as it stands there, is not tried
    yet. `tinyres tutorials results` collects the files of a class.

    Args:
        number: of the tutorial: "03".
        answer: what the exercise asks for, mostly a function.
        results: the folder for the file of results; it is made if it does not exist.
        name: who answered; written into that file, and used for nothing else.

    Raises:
        NotRight: the answer is not right; the message says where, and gives a hint. A notebook and a script show the
            message alone; what your own function raises is shown with its traceback, as ever.
        ValueError: no tutorial of that number has an exercise.
    """
    folder = os.environ.get(FOLDER) if results is None else results
    digits = str(number).zfill(2)
    there = sorted(entry.name[2:] for entry in pkgutil.iter_modules(__path__) if entry.name[2:].isdigit())
    if digits not in there:
        raise ValueError(f"exercise: there is no exercise {number!r}; there are {', '.join(there)}")
    checker = import_module(f"{__name__}.ex{digits}")
    try:
        checker.check(answer)
    except Exception as error:  # whatever it is, the answer is not right; Ctrl-C says nothing about it
        tried = not untouched(answer, getattr(checker, "STUB", ""))
        if folder and tried:
            record(folder, digits, False, str(name))
        if isinstance(error, AssertionError) and raised_in(Path(__file__).parent, error):
            show_plainly()
            stands = not tried and not untouched(answer)
            said = "the function stands as on its page, with `...` for an answer" if stands else error
            raise NotRight(f"Exercise {digits} is not {'right' if tried else 'tried'} yet: {said}") from None
        raise
    if folder:
        record(folder, digits, True, str(name))
    shown = str(checker.__doc__).strip().splitlines()[0]
    print(f"Exercise {digits} is right. {shown}")


__all__ = ["NotRight", "exercise"]
