"""Which blocks of a model are watched, under which names, and which of their runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from tinyres import nn

T = TypeVar("T")


def modules_of(model: nn.Module) -> dict[str, nn.Module]:
    """The modules of a model under every name by which they can be reached: one in two places has two."""
    return dict(model._tree())


def names_of(model: nn.Module) -> dict[str, str]:
    """Every name by which a module of the model can be reached, and the first of that module's names."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(module), name) for name, module in modules_of(model).items()}


def chosen(model: nn.Module, blocks: list[str] | None) -> list[str]:
    """The names of what is to be watched; of a module that stands in several places, the first one given.

    Raises:
        TypeError: blocks is one string.
        ValueError: there is no such block, or none at all.
    """
    if isinstance(blocks, str):
        raise TypeError(f"record: blocks is a list of names, got the string {blocks!r}; write [{blocks!r}]")
    known = names_of(model)
    inside = getattr(model, "blocks", None)
    if not isinstance(inside, nn.Module):  # the attribute may be something of the model's own
        inside = model
    usual = [name if inside is model else f"blocks.{name}" for name, _ in inside.named_children()] or [""]
    asked = usual if blocks is None else blocks
    unknown = [name for name in asked if name not in known]
    if unknown or not asked:
        some = ", ".join([n for n in dict.fromkeys([*usual, *known]) if n][:8]) or "'' (the model itself)"
        raise ValueError(f"record: no blocks called {unknown}; name modules of the model, such as {some}")
    shown: dict[str, str] = {}
    for name in asked:
        shown.setdefault(known[name], name)
    return list(shown.values())


class Paths:
    """From the path under which an operation runs to the modules of the model that it runs in."""

    def __init__(self, model: nn.Module, watched: list[str]) -> None:
        self._root = model._name
        self._first = names_of(model)
        self._shown = {self._first[name]: name for name in watched}  # by the first name of the module
        self._modules = {id(module): name for name, module in model.named_modules()}
        self._local: dict[str | None, str | None] = {}
        self._around: dict[str | None, list[str]] = {}

    def meet(self, module: nn.Module, path: str | None) -> str | None:
        """A module begins to run under `path`: its name if it is watched. One in two places runs under either."""
        name = self._modules.get(id(module))
        if name is None:
            return None
        if self._local.get(path) != name:
            self._local[path] = name
            self._around.pop(path, None)
        return self._shown.get(name)

    def name_of(self, path: str | None) -> str | None:
        """The name inside the model of what runs under `path`; None for what belongs to no part of it."""
        if path not in self._local:
            own, parts = self._root, (path or "").split(".")
            starts = [0] if not own else [k + 1 for k, part in enumerate(parts) if part == own]
            names = [".".join(parts[k:]) for k in starts] if path is not None else []
            self._local[path] = next((self._first[name] for name in names if name in self._first), None)
        return self._local[path]

    def around(self, path: str | None) -> list[str]:
        """The watched blocks that the path lies in."""
        found = self._around.get(path)
        if found is None:
            local = self.name_of(path)
            parts = (local or "").split(".")
            above = {".".join(parts[:k]) for k in range(len(parts) + 1)} if local is not None else set()
            found = self._around[path] = [shown for name, shown in self._shown.items() if name in above]
        return found


def label(name: str, run: int) -> str:
    """What the run of a block is called that runs several times."""
    return f"{name}[{run}]"


def labels(watched: Iterable[str], runs: Iterable[Mapping[str, int]]) -> list[str]:
    """Every run of every block: its name, or name[0], name[1], ... of one that ran several times in any of the steps.

    runs: for each step, how often each block ran.
    """
    steps = list(runs)
    found = []
    for name in watched:
        most = max((step.get(name, 1) for step in steps), default=1)
        found += [name] if most == 1 else [label(name, run) for run in range(most)]
    return found


def seen(found: Mapping[str, T], name: str) -> T | None:
    """What a step knows under a label: where a block ran only once, its name stands for its first run."""
    return found.get(name, found.get(name.removesuffix("[0]")))


__all__ = ["Paths", "chosen", "label", "labels", "modules_of", "names_of", "seen"]
