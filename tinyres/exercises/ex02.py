"""The same tape, read forwards, gives the derivatives of everything with respect to one number.

That is forward mode. With J the Jacobian, one walk forwards is one column of J, one walk backwards is one row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyres.exercises.expect import expect, function

Entry = tuple[tuple[int, ...], tuple[float, ...]]  # numbers of the inputs, and the local slope for each


def check(answer: Callable[[Sequence[Entry], int], Sequence[float]]) -> None:
    """Compare answer(tape, start) with the sum over all routes, on small tapes and on random ones."""
    forward = function(answer, "forward(tape, start)")
    rng = np.random.default_rng(0)
    two_routes: list[Entry] = [((), ()), ((), ()), ((0, 1), (-1.5, 0.6)), ((0,), (0.71,)), ((2, 3), (1.0, 1.0))]
    squared: list[Entry] = [((), ()), ((0, 0), (3.0, 3.0))]
    tapes = [two_routes, squared, *(_random_tape(rng, length) for length in (3, 8, 20))]
    for tape in tapes:
        for start in range(len(tape)):
            _hold(forward, tape, start)


def _hold(forward: Callable[..., Any], tape: list[Entry], start: int) -> None:
    came, needed = np.asarray(forward(list(tape), start), dtype=float), _moves(tape, start)
    assert came.shape == needed.shape, f"expected one number per entry, {len(tape)} here; got shape {came.shape}"
    expect(came, needed, f"tape {tape}, start {start}", lambda: _hint(came, tape, start), rel=1e-9, floor=1e-12)


def _hint(came: np.ndarray, tape: list[Entry], start: int) -> str:
    if came.any() and np.allclose(came, _slopes(tape, len(tape) - 1)):
        return "That is the walk backwards: what the last entry owes to each. Walk from `start` on, forwards."
    if start and np.allclose(came, _slopes(tape, start)):
        return "That is the walk backwards from `start`: what it owes to each. Its own move goes on to later entries."
    if came[start] != 1.0:
        return "Entry `start` moves by 1 per unit of its own move: begin with that, and let nothing overwrite it."
    if any(came[k] for k in range(start)):
        return "What was written before `start` does not depend on it: those entries do not move."
    if np.allclose(came, _moves(tape, start, last_only=True)):
        return "Only the last route was kept: contributions from several inputs are added (+=, not =)."
    if np.allclose(came, _moves(tape, start, reverse=True)) or not came[start + 1 :].any():
        return "Entries were read before their inputs had moved: walk from the first entry to the last."
    return "An entry moves by the sum, over its inputs, of slope times how much that input moves."


def _moves(tape: list[Entry], start: int, *, last_only: bool = False, reverse: bool = False) -> np.ndarray:
    moves = np.zeros(len(tape))
    moves[start] = 1.0
    later = range(start + 1, len(tape))
    for k in reversed(later) if reverse else later:
        terms = [slope * moves[i] for i, slope in zip(*tape[k], strict=True)]
        moves[k] = (terms[-1] if last_only else sum(terms)) if terms else 0.0
    return moves


def _slopes(tape: list[Entry], end: int) -> np.ndarray:
    """The derivative of entry `end` with respect to each entry, by the walk backwards."""
    slopes = np.zeros(len(tape))
    slopes[end] = 1.0
    for k in range(end, -1, -1):
        for i, slope in zip(*tape[k], strict=True):
            slopes[i] += slope * slopes[k]
    return slopes


def _random_tape(rng: np.random.Generator, length: int) -> list[Entry]:
    tape: list[Entry] = [((), ()), ((), ())]
    for k in range(2, length):
        count = int(rng.integers(0, 3))
        inputs = tuple(int(i) for i in rng.integers(0, k, count))
        tape.append((inputs, tuple(float(s) for s in rng.standard_normal(count).round(2))))
    return tape


STUB = """\
def forward(tape, start):
    moves = [0.0] * len(tape)
    ...  # moves[k]: by how much entry k moves for each unit that entry `start` moves
    return moves
"""  # as on the page

__all__ = ["STUB", "check"]
