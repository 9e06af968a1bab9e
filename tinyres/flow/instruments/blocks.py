"""Names of a model's blocks: which are recorded, under which name, and the labels of their runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

from tinyres import nn
from tinyres.context import current

T = TypeVar("T")
LAYERED = (nn.TransformerEncoderLayer,)  # blocks that hold residual connections, however they are written


def modules_of(model: nn.Module) -> dict[str, nn.Module]:
    """{name: module} with every name by which a module can be reached: a shared module has several."""
    return dict(model._tree())


def names_of(model: nn.Module) -> dict[str, str]:
    """{name: first name of the same module} for every name by which a module can be reached."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(module), name) for name, module in modules_of(model).items()}


def chosen(model: nn.Module, blocks: list[str] | None) -> list[str]:
    """The names of the blocks to record, the default ones if blocks is None; a shared module is listed once.

    The default ones are the members of `model.blocks`, if it has that, and otherwise the model's parts; a stage, which
    is an nn.Sequential of blocks, stands for these. A list or dictionary of modules is never called itself, so its
    members stand for it.

    Raises:
        TypeError: blocks is a string.
        ValueError: the model has no such block, or blocks is empty.
    """
    if isinstance(blocks, str):
        raise TypeError(f"record: blocks is a list of names, got the string {blocks!r}; write [{blocks!r}]")
    known = names_of(model)
    inside = getattr(model, "blocks", None)
    if not isinstance(inside, nn.Module):  # the model may use the attribute for something else
        inside = model
    usual = []
    for name, child in model.named_children():
        if child is inside:
            usual += [f"blocks.{below}" for below, _ in inside.named_children()]
        elif inside is model or any(isinstance(m, (nn.Residual, nn.Highway, *LAYERED)) for m in child.modules()):
            usual.append(name)
    modules = modules_of(model)
    parts = _members if inside is model else _called
    usual = [name for found in usual for name in parts(found, modules[found])]
    asked = (usual or [""]) if blocks is None else blocks
    unknown = [name for name in asked if name not in known]
    if unknown or not asked:
        names = [name for name in dict.fromkeys([*usual, *known]) if name]
        near = [n for wrong in unknown for n in get_close_matches(str(wrong), names, 3, 0.5)]
        some = ", ".join([*dict.fromkeys([*near, *names])][:8]) or "'' (the model itself)"
        raise ValueError(
            f"record: the model has no blocks called {unknown}; it has {some}{', …' if len(names) > 8 else ''}"
        )
    shown: dict[str, str] = {}
    for wanted in asked:
        for name in _called(wanted, modules[wanted]) or [wanted]:
            shown.setdefault(known[name], name)
    return list(shown.values())


def _called(name: str, module: nn.Module) -> list[str]:
    """The name, or, of a module that is never called itself, those of the modules in it."""
    if not name or not _only_holds(module):
        return [name]
    return [inner for own, child in module.named_children() for inner in _called(f"{name}.{own}", child)]


def _members(name: str, module: nn.Module) -> list[str]:
    """As `_called`; of a stage, an nn.Sequential of blocks that have parts themselves, its blocks."""
    blocks = held(module)
    if not any(list(block.children()) for block in blocks.values()):
        return _called(name, module)
    return [inner for own, block in blocks.items() for inner in _called(f"{name}.{own}", block)]


def _only_holds(module: nn.Module) -> bool:
    own = getattr(type(module), "forward", None)
    return own in (None, nn.ModuleList.forward, nn.ModuleDict.forward) and "forward" not in vars(module)


def left_out(model: nn.Module, watched: Iterable[str]) -> list[str]:
    """The modules of which nothing is recorded, neither they nor a part of them nor what they are a part of."""
    first, watched = names_of(model), set(watched)
    seen_already = {first[name] for name in watched}

    def below(prefix: str, module: nn.Module) -> list[str]:
        found = []
        for own, child in module.named_children():
            name = f"{prefix}{own}"
            if first[name] in seen_already:
                continue
            inside = any(other.startswith(f"{name}.") for other in watched)
            found += below(f"{name}.", child) if inside else _called(name, child)
        return found

    return [] if "" in watched else below("", model)


def inside(model: nn.Module, watched: Iterable[str]) -> list[str]:
    """The modules that are parts of recorded blocks, and are called themselves, but are not recorded."""
    modules, known = modules_of(model), set(watched)
    return [
        name
        for name in dict.fromkeys(names_of(model).values())
        if name and name not in known and not _only_holds(modules[name])
        if any(not block or name.startswith(f"{block}.") for block in known)
    ]


