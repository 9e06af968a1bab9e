"""`for_each`: many values in one test."""

import functools
import inspect


def for_each(argument, values):
    """As `pytest.mark.parametrize`, in one test: for what takes less time than pytest's own work for a test.

    The first value at which it fails ends it, and is told. What skips, or needs a fixture anew, is no such test.
    """

    def decorate(test):
        @functools.wraps(test)
        def every(**others):
            for value in values:
                try:
                    test(**{argument: value}, **others)
                except BaseException as error:
                    error.add_note(f"with {argument} = {value!r:.200}")
                    raise

        kept = inspect.signature(test).parameters.values()
        every.__signature__ = inspect.Signature([p for p in kept if p.name != argument])
        return every

    return decorate
