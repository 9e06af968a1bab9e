"""Formulas of a tutorial as a terminal can show them: `\\frac{f(x+h) - f(x)}{h}` becomes (f(x+h)-f(x))/h."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+(?:\n[^$\n]+)?)\$", re.DOTALL)
NAMES = (
    "arccos",
    "arcsin",
    "arctan",
    "cos",
    "det",
    "exp",
    "inf",
    "lim",
    "ln",
    "log",
    "max",
    "min",
    "sin",
    "sup",
    "tanh",
)
SIGNS = {
    "Vert": "‖", "ell": "ℓ", "langle": "⟨", "lVert": "‖", "le": "≤", "ge": "≥", "longrightarrow": "⟶", "odot": "⊙",
    "rVert": "‖", "rangle": "⟩", "top": "⊤",
}  # fmt: skip
# They say how something is written, not what.
BRACED = ("boldsymbol", "mathbf", "mathrm", "operatorname", "text", "textstyle")
APART = "\u00a0"  # its parser drops plain spaces
SIZES = re.compile(r"\\(?:left|right|[Bb]ig+[lr]?|!)(?![A-Za-z])")
SHORT = re.compile(r"\\tfrac\s*(\w|\\[A-Za-z]+)\s*(\w|\\[A-Za-z]+)")  # \tfrac12


GROUP = r"\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"
BRACE = re.compile(rf"\\underbrace{GROUP}_{GROUP}")  # a part, and what stands below its brace


def readable(text: str) -> str:
    """The text with its formulas in plain characters; one that cannot be read so stays as it is."""
    return FORMULA.sub(lambda found: _shown(found[1] or found[2]) or found[0], text)


def _shown(formula: str) -> str | None:
    """What is written under a brace follows in words: `... (x is du/dw)`."""
    made, below = _converted(BRACE.sub(lambda found: _factor(found[1]), formula)), BRACE.findall(formula)
    words = [f"{_converted(part)} is {_converted(name)}" for part, name in below]
    return made if made is None or not words else f"{made.rstrip('.')}, where {', '.join(words)}."


def _factor(part: str) -> str:
    """A part as it stands among others: a sum in parentheses."""
    outside = part
    while (less := re.sub(r"\([^()]*\)", "", outside)) != outside:
        outside = less
    return f" ({part}) " if re.search("[+-]", outside) else f" {part} "


def _converted(formula: str) -> str | None:
    source = SHORT.sub(r"\\frac{\1}{\2}", SIZES.sub("", formula)).replace(r"\tfrac", r"\frac")
    source = " ".join(source.replace(r"\qquad", r"\quad ").split())
    try:
        made: str = _converter().convert(source)
    except Exception:  # whatever its parser says: the reader gets the source
        return None
    if "\\" in made:
        return None
    made = re.sub(rf"\(({'|'.join(NAMES)}){APART}\)(\S)", rf"\1\2{APART}", made)  # tanh² a, not (tanh)²a
    made = re.sub(rf"{APART}(?=[\s(^²|⟨,.)]|$)", "", made).replace(APART, " ")
    return re.sub(r"\[(\w+)\]", r"_\1", made).strip()


@cache
def _converter() -> Any:
    import flatlatex

    converter = flatlatex.converter()
    for name in NAMES:
        converter.add_newcommand(rf"\newcommand{{\{name}}}{{{name}{APART}}}")
    for name, sign in SIGNS.items():
        converter.add_newcommand(rf"\newcommand{{\{name}}}{{{sign}}}")
    for name in BRACED:
        converter.add_newcommand(rf"\newcommand{{\{name}}}[1]{{#1}}")
    return converter


__all__ = ["readable"]
