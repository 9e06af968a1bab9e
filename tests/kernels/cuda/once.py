"""What takes minutes is found once, by the first of pytest's workers to ask; the others wait for its file."""

import os
from pathlib import Path

from filelock import FileLock


def found_once(tmp_path_factory, name, find) -> str:
    """The text that `find()` returns."""
    folder = Path(tmp_path_factory.getbasetemp())
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder  # which all workers share
    kept = folder / name
    with FileLock(folder / f"{name}.lock"):
        if not kept.exists():
            kept.write_text(find())
        return kept.read_text()
