"""What a child process needs in order to find the packages that this one found."""

from __future__ import annotations

import os
import sys


def environment(**more: str) -> dict[str, str]:
    """This process's variables, and `more`. The import path goes along as PYTHONPATH, absolute: a checkout that is not
    installed is found from every folder."""
    path = os.pathsep.join(os.path.abspath(folder) for folder in sys.path)  # "" is the current folder
    return {**os.environ, "PYTHONPATH": path, **more}
