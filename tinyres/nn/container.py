"""Modules that hold modules in a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any, Self

from tinyres.context import layers_are_watched
from tinyres.nn.activation import ReLU
from tinyres.nn.folded import folded
from tinyres.nn.fused import fusable, fused_add_relu
from tinyres.nn.module import Module, is_just


class _Row(Module):
    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __iter__(self) -> Iterator[Any]:
        return self.children()

    def __getitem__(self, index: Any) -> Any:
        children = list(self.children())
        if isinstance(index, slice):
            return type(self)(*self._made_of(dict(list(self.named_children())[index])))
        if not -len(children) <= index < len(children):
            raise IndexError(f"{type(self).__name__}: index {index} is out of range for {len(children)} modules")
        return children[index]

    def __setitem__(self, index: int, module: Module) -> None:
        self._put(list(dict(self.named_children()))[index], module)

    def _made_of(self, named: dict[str, Module]) -> tuple[Any, ...]:
        """The arguments that make a row of these modules, numbered anew."""
        return tuple(named.values())

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Add a module before the one at `index`; those behind it are numbered anew."""
        modules = list(self.children())
        modules.insert(index, module)
        for name, _ in list(self.named_children()):
            delattr(self, name)
        return self.extend(modules)

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        return self._put(str(len(self)), module)

    def _put(self, name: str, module: Any) -> Self:
        if not isinstance(module, Module):
            raise TypeError(
                f"{type(self).__name__}: {name!r} must be a Module, got {module!r}; for a function there is a module, "
                "such as nn.ReLU() for tr.relu"
            )
        setattr(self, name, module)
        return self


class Sequential(_Row):
    """The modules one after the other: y = f_n(... f_2(f_1(x))).

    Args:
        modules: modules, named "0", "1", ...; or one mapping from names to modules.
    """

    def __init__(self, *modules: Any) -> None:
        named = modules[0] if len(modules) == 1 and isinstance(modules[0], Mapping) else None
        for name, module in named.items() if named is not None else enumerate(modules):
            self._put(str(name), module)

    @property
    def fuses(self) -> Any:
        """What the last module fuses; an empty row fuses nothing."""
        last = next(reversed(list(self.children())), None)
        return fusable(last) if last is not None else ()

    def forward(self, x: Any, residual: Any = None, relu: bool = False) -> Any:
        modules = list(self.children())
        asked = residual is not None or relu
        skip = 0
        for module, following, third in zip_longest(modules, modules[1:], modules[2:]):
            last = third is None
            takes = is_just(third, ReLU) and not (asked and third is modules[-1])  # which is to be followed itself
            more = (residual, relu) if last else (None, takes)
            if skip:  # what the modules before it have done already
                skip -= 1
            elif (y := folded(module, following, x, *more)) is not None:
                x, skip = y, 1 + takes
            elif following is None:
                x = fused_add_relu(module, x, residual, relu)
            elif asked and following is modules[-1]:  # which is to be followed itself
                x = module(x)
            elif is_just(following, ReLU) and "relu" in fusable(module) and not layers_are_watched():
                x, skip = fused_add_relu(module, x, relu=True), 1
            else:
                x = module(x)
        return x


class ModuleList(_Row):
    """Modules that a parent's `forward` calls one by one; they are found as `name.0`, `name.1`, ..."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        for module in modules or ():
            self.append(module)

    def _made_of(self, named: dict[str, Module]) -> tuple[Any, ...]:
        return (named.values(),)

    def _be_called(self, name: str) -> None:
        # The list itself is never called, so its own name has to stand in the names of its members.
        super()._be_called(name)
        for own, child in self.named_children():
            child._be_called(f"{name}.{own}")

    def _put(self, name: str, module: Any) -> Self:
        super()._put(name, module)
        if self._name:
            module._be_called(f"{self._name}.{name}")
        return self

    def forward(self, *args: Any) -> Any:
        raise TypeError("ModuleList: it has no forward; call its members, or use Sequential")


__all__ = ["ModuleList", "Sequential"]
