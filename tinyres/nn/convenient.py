"""What PyTorch's modules have besides: other words for what `Module` does, and access to its parts by name."""

from __future__ import annotations

from typing import Any, Self

from tinyres.refusals.absent import Refused, offered


class Convenient:
    """Methods that Module inherits; all are written in terms of its own."""

    __dir__ = offered

    def add_module(self, name: str, module: Any) -> None:
        """`self.name = module`, for names that are made up; None takes the place of a module that is missing."""
        setattr(self, name, module)

    register_module = add_module

    def register_parameter(self, name: str, param: Any) -> None:
        """`self.name = param`, a Parameter; None takes the place of one that is missing."""
        setattr(self, name, param)

    def get_submodule(self, target: str) -> Any:
        """The module of that dotted name; "" is this one. Raises AttributeError if there is none."""
        found: Any = self
        for name in target.split(".") if target else []:
            found = getattr(found, name)
        if not isinstance(found, Convenient):
            raise AttributeError(f"{type(self).__name__}: {target!r} is no module")
        return found

    def get_parameter(self, target: str) -> Any:
        """The parameter of that dotted name. Raises AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        own = dict(self.get_submodule(path).named_parameters(recurse=False))
        if name not in own:
            raise AttributeError(f"{type(self).__name__}: {target!r} is no parameter")
        return own[name]

    def get_buffer(self, target: str) -> Any:
        """The buffer of that dotted name. Raises AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        own = dict(self.get_submodule(path).named_buffers(recurse=False))
        if name not in own:
            raise AttributeError(f"{type(self).__name__}: {target!r} is no buffer")
        return own[name]

    def float(self) -> Self:
        """`to("float32")`."""
        return self.to("float32")

    def half(self) -> Self:
        """`to("float16")`; the fast kernels take float32 and float64, so that it is slower."""
        return self.to("float16")

    def double(self) -> Self:
        """`to("float64")`."""
        return self.to("float64")

    def cpu(self) -> Self:
        """`to("cpu")`."""
        return self.to("cpu")

    def cuda(self) -> Self:
        """`to("cuda")`."""
        return self.to("cuda")

    def to(self, *targets: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False) -> Self:
        """Move to a device and convert to a dtype; what `Module` does."""
        raise NotImplementedError


for _name in (
    "bfloat16", "compile", "register_load_state_dict_post_hook", "set_submodule", "share_memory", "to_empty", "type",
):  # fmt: skip
    setattr(Convenient, _name, Refused("a module", _name))

__all__ = ["Convenient"]
