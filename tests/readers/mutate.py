"""Damaged inputs: bits, cuts, insertions, and numbers that became extreme."""

import random
import re

NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
EXTREMES = [
    b"-1", b"0", b"1", b"2", b"1e308", b"-1e308", b"1e400", b"5e-324", b"NaN", b"Infinity", b"nan", b"inf", b"null",
    b"true", b'""', b"[]", b"{}", b"0.5", b"%d" % 2**31, b"%d" % (2**63 - 1), b"%d" % 2**70, b"9" * 5000, b"[" * 5000,
]  # fmt: skip
WORDS = [
    b"\0" * 4,
    b"\xff" * 4,
    b"\x7f" + b"\xff" * 3,
    b"\x80\0\0\0",
    b"\0\0\0\1",
    b"\1\0\0\0",
    b"\xff" * 8,
    b"\0" * 512,
]


def mutated(whole: bytes, draw: random.Random) -> bytes:
    """One to three changes of `whole`, most of them near its beginning, where headers are."""
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        whole = draw.choice([_flip, _flip, _cut, _insert, _overwrite, _extreme, _extreme])(whole, draw)
    return whole


def _place(whole, draw):
    end = len(whole) if draw.random() < 0.5 else min(len(whole), 4096)
    return draw.randrange(end + 1)


def _flip(whole, draw):
    if not whole:
        return whole
    at = min(_place(whole, draw), len(whole) - 1)
    return whole[:at] + bytes([whole[at] ^ 1 << draw.randrange(8)]) + whole[at + 1 :]


def _cut(whole, draw):
    at = _place(whole, draw)
    return whole[:at] if draw.random() < 0.5 else whole[:at] + whole[at + draw.randrange(1, 99) :]


def _insert(whole, draw):
    at, other = _place(whole, draw), _place(whole, draw)
    piece = draw.choice(
        [draw.randbytes(draw.randrange(1, 99)), whole[other : other + 200], b"\xed\xa0\x80", b"\n", b"\r"]
    )
    return whole[:at] + piece + whole[at:]


def _overwrite(whole, draw):
    at, word = _place(whole, draw), draw.choice(WORDS)
    return whole[:at] + word + whole[at + len(word) :]


def _extreme(whole, draw):
    """A number in a text, or what looks like one in bytes."""
    found = list(NUMBER.finditer(whole[: 1 << 16]))
    if not found:
        return _overwrite(whole, draw)
    match = draw.choice(found)
    return whole[: match.start()] + draw.choice(EXTREMES) + whole[match.end() :]
