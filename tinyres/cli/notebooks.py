"""A percent-format file as a Jupyter notebook: the same cells, with their tags, and no outputs.

The stub of an exercise, which is part of a text so that the file runs as a script, becomes a cell to fill in.
"""

from __future__ import annotations

import inspect
import json
import re
from importlib import import_module

CELL = re.compile(r"^# %%(?: \[(\w+)\])?(?: tags=(\[.*\]))?\n", re.MULTILINE)
STUB = re.compile(r"^# ```python\n((?:#.*\n)*?# tr\.exercise\(.*\n(?:#.*\n)*?)# ```\n", re.MULTILINE)
FILL_IN = ["raises-exception"]  # "Run all" does not stop at an answer that is not there yet
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


INCLUDE = re.compile(r"^# ```\{literalinclude\} \.\./(\S+)\.py\n# :pyobject: (\w+)\n# ```\n", re.MULTILINE)
KEY = re.compile(
    r"(?:\n#)?\s\[[a-z]+\d{4}[a-z]+\]"
)  # of a source; the site links it, and a notebook has no bibliography
RESULTS = (
    "# Run this cell to keep what tr.exercise says, right or wrong, beside this notebook.\n%env TINYRES_EXERCISES=."
)


def alone(text: str) -> str:
    """A tutorial as it is read away from the site: without the keys of sources, and with the code that the site
    includes from the library."""

    def included(found: re.Match[str]) -> str:
        module, name = import_module(found[1].replace("/", ".")), found[2]
        lines = ["```python", *inspect.getsource(getattr(module, name)).splitlines(), "```"]
        return "".join(f"# {line}".rstrip() + "\n" for line in lines)

    return KEY.sub("", INCLUDE.sub(included, text))


def notebook(text: str, results: bool = False) -> str:
    """The text of an `.ipynb` file, in the notebook format 4.5.

    With `results`, a cell comes first that lets `tr.exercise` keep what it says in the notebook's own folder.
    """
    _, *parts = CELL.split(alone(text))  # kind, tags and source of each cell
    made: list[dict[str, object]] = [_cell(None, [], RESULTS)] if results else []
    for kind, tags, source in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        before, *stubs = STUB.split(source) if kind == "markdown" else [source]
        made.append(_cell(kind, json.loads(tags) if tags else [], before))
        for stub, after in zip(stubs[::2], stubs[1::2], strict=True):
            made.append(_cell(None, FILL_IN, plain(stub)))
            if after.strip("#\n "):
                made.append(_cell(kind, [], re.sub(r"\A(?:#\n)+", "", after)))
    cells = [{"id": f"cell-{i}"} | cell for i, cell in enumerate(made)]
    document = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _cell(kind: str | None, tags: list[str], source: str) -> dict[str, object]:
    found: dict[str, object] = {"metadata": {"tags": tags} if tags else {}}
    if kind == "markdown":
        return found | {"cell_type": "markdown", "source": plain(source)}
    return found | {"cell_type": "code", "execution_count": None, "outputs": [], "source": source.strip("\n")}


def plain(source: str) -> str:
    """The text of comment lines."""
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in source.strip("\n").splitlines())
