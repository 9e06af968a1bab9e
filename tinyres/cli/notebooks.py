"""A percent-format file as a Jupyter notebook: the same cells, with their tags, and no outputs."""

from __future__ import annotations

import json
import re

CELL = re.compile(r"^# %%(?: \[(\w+)\])?(?: tags=(\[.*\]))?\n", re.MULTILINE)
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebook(text: str) -> str:
    """The text of an `.ipynb` file, in the notebook format 4.5."""
    _, *parts = CELL.split(text)  # kind, tags and source of each cell
    cells = [_cell(i, *found) for i, found in enumerate(zip(parts[::3], parts[1::3], parts[2::3], strict=True))]
    document = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _cell(index: int, kind: str | None, tags: str | None, source: str) -> dict[str, object]:
    lines = source.strip("\n").splitlines()
    found: dict[str, object] = {"id": f"cell-{index}", "metadata": {"tags": json.loads(tags)} if tags else {}}
    if kind == "markdown":
        lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
        return found | {"cell_type": "markdown", "source": "\n".join(lines)}
    return found | {"cell_type": "code", "execution_count": None, "outputs": [], "source": "\n".join(lines)}
