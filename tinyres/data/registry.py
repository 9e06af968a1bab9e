"""Data sets by name or path, for the command line and experiments."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tinyres.data.cifar import cifar10
from tinyres.data.dataset import Split
from tinyres.data.digits import digits
from tinyres.data.folder import folder
from tinyres.data.mnist import fashion_mnist, mnist
from tinyres.data.npz import npz
from tinyres.data.text import PREFIX, is_text, named_text, text

BY_NAME: dict[str, Callable[..., Split]] = {
    "digits": digits,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cifar10": cifar10,
}


def load(name: str, **options: Any) -> Split:
    """Load a data set by name, or your own by its path: `train, test = data.load("cifar10")`, `data.load("photos/")`.

    Args:
        name: a key of `BY_NAME`, or the path of a folder of images or of an .npz file, or a text: "text:FILE".
        options: arguments of the function that `BY_NAME` has for it, or of `folder`, `npz` or `text`.

    Raises:
        ValueError: there is no such data set. Also whatever that function raises.
    """
    if is_text(name):
        return text(named_text(name).removeprefix(PREFIX), **options)
    name = named(name)
    if name in BY_NAME:
        return BY_NAME[name](**options)
    return (npz if Path(name).suffix.lower() == ".npz" else folder)(name, **options)


def is_own(name: str) -> bool:
    """Whether `named(name)` is a path and no data set's name."""
    return os.path.isabs(name)


def named(name: str, names: Iterable[str] = tuple(BY_NAME), what: str = "data set is") -> str:
    """`name` itself if it is a data set's, or the absolute path of the folder or file that it is the path of.

    An absolute path is taken as it is, whether there is something or not. `what` begins the message: "no ... called".

    Raises:
        ValueError: it is neither. The message says what is near: names of data sets, and what lies in that place.
    """
    if name in (known := list(names)):
        return name
    try:
        path = Path(name).expanduser()
        if path.is_absolute():
            return os.path.normpath(path)
        if name and (path.is_dir() or path.is_file()):
            return os.path.abspath(path)
        usable = [p.name for p in path.parent.iterdir() if p.is_dir() or p.suffix.lower() == ".npz"]
        beside = [name for name in usable if not name.startswith(".")]
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, or a folder that may not be read
        beside, path = [], Path()
    near = get_close_matches(name.lower().replace("_", "-"), known, n=2)
    near += [str(path.parent / n) for n in get_close_matches(path.name, beside, n=2)]
    guess = f"there are {', '.join(known)}; or give the path of a folder of images or of an .npz file"
    guess = f"did you mean {' or '.join(near)}?" if near else guess
    raise ValueError(f"no {what} called {name!r}; {guess}")
