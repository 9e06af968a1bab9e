"""Module, the base class of layers and models. As in PyTorch, attribute names become keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Self

from tinyres.arrays import namespace
from tinyres.autograd.tensor import Tensor, rebind, wrap
from tinyres.context import context, current
from tinyres.nn.convenient import Convenient
from tinyres.nn.convert import as_array, converter, fill_like, warn_of_halves
from tinyres.nn.hooks import Hookable
from tinyres.nn.keys import advice, translated
from tinyres.nn.parameter import Buffer, Parameter
from tinyres.refusals.arguments import Explained, explain_words
from tinyres.refusals.blame import blame_operand
from tinyres.refusals.kinds import FLAG


class Keys(NamedTuple):
    """What a non-strict load left out."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def is_just(module: Any, kind: type[Module]) -> bool:
    """Whether a module is exactly a `kind`, so that a fused kernel can replace it: not a subclass, which may do more,
    and without its own `forward`, which instruments set on instances, or hooks, which are to see it by itself."""
    return type(module) is kind and "forward" not in vars(module) and module._hooks is None


class Module(Convenient, Hookable, Explained):
    """Base class of layers and models: define `forward`, and assign parameters and other modules as attributes.

    Parameters, buffers and children are listed in the order of their assignment, with PyTorch's names. A module that
    draws random numbers takes `rng`: a `numpy.random.Generator`, an integer seed, or None for the generator that
    `tr.manual_seed` seeds. For a model that is the same whatever was drawn before, pass one generator to all layers.

    Modules can be pickled, alone or together with their optimiser, so joblib and multiprocessing can send them.
    """

    training: bool = True
    fuses: Any = ()  # which of the arguments residual and relu `forward` has besides x; see `nn.fused_add_relu`
    _fuses_in: Any = None  # the `forward` that `fuses` was declared for
    _name: str = ""  # the attribute's name in the parent; with two parents, in the later one
    _buffers: tuple[str, ...] = ()
    _unsaved: tuple[str, ...] = ()  # those of the buffers that are in no state_dict

    forward: Callable[..., Any]

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Note which `forward` a class's `fuses` speaks of: one that takes its place later may not know how."""
        super().__init_subclass__(**keywords)
        if "fuses" in vars(cls):
            cls._fuses_in = cls.forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """`forward`, with this module's name appended to the ambient path (`block3.conv1`)."""
        ambient = current()
        path = self._inside(ambient.path)
        for observer in ambient.observers:
            observer.on_inputs(self, path, args, kwargs)
        with context(path=path):
            try:
                if self._hooks is not None:
                    return self._hooks.run(self, args, kwargs)
                return self.forward(*args, **kwargs)
            except (AttributeError, RuntimeError, TypeError) as error:
                blame_operand(self.label(), error, (*args, *kwargs.values()))
                raise

    def _inside(self, outer: str | None) -> str:
        """The path of this module when it is called inside a module with the path `outer`."""
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
        elif name in self._buffers and type(value) is Tensor:
            value.__class__ = Buffer  # the same tensor, as whoever registers it expects
        object.__setattr__(self, name, value)

    def _be_called(self, name: str) -> None:
        object.__setattr__(self, "_name", name)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a buffer: state that moves with the module but is not learned, such as running statistics. It is in the
        state_dict if `persistent`. It can be changed in place, `m.mean.copy_(x)`, `m.mean[0] = 1`, as a parameter can.
        """
        if name not in self._buffers:
            self._buffers = (*self._buffers, name)
        self._unsaved = (*(n for n in self._unsaved if n != name), *(() if persistent else (name,)))
        setattr(self, name, tensor)

    # -- what is in it ----------------------------------------------------------------------------------------------
    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules assigned to this one, with their names."""
        yield from _those(self.__dict__, Module)

    def children(self) -> Iterator[Module]:
        """The modules assigned to this one."""
        yield from (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module (named `prefix`) and all below it, parents first; a module in two places is listed once."""
        yield from _once(self._tree(prefix))

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        yield from (module for _, module in self.named_modules())

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Parameters with dotted names; a shared one is listed once. recurse=False leaves out those of children."""
        yield from _once((name, value) for name, value in self._state(recurse, prefix) if isinstance(value, Parameter))

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, for an optimiser or for `grad`."""
        yield from (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """Buffers with their dotted names."""
        named = self._state(recurse, prefix)
        yield from _once((name, value) for name, value in named if not isinstance(value, Parameter))

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers."""
        yield from (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def parameter_count(self) -> int:
        """The number of learned numbers; shared parameters count once."""
        return sum(parameter.size for parameter in self.parameters())

    def _tree(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        waiting = [(prefix, self)]
        while waiting:
            name, module = waiting.pop()
            yield name, module
            waiting += _those(module.__dict__, Module, f"{name}." if name else "")[::-1]

    def _state(self, recurse: bool = True, root: str = "", saved: bool = False) -> Iterator[tuple[str, Tensor]]:
        """Every name under which a parameter or buffer can be reached: each module's parameters, then its buffers;
        with `saved`, those of a state_dict."""
        for prefix, module in self._tree(root) if recurse else [(root, self)]:
            start, own = f"{prefix}." if prefix else "", module.__dict__
            yield from _those(own, Parameter, start)
            buffers = [name for name in module._buffers if not (saved and name in module._unsaved)]
            yield from [(start + name, own[name]) for name in buffers if own.get(name) is not None]

    # -- saving and loading -----------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers by dotted name, as in PyTorch.

        It does not change later, although nothing is copied: training rebinds arrays and never writes into them.
        """
        return {name: value.detach() for name, value in self._state(saved=True)}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> Keys:
        """Load values by name from tensors or arrays, also PyTorch's, into this module's dtype and memory layout.

        Weights that PyTorch's weight norm and spectral norm split are put together, missing batch counters of old files
        become 0, and 16-bit values are widened with a warning; see `tinyres.nn.keys`.

        Args:
            state_dict: the result of `state_dict` for the same architecture, here or in PyTorch.
            strict: require exactly the same names. Otherwise missing and unexpected names are returned.

        Raises:
            RuntimeError: names or shapes do not agree. The message lists all of them, with advice if a PyTorch wrapper
                changed the names. The module is unchanged.
        """
        own, state_dict = dict(self._state(saved=True)), translated(self, state_dict)
        keys = Keys([k for k in own if k not in state_dict], [k for k in state_dict if k not in own])
        given = {k: as_array(state_dict[k]) for k in own if k in state_dict}
        wrong = [
            f"wrong shape: {k} is {own[k].shape} here, {tuple(v.shape)} in the state_dict"
            for k, v in given.items()
            if tuple(v.shape) != own[k].shape
        ]
        FLAG.check("load_state_dict", "strict", strict)
        if strict:
            wrong += [f"missing: {k}" for k in keys.missing_keys] + [f"unexpected: {k}" for k in keys.unexpected_keys]
        if wrong:
            wrong = advice(own, state_dict) + wrong
            raise RuntimeError(f"load_state_dict of {type(self).__name__}:\n  " + "\n  ".join(wrong))
        new = {k: fill_like(own[k]._data, value) for k, value in given.items()}  # convert all before replacing any
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
        """Switch this module and all below it to training mode, which matters to batch norm and dropout."""
        FLAG.check("train", "mode", mode)
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch to evaluation mode: running statistics, no dropout."""
        return self.train(False)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set `.grad = None` for every parameter; without set_to_none, to zeros where there is one."""
        for parameter in self.parameters():
            old = None if set_to_none or parameter.grad is None else parameter.grad._data
            parameter.grad = None if old is None else wrap(namespace(old).zeros_like(old))

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Let all parameters require gradients, or (with False) freeze them."""
        FLAG.check("requires_grad_", "requires_grad", requires_grad)
        for parameter in self.parameters():
            if parameter.requires_grad is not requires_grad:  # else keep the leaf, which graphs may refer to
                parameter.requires_grad_(requires_grad)
        return self

    @explain_words
    def to(self, *targets: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False) -> Self:
        """Move to a device ("cpu", "cuda"), convert floats to a dtype ("float64"), or both, keeping memory layouts."""
        for convert in [converter(target) for target in (*targets, device, dtype) if target is not None]:
            for _, value in _once(self._state()):
                rebind(value, convert(value._data))
                if value.grad is not None:
                    value.grad = wrap(convert(value.grad._data))
        return self

    # -- looking at it ----------------------------------------------------------------------------------------------
    def extra_repr(self) -> str:
        """The settings, shown between the parentheses of the repr."""
        return ""

    def label(self) -> str:
        """The module with its settings and its path, "ReLU() at 'block3.relu'": for error messages."""
        path = current().path
        return f"{type(self).__name__}({self.extra_repr()})" + (f" at {path!r}" if path else "")

    def __repr__(self) -> str:
        inside = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in self.named_children()]
        extra = self.extra_repr()
        if not inside:
            return f"{type(self).__name__}({extra})"
        return "\n  ".join([f"{type(self).__name__}(", *([extra] if extra else []), *inside]) + "\n)"


_PLAIN = frozenset({bool, float, int, str, tuple, type(None)})  # most attributes: quicker to see than by isinstance


def _those(named: Mapping[str, Any], kind: type[Any], start: str = "") -> list[tuple[str, Any]]:
    return [(start + n, value) for n, value in named.items() if type(value) not in _PLAIN and isinstance(value, kind)]


def _once(named: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    seen: set[int] = set()
    for name, value in named:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value


__all__ = ["Keys", "Module", "Parameter"]
