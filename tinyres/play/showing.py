"""Where `tr.play()` shows the page: in a notebook's cell, or in a browser."""

from __future__ import annotations

import sys
from typing import Any

from tinyres.play.labs import LABS


def show(setting: dict[str, Any]) -> Any:
    """The widget in a notebook; elsewhere serve the page until Ctrl-C. See `tinyres.play.play`."""
    setting = dict(setting)
    name = setting.pop("lab", "net")
    if name not in LABS:
        raise ValueError(f"play: lab must be one of {', '.join(LABS)}, got {name!r}")
    LABS[name].setting(setting)  # raises for what is wrong with it, before anything is shown
    if in_notebook():
        try:
            from tinyres.play.widget import Playground
        except ImportError as error:
            raise ImportError("play: in a notebook this needs anywidget; pip install 'tinyres[play]'") from error
        return Playground(name, setting)
    try:
        from tinyres.play.server import serve
    except ImportError as error:
        raise ImportError(f"play: {error.name} is missing; pip install 'tinyres[play]'") from error
    serve(opening={"lab": name, "setting": setting})
    return None


def in_notebook() -> bool:
    """Whether a front end shows what a cell returns: Jupyter, VS Code, Colab, or marimo."""
    if "marimo" in sys.modules:
        import marimo

        if marimo.running_in_notebook():
            return True
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")
