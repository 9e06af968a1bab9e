"""Where a run diverged: the first layer whose output, or whose gradient, is not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tinyres import nn
from tinyres.arrays import namespace
from tinyres.autograd.anomaly import AnomalyError, detect_anomaly
from tinyres.autograd.tensor import Array


class Diverged(RuntimeError):
    """A number of the run is no longer finite, or far too large."""


def all_finite(arrays: Iterable[Array]) -> bool:
    """Whether no entry of any array is NaN or infinite; a GPU is asked only once."""
    given = list(arrays)
    if not given:
        return True
    xp = namespace(*given)
    return bool(xp.stack([xp.isfinite(a).all() for a in given]).all().item())


def first_failure(modules: Mapping[str, nn.Module], take: Callable[[], object]) -> str | None:
    """Take a step again, every operation of which is checked, and name the first layer that failed.

    Args:
        modules: all that the step runs, by name.
        take: the step; what it changes is the caller's to undo.

    Returns:
        such as "first in the forward pass of layer 'blocks.3' (Conv2d) of the discriminator: conv2d made Inf; its ...";
        None if every operation was finite.
    """
    try:
        with _named(modules), detect_anomaly():
            take()
    except AnomalyError as error:
        way = "backward" if error.backward else "forward"
        return f"first in the {way} pass {_layer(error.path, modules)}: {error.cause}"
    return None


@contextmanager
def _named(modules: Mapping[str, nn.Module]) -> Iterator[None]:
    """Inside, paths begin with the name of one of several modules."""
    before = {name: module._name for name, module in modules.items()}
    for name, module in modules.items():
        module._be_called(name if len(modules) > 1 else "")
    try:
        yield
    finally:
        for name, module in modules.items():
            module._be_called(before[name])


def _layer(path: str | None, modules: Mapping[str, nn.Module]) -> str:
    if path is None:
        return "outside of all layers"
    whose = ""
    root: Any = next(iter(modules.values()))
    if len(modules) > 1:
        name, _, path = path.partition(".")
        root, whose = modules.get(name), f" of the {name}"
    if not path:
        return f"at the outermost layer{whose}"
    kinds = {} if root is None else {name: type(module).__name__ for name, module in root.named_modules()}
    kind = f" ({kinds[path]})" if path in kinds else ""
    return f"of layer {path!r}{kind}{whose}"


__all__ = ["Diverged", "all_finite", "first_failure"]
