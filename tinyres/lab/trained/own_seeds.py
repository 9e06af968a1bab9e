"""The seeds of an experiment that trains several nets itself."""

from __future__ import annotations


def own_seeds(seed: int, count: int) -> list[int]:
    """The seeds of an experiment that trains `count` nets itself; no two seeds of the command share any."""
    return [count * seed + k for k in range(count)]
