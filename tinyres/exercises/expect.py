"""What the checkers share: what came, what was needed, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dis import get_instructions, hasjabs, hasjrel
from functools import wraps
from inspect import Signature, signature
from types import CodeType
from typing import Any

import numpy as np

SHOWN = 20  # numbers of an array that a message shows


def given(answer: Any, call: str) -> None:
    """Raise unless the answer is a function; call: how it is called, "slope(w, x)"."""
    assert answer is not ..., f"hand over the function {call} as the second argument"
    assert callable(answer), f"{call} must be a function; your answer has the type {type(answer).__name__}"


def written(answer: Any, call: str) -> None:
    """`given`, for a function that returns nothing, whose body must not be `...` any more."""
    given(answer, call)
    assert not untouched(answer), f"{call} does nothing yet: write into its arrays where `...` stands"


def function(answer: Any, call: str) -> Callable[..., Any]:
    """The answer, which has to be a function and to return something; call: how it is called, "slope(w, x)"."""
    given(answer, call)
    if (own := _arguments(answer)) is not None and call.endswith(")"):
        names = [name.strip() for name in call[call.index("(") + 1 : -1].split(",") if name.strip()]
        try:
            own.bind(*names)
        except TypeError:
            raise AssertionError(f"it is called as {call}; your function takes {own}") from None

    @wraps(answer)
    def returning(*args: Any, **kwargs: Any) -> Any:
        came = answer(*args, **kwargs)
        assert came is not None, f"{call} returned None: does it end in a return?"
        parts = came if isinstance(came, tuple) else (came,)
        assert not any(part is ... for part in parts), f"{call} still returns `...`: put your answer in its place"
        return came

    return returning


def _arguments(answer: Callable[..., Any]) -> Signature | None:
    """What a function can be called with; None where Python does not know."""
    try:
        return signature(answer)
    except (TypeError, ValueError):
        return None


def untouched(answer: Any, stub: str = "") -> bool:
    """Whether it is the stub from the page: `...`, a function of nothing but that, or one that computes what the
    stub, a function's source, does."""
    code = getattr(answer, "__code__", None)
    if code is None:
        return answer is ...
    if stub and _doing(code) == _doing(next(c for c in compile(stub, "stub", "exec").co_consts if _is_code(c))):
        return True
    said = [part for value in code.co_consts for part in (value if isinstance(value, tuple) else (value,))]
    used = {"LOAD_FAST", "LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF"}.intersection(
        i.opname for i in get_instructions(code)
    )
    return not used and all(part is ... or part is None for part in said)


def _doing(code: CodeType) -> list[Any]:
    """What a function does, wherever it stands and whatever its lines and comments.

    Python calls a method in two ways: in the file that imports the module it belongs to, and elsewhere. Here they are
    one.
    """
    done: list[Any] = [code.co_varnames, code.co_argcount]
    for i in get_instructions(code):
        if _is_code(i.argval):
            done.append(_doing(i.argval))
        elif i.opname not in ("PUSH_NULL", "PRECALL", "NOP", "CACHE"):
            jumps = i.opcode in (*hasjrel, *hasjabs)
            done.append((i.opname.replace("LOAD_METHOD", "LOAD_ATTR"), None if jumps else repr(i.argval)))
    return done


def _is_code(value: object) -> bool:
    return isinstance(value, CodeType)


def number(came: Any, where: str) -> float:
    """What came, which has to be one number."""
    try:
        array = np.asarray(came, dtype=float)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{where}: expected one number, got {came!r}") from error
    assert array.shape == (), f"{where}: expected one number, got shape {array.shape}"
    return float(array)


def expect(
    came: Any,
    needed: Any,
    where: str,
    hint: Callable[[], str],
    *,
    said: str = "got {}, expected {}",
    rel: float = 1e-6,
    floor: float = 1e-9,
) -> None:
    """Raise unless `came` is `needed`, to the relative error `rel` or the absolute one `floor`; NaN never is.

    hint: asked for a sentence that says why, where it is not.
    """
    if not np.allclose(came, needed, rtol=rel, atol=floor):
        raise AssertionError(f"{where}: {said.format(_shown(came), _shown(needed))}. {hint()}")


def explain(
    came: Any, mistakes: Iterable[tuple[Any, str]], otherwise: str, *, rel: float = 1e-6, floor: float = 1e-9
) -> str:
    """The sentence of the first mistake that gives what came; `otherwise` where none does."""
    for mistaken, sentence in mistakes:
        if np.allclose(came, mistaken, rtol=rel, atol=floor):
            return sentence
    return otherwise


def _shown(values: Any) -> str:
    if np.ndim(values) == 0:
        return f"{float(values):.6g}"
    numbers = [f"{value:.6g}" for value in np.ravel(values)]
    return f"[{', '.join([*numbers[:SHOWN], *(['...'] if len(numbers) > SHOWN else [])])}]"


__all__ = ["expect", "explain", "function", "given", "number", "untouched"]
