"""A script or a notebook as `tinyres port` reads it, and the same with imports of tinyres."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

from tinyres.cli.common import UsageError

MAGIC = re.compile(  # lines of IPython: %matplotlib inline, !pip install, files = !ls, help?
    r"^\s*(?:%%?[A-Za-z]|!|\?|[\w.]+\?{1,2}\s*$|[\w, ]+=\s*[!%])"
)
RUN = ("%%time", "%%timeit", "%%capture", "%%prun")  # of a cell: the rest of it is Python


class Source:
    """The Python of a file: a script's text, or the code cells of a notebook, one after the other.

    Attributes:
        text: the whole of it; IPython's own lines are comments there.
        tree: what it says.
    """

    def __init__(self, path: Path) -> None:
        try:
            content = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            why = (
                "is a folder; name a script or a notebook in it"
                if path.is_dir()
                else f"cannot be read: {error.strerror}"
            )
            raise UsageError(f"{path}: {why}") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}: is not Python: byte {error.start} is no UTF-8; convert it first") from error
        self._notebook: dict[str, Any] | None = None
        self._cells: list[tuple[int, list[str]]] = []  # index in the notebook, lines
        if path.suffix == ".ipynb":
            self._notebook = _notebook(path, content)
            cells = enumerate(self._notebook["cells"])
            self._cells = [(k, _lines(cell)) for k, cell in cells if cell.get("cell_type") == "code"]
            content = "\n".join(line for _, lines in self._cells for line in _python(lines))
        self.text = content
        try:
            self.tree = ast.parse(content)
        except SyntaxError as error:
            where = f"{self.place(error.lineno or 1)}: "
            raise UsageError(f"{path}: is not Python: {where}{error.msg}") from error
        except ValueError as error:  # a null byte
            raise UsageError(f"{path}: is not Python: {error}") from error

    def place(self, line: int) -> str:
        """Where a line of the text is: "line 3", in a notebook "cell 2, line 3". Cells of prose count, too."""
        for number, lines in self._cells:
            if line <= len(lines):
                return f"cell {number + 1}, line {line}"
            line -= len(lines)
        return f"line {line}"

    def ported(self) -> str:
        """The content of a file of the same kind, in which each import of torch is one of tinyres."""
        if self._notebook is None:
            return with_imports(self.text, self.tree)
        lines, first = with_imports(self.text, self.tree).split("\n"), 0
        for number, own in self._cells:
            here = lines[first : first + len(own)]
            kept = [
                old if MAGIC.match(old) or new == _comment(old) else new for old, new in zip(own, here, strict=True)
            ]
            self._notebook["cells"][number]["source"] = "\n".join(kept).splitlines(keepends=True)
            first += len(own)
        return json.dumps(self._notebook, ensure_ascii=False, indent=1) + "\n"


def with_imports(text: str, tree: ast.AST) -> str:
    """The text with `import torch` replaced by `import tinyres as torch`, `torch.nn` by `tinyres.nn`, and so on.

    Other names in the same statement stay, and so do texts and comments that mention torch.
    """
    lines = [line.encode() for line in text.split("\n")]  # columns count bytes
    found: list[tuple[int, int, ast.alias | None]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.lineno, alias.col_offset, alias) for alias in node.names if _of_torch(alias.name)]
        elif isinstance(node, ast.ImportFrom) and not node.level and _of_torch(node.module):
            found.append((node.lineno, node.col_offset, None))
    for number, column, alias in sorted(found, key=lambda place: place[:2], reverse=True):  # columns before stay true
        line = lines[number - 1]
        before, after = line[:column], line[column:]
        if alias is None:
            after = re.sub(rb"^(from\s+)torch\b", rb"\1tinyres", after)
        elif alias.asname is None:  # `import torch.nn` binds torch
            after = re.sub(rb"^torch[\w.]*", b"tinyres as torch", after)
        else:
            after = re.sub(rb"^torch\b", b"tinyres", after)
        lines[number - 1] = before + after
    return b"\n".join(lines).decode()


def _of_torch(name: str | None) -> bool:
    return (name or "").partition(".")[0] == "torch"


def _notebook(path: Path, content: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError as error:
        raise UsageError(f"{path}: is not a Jupyter notebook: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("cells"), list):
        raise UsageError(f'{path}: is not a Jupyter notebook of version 4: it has no list of "cells"')
    return found


def _lines(cell: dict[str, Any]) -> list[str]:
    source = cell.get("source", "")
    return ("".join(source) if isinstance(source, list) else str(source)).split("\n")


def _python(lines: list[str]) -> list[str]:
    """The lines of a cell, IPython's own turned into comments; all of a cell that another program runs."""
    magic = next((line for line in lines if line.strip()), "")
    if magic.startswith("%%") and not magic.startswith(RUN):
        return [_comment(line) for line in lines]
    return [_pass(line) if MAGIC.match(line) else line for line in lines]


def _comment(line: str) -> str:
    return f"# {line}"


def _pass(line: str) -> str:
    """A statement in place of a line of IPython, which may be all that a block holds."""
    return f"{line[: len(line) - len(line.lstrip())]}pass"
