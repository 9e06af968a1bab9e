"""Modules that hold parameters or modules under names of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from tinyres.autograd.tensor import Tensor
from tinyres.nn.module import Module, Parameter


class _Holder(Module):
    """Entries are attributes, so that `parameters`, `state_dict` and `to` find them."""

    def _entries(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if isinstance(v, (Module, Parameter))}

    def _put(self, name: str, value: Any) -> None:
        if not isinstance(value, (Module, Parameter)):
            value = _parameter(type(self).__name__, value)
        setattr(self, name, value)

    def __len__(self) -> int:
        return len(self._entries())

    def forward(self, *args: Any) -> Any:
        raise TypeError(f"{type(self).__name__}: it has no forward; use its entries")


def _parameter(kind: str, value: Any) -> Parameter:
    if not isinstance(value, Tensor):
        raise TypeError(f"{kind}: needs parameters or tensors, got {type(value).__name__}")
    return Parameter(value)


class ParameterList(_Holder):
    """Parameters in a row, found as `name.0`, `name.1`, ...; a tensor among them becomes a parameter."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        self.extend(values or ())

    def append(self, value: Any) -> Self:
        """Add a parameter at the end."""
        self._put(str(len(self)), value)
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add parameters at the end."""
        for value in values:
            self.append(value)
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._entries().values()))

    def __getitem__(self, index: Any) -> Any:
        found = list(self._entries().values())[index]
        return ParameterList(found) if isinstance(index, slice) else found

    def __setitem__(self, index: int, value: Any) -> None:
        self._put(list(self._entries())[index], value)


class _Dict(_Holder):
    def __init__(self, entries: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        self.update(entries or ())

    def update(self, entries: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add entries, or replace those of the same name."""
        for name, value in entries.items() if isinstance(entries, Mapping) else entries:
            self[name] = value

    def __getitem__(self, name: str) -> Any:
        return self._entries()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name in vars(type(self)) or (hasattr(type(self), name) and name not in self._entries()):
            raise KeyError(f"{type(self).__name__}: {name!r} is the name of a method; choose another key")
        self._put(name, value)

    def __delitem__(self, name: str) -> None:
        del self._entries()[name]  # KeyError if there is none
        delattr(self, name)

    def __contains__(self, name: str) -> bool:
        return name in self._entries()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._entries().keys()

    def values(self) -> Iterable[Any]:
        """The entries."""
        return self._entries().values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Names and entries."""
        return self._entries().items()

    def pop(self, name: str) -> Any:
        """Take out an entry."""
        value = self[name]
        del self[name]
        return value


class ParameterDict(_Dict):
    """Parameters by name, found as `name.key`; a tensor among them becomes a parameter."""


class ModuleDict(_Dict):
    """Modules by name, found as `name.key`, which a parent's `forward` calls one by one."""

    def _put(self, name: str, value: Any) -> None:
        if not isinstance(value, Module):
            raise TypeError(f"ModuleDict: {name!r} must be a Module, got {value!r}")
        super()._put(name, value)
        if self._name:
            value._be_called(f"{self._name}.{name}")

    def _be_called(self, name: str) -> None:
        # The dictionary itself is never called, so its own name has to stand in the names of its members.
        super()._be_called(name)
        for own, child in self.named_children():
            child._be_called(f"{name}.{own}")


__all__ = ["ModuleDict", "ParameterDict", "ParameterList"]
