"""The playground: turn a knob, and watch the gradient vanish or survive. `tinyres play`, or `tr.play()` in a notebook.

knobs.py       what can be turned, and checking it; net_knobs.py and game_knobs.py list them, labs.py has both labs
nets.py        fully connected nets with everything free that theory speaks of
made.py        a setting made into data, model and optimiser; compiled.py, ahead.py: convolutions' compiled kernels
laws.py        what theory predicts for a setting
net_run.py     one net that trains, step by step; game_run.py: two players, made by players.py
ring.py        past states; tape.py: a run that goes forwards and backwards over them
session.py     one page and the thread that trains for it; it knows messages, not how they travel
messages.py    what a message must be; words.py: messages as text
stories.py     known results to guess
script.py      the script that does the same; keep.py: the page that is saved, and tables
server.py      how messages travel to a browser; widget.py: to a notebook's cell
play.html, widget.js    the page, built from tinyres/viewer/web
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


def play(**setting: Any) -> Any:
    """Show the playground: in a notebook's cell, or else in a browser, until Ctrl-C.

        tr.play(architecture="plain", depth=56)

    Args:
        setting: knobs to begin with; `lab="game"` for two players.

    Raises:
        ImportError: a package is missing; the message says how to install it.
        ValueError: there is no such knob, or the value is not allowed.
    """
    return import_module("tinyres.play.showing").show(setting)


class _Callable(ModuleType):
    """`tr.play` is this package and the function at once, since Python binds a package's name to the package."""

    def __call__(self, **setting: Any) -> Any:
        return play(**setting)


sys.modules[__name__].__class__ = _Callable
__all__ = ["play"]
