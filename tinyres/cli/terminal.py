"""Printing: plain texts on any terminal, whatever letters it lacks."""

from __future__ import annotations

import codecs
import os
import sys
import unicodedata
from typing import Any, NoReturn, TextIO

LEAST = 61  # columns; a narrower terminal wraps lines by itself, where rich would cut words of a table off
ENOUGH = 1000  # columns, for any row
WORDS = {
    "χ": "chi", "ξ": "xi", "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "θ": "theta", "λ": "lambda",
    "μ": "mu", "π": "pi", "ρ": "rho", "σ": "sigma", "φ": "phi", "ψ": "psi", "√": "sqrt ", "∏": "prod ", "∞": "inf",
    "±": "+-", "·": " ", "×": "x", "≤": "<=", "≥": ">=", "≈": "~", "→": "->", "²": "^2", "ᴸ": "^L", "–": "-",
    "…": "...", "—": "-", "“": '"', "”": '"', "‘": "'", "’": "'", "▎": "|", "━": "-", "╸": "-", "╺": "-",
}  # fmt: skip


def spelled(error: UnicodeError) -> tuple[str, int]:
    """Spell letters that a terminal lacks: chi for χ, e for é; a question mark if there is no spelling."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    return "".join(WORDS.get(c) or _plain(c) for c in text), error.end


def _plain(letter: str) -> str:
    """The letter without its accents; a superscript or subscript as an ordinary digit or letter."""
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"


def speak_anywhere(*streams: TextIO) -> None:
    """Let streams spell the letters that their encoding lacks."""
    codecs.register_error("tinyres.spelled", spelled)
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="tinyres.spelled")


def printable(text: str) -> str:
    """The text with a question mark for each character that a terminal would obey, not show."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def terminal(least: int = LEAST, **options: Any) -> Any:
    """A rich Console without markup, because a folder may be called a[/b], and a range is [0, 1].

    least: the fewest columns that what is printed fits into.
    """
    from rich.console import Console

    made = Console(markup=False, highlight=False, emoji=False, **options)
    made.on_broken_pipe = _gone  # type: ignore[method-assign]
    made.width = max(made.width, least)
    return made


def show(console: Any, *tables: Any) -> None:
    """Print tables: on a terminal as wide as it is, into a file or a pipe, which has no width, as wide as rows need."""
    width = console.width
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = ENOUGH
    console.print(*tables)
    console.width = width


def _gone() -> NoReturn:
    """What reads the output, `head` say, has ended: rich would end the command with status 1 and without a word."""
    raise BrokenPipeError


def say(console: Any, text: str, lead: str = "", style: str = "") -> None:
    """Print one line, however long; `lead` comes before it in a style of its own."""
    from rich.text import Text

    line = Text(f"{lead} " if lead else "", style)
    console.print(line.append(printable(text), "" if lead else style), soft_wrap=True)


def complain(text: str) -> None:
    """Print a sentence to standard error."""
    print(printable(text), file=sys.stderr)
