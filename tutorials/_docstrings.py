"""Docstrings here are plain text: formulas are indented, columns aligned with spaces, |x| is a norm.

This makes reStructuredText of them before napoleon reads their sections.
"""

import re

from _references import linked

SECTION = re.compile(r"^(Args|Arguments|Attributes|Example|Examples|Note|Notes|Raises|Returns|Yields):$")
ALIGNED = re.compile(r"\S {2,}\S")
SPAN = re.compile(r"(``[^`]+``|`[^`]+`|(?<![\w*])\*[^\s*](?:[^*]*[^\s*])?\*(?![\w*]))")  # code, emphasis


def convert(app, what, name, obj, options, lines):
    """Sphinx's `autodoc-process-docstring`."""
    made, in_section = [], False
    for paragraph in _paragraphs(lines):
        first = paragraph[0]
        if not _is_figure(paragraph):
            paragraph = linked("\n".join(paragraph)).split("\n")
        if SECTION.match(first):
            in_section = True
        elif not first.startswith(" "):
            in_section = False
        if in_section:
            made += [_escaped(line) for line in paragraph]
        elif _is_figure(paragraph):
            made += ["::", "", *("    " + line for line in paragraph)]
        else:
            made += _with_indented(paragraph)
        made.append("")
    lines[:] = made


def _paragraphs(lines):
    paragraph = []
    for line in [*lines, ""]:
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            yield paragraph
            paragraph = []


def _is_figure(paragraph):
    """Is its layout what it says: indented as a whole, or in columns?"""
    return all(line.startswith("    ") for line in paragraph) or sum(map(bool, map(ALIGNED.search, paragraph))) > 1


def _with_indented(paragraph):
    """Text, or a list; lines that are indented in the middle of a text are a formula."""
    if re.match(r"[-*] ", paragraph[0]):
        return [re.sub(r"^\\\*", "*", _escaped(line)) for line in paragraph]
    made, inside = [], False
    for line in paragraph:
        if SECTION.match(line) and made:
            made.append("")  # a section that stands right below its text
        indented = line.startswith("    ") and not any(map(SECTION.match, made))
        if indented and not inside:
            made += ["", "::", ""]
        elif inside and not indented:
            made.append("")
        inside = indented
        made.append(line if indented else _escaped(line))
    return made


def _escaped(line):
    """Outside of code and emphasis, `|x|`, `*` and a trailing underscore mean themselves."""
    parts = SPAN.split(line)
    parts[::2] = [re.sub(r"([*|]|(?<=\w)_(?!\w)|\\)", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)