def held(module: nn.Module) -> dict[str, nn.Module]:
    """The members, by name, of an nn.Sequential, which may be gone through and never be called; none of others."""
    return dict(module.named_children()) if type(module).forward is nn.Sequential.forward else {}


class Paths:
    """Maps the path of a running operation to the modules of the model that enclose it.

    A watched nn.Sequential may turn out to be gone through, member by member, and never called: then these take its
    place among the watched, unless what is watched is `settled`.
    """

    def __init__(self, model: nn.Module, watched: list[str], settled: bool = True) -> None:
        self._model, self._watched = model, watched
        self._rows = {} if settled else self._members()
        self._root = model._name
        self._modules: dict[int, str] = {}  # by identity: the first name
        self._first = {name: self._modules.setdefault(id(m), name) for name, m in modules_of(model).items()}
        self._shown = {self._first[name]: name for name in watched}  # by the first name of the module
        self._local: dict[str | None, str | None] = {}
        self._enclosing: dict[str | None, list[str]] = {}

    def _members(self) -> dict[int, str]:
        """By the identity of each member of a watched nn.Sequential: the name of that."""
        modules = modules_of(self._model)
        return {id(child): name for name in self._watched if name for child in held(modules[name]).values()}

    def called(self, module: nn.Module) -> list[str]:
        """Note that a module is called; the blocks that are watched from then on."""
        row = self._rows.get(id(module))
        if row is not None:  # it was not called first, and so it only holds them
            members = [f"{row}.{own}" for own in held(modules_of(self._model)[row])]
            place = self._watched.index(row)
            self._watched = chosen(self._model, [*self._watched[:place], *members, *self._watched[place + 1 :]])
            self._rows = self._members()
            self._shown = {self._first[name]: name for name in self._watched}
            self._enclosing.clear()
        name = self._modules.get(id(module))
        if name is not None and self._rows:
            self._rows = {child: holder for child, holder in self._rows.items() if holder != name}
        return self._watched

    def outermost(self, module: nn.Module) -> bool:
        """Whether a module that is about to run is part of the model, and called from outside of it."""
        return id(module) in self._modules and self.name_of(current().path) is None

    def enter(self, module: nn.Module, path: str | None) -> str | None:
        """Note that a module begins to run under `path`, of which a shared one has several; its name if recorded."""
        name = self._modules.get(id(module))
        if name is None:
            if self.name_of(path) is not None and self.name_of(current().path) is None:
                self._local[path] = None  # of another model, whose modules have the same names
                self._enclosing.pop(path, None)
            return None
        if self._local.get(path) != name:
            self._local[path] = name
            self._enclosing.pop(path, None)
        return self._shown.get(name)

    def name_of(self, path: str | None) -> str | None:
        """The name inside the model of the module at `path`; None if it is not part of the model."""
        if path not in self._local:
            own, parts = self._root, (path or "").split(".")
            starts = [0] if not own else [k + 1 for k, part in enumerate(parts) if part == own]
            names = [".".join(parts[k:]) for k in starts] if path is not None else []
            self._local[path] = next((self._first[name] for name in names if name in self._first), None)
        return self._local[path]

    def enclosing(self, path: str | None) -> list[str]:
        """The recorded blocks that enclose the path."""
        found = self._enclosing.get(path)
        if found is None:
            local = self.name_of(path)
            parts = (local or "").split(".")
            above = {".".join(parts[:k]) for k in range(len(parts) + 1)} if local is not None else set()
            found = self._enclosing[path] = [shown for name, shown in self._shown.items() if name in above]
        return found


def label(name: str, run: int) -> str:
    """The name of one run of a block that runs several times: cell[3]."""
    return f"{name}[{run}]"


def labels(watched: Iterable[str], runs: Iterable[Mapping[str, int]]) -> list[str]:
    """A label for every run of every block: its name, or name[0], name[1], ... if it ran more than once in any step.

    runs: for each step, how often each block ran.
    """
    steps = list(runs)
    found = []
    for name in watched:
        most = max((step.get(name, 1) for step in steps), default=1)
        found += [name] if most == 1 else [label(name, run) for run in range(most)]
    return found


def seen(found: Mapping[str, T], name: str) -> T | None:
    """Look up a label in a step; if the block ran only once there, its plain name counts as name[0]."""
    return found.get(name, found.get(name.removesuffix("[0]")))


__all__ = ["Paths", "chosen", "held", "inside", "label", "labels", "left_out", "modules_of", "names_of", "seen"]
