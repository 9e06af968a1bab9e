"""Read a tutorial in a terminal, cell by cell: its text, its code, and what that prints.

`python -m tinyres.cli.reading FILE [FOLDER]` is the process of its own that `tinyres tutorials run` starts. Where the
text asks for a guess, someone at a terminal is waited for.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from tinyres.cli.formulas import readable
from tinyres.cli.notebooks import CELL, alone, plain
from tinyres.files import write_figure
from tinyres.viewer.tracing import Trace

GUESS = re.compile(r"^guess = \.\.\.", re.MULTILINE)
TAGS = re.compile(r"</?(?:details|summary)>")
ASKED = "Your guess (Enter to go on): "


def read(path: Path, folder: Path | None = None, ask: Callable[[str], Any] | None = None) -> None:
    """Print and run one cell after the other.

    Args:
        path: the tutorial, a percent-format file.
        folder: for its pictures, where no window can show them; without one they are only counted.
        ask: waits for a guess; None goes on at once.
    """
    from matplotlib import get_backend, pyplot

    names: dict[str, Any] = {"__name__": "__main__", "__file__": str(path)}
    unseen = get_backend().lower() == "agg"
    drawn = 0
    for line, kind, source in _cells(path.read_text(encoding="utf-8")):
        if kind == "markdown":
            print(_text(source), end="\n\n")
        elif GUESS.search(source):
            if ask is not None:
                ask(ASKED)
                print()
        else:
            print("".join(f"    {part}".rstrip() + "\n" for part in source.strip("\n").splitlines()))
            _execute("\n" * line + source, path, names, folder)
            print(flush=True)
        if unseen:
            for number in pyplot.get_fignums():
                drawn += 1
                if folder is not None:
                    write_figure(pyplot.figure(number), target := folder / f"{path.stem}-{drawn}.png")
                    print(f"wrote {target}\n")
            pyplot.close("all")
    if drawn and folder is None:
        pictures = "one picture was" if drawn == 1 else f"{drawn} pictures were"
        print(f"There is no display, so {pictures} drawn but not shown: --figures DIR keeps them.")


def _execute(source: str, path: Path, names: dict[str, Any], folder: Path | None) -> None:
    """Run a cell. Of a trace, which a notebook would show as a page, the terminal says how to see it."""
    body = ast.parse(source, str(path))
    value, last = None, body.body[-1] if body.body else None
    if isinstance(last, ast.Expr):
        body.body.pop()
    exec(compile(body, str(path), "exec"), names)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), str(path), "eval"), names)
    if isinstance(value, Trace):
        target = (folder or Path()) / f"{path.stem}.html"
        if folder is None:
            print(f"A page to step through: `tutorials run {path.stem[:2]} --figures DIR` writes {target} there.")
        else:
            value.save(target)
            print(f"wrote {target}, a page to step through")


def _cells(text: str) -> Iterator[tuple[int, str | None, str]]:
    """Of each cell the lines before it, its kind, None for code, and its source."""
    heads = list(CELL.finditer(text))
    for head, end in zip(heads, [*(h.start() for h in heads[1:]), len(text)], strict=True):
        yield text.count("\n", 0, head.end()), head[1], text[head.end() : end]


def _text(source: str) -> str:
    """What a cell of text says, its formulas in plain characters, without the marks that fold an answer away."""
    return readable(re.sub(r"\n{3,}", "\n\n", TAGS.sub("", plain(alone(source)))))


def main() -> None:
    """Read the file that is named, with its pictures in the folder."""
    path, *folder = map(Path, sys.argv[1:])
    someone = sys.stdin.isatty() and sys.stdout.isatty()
    for stream in (sys.stdout, sys.stderr):  # of a pipe on Windows, say, whose encoding has no χ
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        read(path, folder[0] if folder else None, input if someone else None)
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:  # the command that started this process says so
        sys.exit(130)


if __name__ == "__main__":
    main()
