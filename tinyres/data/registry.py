"""Data sets by name, for the command line and experiments."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from tinyres.data.cifar import cifar10
from tinyres.data.dataset import Split
from tinyres.data.digits import digits
from tinyres.data.mnist import fashion_mnist, mnist

BY_NAME: dict[str, Callable[..., Split]] = {
    "digits": digits,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cifar10": cifar10,
}


def load(name: str, **options: Any) -> Split:
    """Load a data set by name: `train, test = data.load("cifar10")`.

    Args:
        name: a key of `BY_NAME`.
        options: arguments of the function that `BY_NAME` has for it.

    Raises:
        ValueError: there is no such data set. Also whatever that function raises.
    """
    if name not in BY_NAME:
        near = get_close_matches(name.lower().replace("_", "-"), BY_NAME, n=2)
        guess = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(BY_NAME)}"
        raise ValueError(f"load: no data set is called {name!r}; {guess}")
    return BY_NAME[name](**options)
