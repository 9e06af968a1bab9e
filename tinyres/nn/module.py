"""Module: parameters, buffers and children under the names of the attributes that hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Self

from tinyres.autograd.operands import blame_operand
from tinyres.autograd.tensor import Tensor, rebind, wrap
from tinyres.context import context, current
from tinyres.nn.convert import as_array, converter, fill_like, warn_of_halves
from tinyres.nn.keys import advice, translated


class Parameter(Tensor):
    """A tensor that a module learns: a leaf that wants a gradient and is found by `Module.parameters`."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data, requires_grad=requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        """The same values in a leaf of its own, without `.grad`; what was one parameter in two places stays one."""
        return Parameter(self._data, self.requires_grad)


class Keys(NamedTuple):
    """What a load that is not strict left out."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def is_just(module: Any, kind: type[Module]) -> bool:
    """Whether a module does what its class does, and no more: of a subclass nobody knows what it adds, and an instance
    may have been given a forward of its own, as instruments do."""
    return type(module) is kind and "forward" not in vars(module)


class Module:
    """The base of every layer and model: define `forward`, assign parameters and other modules as attributes.

    Parameters, buffers and children come in the order of their assignment, under PyTorch's names. A module that draws
    random numbers takes `rng`: a `numpy.random.Generator`, an integer seed, or None for a fresh unseeded generator.
    There is no global seed: for a reproducible model make one generator and hand it to all of its layers.

    Modules pickle by value, alone or together with their optimiser, so that joblib and multiprocessing can send them.
    """

    training: bool = True
    takes_along: Any = ()  # which of the arguments residual and relu `forward` has besides; see `followed`
    _name: str = ""  # what the parent calls this module; with two parents, what the later one calls it
    _buffers: tuple[str, ...] = ()

    forward: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """`forward`, with this module's name appended to the ambient path (`block3.conv1`)."""
        ambient = current()
        path = self._inside(ambient.path)
        for observer in ambient.observers:
            observer.on_module(self, path)
        with context(path=path):
            try:
                return self.forward(*args, **kwargs)
            except (AttributeError, RuntimeError, TypeError) as error:
                blame_operand(self.label(), error, (*args, *kwargs.values()))
                raise

    def _inside(self, outer: str | None) -> str:
        """The path of this module, called inside of another one's."""
        name = self._name
        return f"{outer}.{name}" if outer and name else outer or name

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, (Module, Parameter)):
            if "." in name:
                raise ValueError(f"{type(self).__name__}: the name {name!r} must not contain a dot")
            if isinstance(value, Module):
                value._be_called(name)
        elif value is not None and isinstance(self.__dict__.get(name), Parameter):
            raise TypeError(
                f"{type(self).__name__}.{name} is a Parameter and cannot become a {type(value).__name__}: assign a "
                "Parameter, or rebind its values with .data = array"
            )
        object.__setattr__(self, name, value)

    def _be_called(self, name: str) -> None:
        object.__setattr__(self, "_name", name)

    def register_buffer(self, name: str, value: Tensor | None) -> None:
        """State that is saved and moved with the module but not learned, such as running statistics."""
        if name not in self._buffers:
            self._buffers = (*self._buffers, name)
        setattr(self, name, value)

    # -- what is in it ----------------------------------------------------------------------------------------------
    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules assigned to this one, with their names."""
        yield from [(name, value) for name, value in self.__dict__.items() if isinstance(value, Module)]

    def children(self) -> Iterator[Module]:
        """The modules assigned to this one."""
        yield from (child for _, child in self.named_children())

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module (named "") and all below it, parents first; one in two places comes once."""
        yield from _once(self._tree())

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        yield from (module for _, module in self.named_modules())

    def named_parameters(self, recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Parameters with their dotted names; one in two places comes once. recurse=False: not those of children."""
        yield from _once((name, value) for name, value in self._state(recurse) if isinstance(value, Parameter))

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, for an optimiser or for `grad`."""
        yield from (parameter for _, parameter in self.named_parameters(recurse))

    def named_buffers(self, recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """Buffers with their dotted names."""
        yield from _once((name, value) for name, value in self._state(recurse) if not isinstance(value, Parameter))

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers."""
        yield from (buffer for _, buffer in self.named_buffers(recurse))

    def parameter_count(self) -> int:
        """How many numbers are learned (shared ones counted once)."""
        return sum(parameter.size for parameter in self.parameters())

    def _tree(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        yield prefix, self
        for name, child in self.named_children():
            yield from child._tree(f"{prefix}.{name}" if prefix else name)

    def _state(self, recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """Every name under which a parameter or buffer can be reached: each module's parameters, then its buffers."""
        for prefix, module in self._tree() if recurse else [("", self)]:
            start, own = f"{prefix}." if prefix else "", module.__dict__
            yield from [(start + name, value) for name, value in own.items() if isinstance(value, Parameter)]
            yield from [(start + name, own[name]) for name in module._buffers if own.get(name) is not None]

    # -- saving and loading -----------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers by dotted name, as in PyTorch.

        A snapshot that costs no copy: training rebinds arrays and never writes into them.
        """
        return {name: value.detach() for name, value in self._state()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> Keys:
        """Take over the values of tensors or arrays (PyTorch's too) by name, in this module's dtype and memory layout.

        What PyTorch's weight norm and spectral norm keep in parts is put together, batches that an old file does not
        count are 0, and what came in 16 bits is widened, with a warning; see `tinyres.nn.keys`.

        Args:
            state_dict: what `state_dict` of the same architecture gave, here or in PyTorch.
            strict: the names must agree exactly; otherwise what is missing or unexpected is left alone and returned.

        Raises:
            RuntimeError: names or shapes do not agree. It lists all of them, with advice where a wrapper of PyTorch's
                changed the names, and the module is as it was before.
        """
        own, state_dict = dict(self._state()), translated(self, state_dict)
        keys = Keys([k for k in own if k not in state_dict], [k for k in state_dict if k not in own])
        given = {k: as_array(state_dict[k]) for k in own if k in state_dict}
        wrong = [
            f"wrong shape: {k} is {own[k].shape} here, {tuple(v.shape)} in the state_dict"
            for k, v in given.items()
            if tuple(v.shape) != own[k].shape
        ]
        if strict:
            wrong += [f"missing: {k}" for k in keys.missing_keys] + [f"unexpected: {k}" for k in keys.unexpected_keys]
        if wrong:
            wrong = advice(own, state_dict) + wrong
            raise RuntimeError(f"load_state_dict of {type(self).__name__}:\n  " + "\n  ".join(wrong))
        new = {k: fill_like(own[k]._data, value) for k, value in given.items()}  # all are converted, then all replaced
        warn_of_halves(state_dict, own)
        for k, value in new.items():
            rebind(own[k], value)
        return keys

    # -- changing it ------------------------------------------------------------------------------------------------
    def apply(self, function: Callable[[Module], Any]) -> Self:
        """Call `function` on every module below, children first, then on this one."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Training behaviour for batch norm and dropout, here and below."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Evaluation: running statistics, no dropout."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients: `.grad = None`."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Let the parameters want gradients, or freeze them."""
        for parameter in self.parameters():
            if parameter.requires_grad is not requires_grad:  # a leaf that graphs refer to stays the same leaf
                parameter.requires_grad_(requires_grad)
        return self

    def to(self, target: Any) -> Self:
        """Move to a device ("cpu", "cuda") or convert floats to a dtype ("float64"); memory layouts stay."""
        convert = converter(target)
        for _, value in _once(self._state()):
            rebind(value, convert(value._data))
            if value.grad is not None:
                value.grad = wrap(convert(value.grad._data))
        return self

    # -- looking at it ----------------------------------------------------------------------------------------------
    def extra_repr(self) -> str:
        """What stands between the parentheses in the repr."""
        return ""

    def label(self) -> str:
        """The module with its settings and the path it runs under: for error messages."""
        path = current().path
        return f"{type(self).__name__}({self.extra_repr()})" + (f" at {path!r}" if path else "")

    def __repr__(self) -> str:
        inside = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in self.named_children()]
        extra = self.extra_repr()
        if not inside:
            return f"{type(self).__name__}({extra})"
        return "\n  ".join([f"{type(self).__name__}(", *([extra] if extra else []), *inside]) + "\n)"


def _once(named: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    seen: set[int] = set()
    for name, value in named:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value


__all__ = ["Keys", "Module", "Parameter"]
