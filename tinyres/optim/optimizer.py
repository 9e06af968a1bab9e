"""What all optimisers have in common: the base, and how the kernels are called that take their steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinyres.backend import kernels_for
from tinyres.nn.convert import as_array, fill_like
from tinyres.optim.devices import check_devices
from tinyres.tensor import Array, Tensor, rebind

State = dict[str, Any]  # of one parameter: arrays and step counts by name; empty before its first step

_BELOW_ONE, _ANY = (0.0, 1.0), (0.0, math.inf)
_LIMITS = dict.fromkeys(("lr", "weight_decay", "eps", "momentum"), _ANY) | dict.fromkeys(("betas", "alpha"), _BELOW_ONE)


class Optimizer:
    """The base: holds the parameters, their state and the settings; a subclass defines `update`.

    Settings are attributes, so that a schedule may assign `optimizer.lr` between steps.

    Raises:
        ValueError: there are no parameters, one comes twice, or a setting is out of range.
        TypeError: something is no tensor of a floating dtype, or not a leaf.
    """

    settings: tuple[str, ...] = ()
    lr: float
    weight_decay: float

    def __init__(self, params: Iterable[Tensor], **settings: Any) -> None:
        kind = type(self).__name__
        if hasattr(params, "parameters"):
            raise TypeError(f"{kind}: got a module; pass its parameters: {kind}(model.parameters(), ...)")
        self.params: list[Tensor] = [params] if isinstance(params, Tensor) else list(params)
        self.state: list[State] = [{} for _ in self.params]
        if not self.params:
            raise ValueError(
                f"{kind}: there are no parameters; a generator that was used up is empty, too, and modules in a plain "
                "list are not found: put them into nn.ModuleList"
            )
        if len({id(p) for p in self.params}) != len(self.params):
            raise ValueError(f"{kind}: a parameter comes twice and would take two steps at a time")
        for i, p in enumerate(self.params):
            if not isinstance(p, Tensor) or not p.is_leaf or not np.issubdtype(p.dtype, np.floating):
                raise TypeError(f"{kind}: params[{i}] must be a leaf tensor of a floating dtype, got {p!r:.80}")
        self.settings = tuple(settings)
        for name, value in settings.items():
            if name in _LIMITS:
                low, high = _LIMITS[name]
                if not all(low <= v < high for v in (value if isinstance(value, tuple) else (value,))):
                    raise ValueError(f"{kind}: {name} must be at least {low:g} and below {high:g}, got {value}")
            setattr(self, name, value)

    def step(self) -> None:
        """Take one step with every parameter that has a gradient.

        Raises:
            ValueError: a gradient of another shape than its parameter; no parameter takes a step then.
            RuntimeError: a gradient, or what an earlier step has kept, on another device than its parameter; nor then.
        """
        ready = list[tuple[Tensor, Array, State]]()
        for i, (p, state) in enumerate(zip(self.params, self.state, strict=True)):
            if p.grad is None:
                continue
            if p.grad.shape != p.shape:
                raise ValueError(f"{type(self).__name__}: params[{i}] has shape {p.shape}, its .grad {p.grad.shape}")
            check_devices(type(self).__name__, i, p, state)
            ready.append((p, p.grad.data, state))
        self._take(ready)

    def _take(self, ready: list[tuple[Tensor, Array, State]]) -> None:
        """The step of these parameters, with their gradients and states, which fit."""
        for p, g, state in ready:
            rebind(p, self.update(p.data, g, state))

    def update(self, p: Array, g: Array, state: State) -> Array:
        """A new array for a parameter; keeps what it needs in `state`. Writes into neither p nor g."""
        raise NotImplementedError(f"{type(self).__name__} must define update")

    def zero_grad(self) -> None:
        """Forget the gradients: `.grad = None`."""
        for p in self.params:
            p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """The settings, and the state of every parameter in order. A snapshot: steps replace arrays."""
        settings = {name: getattr(self, name) for name in self.settings}
        return {"settings": settings, "state": [dict(state) for state in self.state]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` of the same kind of optimiser over the same parameters gave.

        Arrays take the device, the dtype and the memory layout of their parameter.

        Raises:
            ValueError: settings, number of parameters or a shape do not agree; nothing is changed then.
        """
        settings, states = dict(state_dict["settings"]), list(state_dict["state"])
        what = f"{type(self).__name__}.load_state_dict"
        if set(settings) != set(self.settings):
            raise ValueError(f"{what}: needs the settings {sorted(self.settings)}, got {sorted(settings)}")
        if len(states) != len(self.params):
            raise ValueError(f"{what}: {len(self.params)} parameters, but the state of {len(states)}")
        for i, (p, state) in enumerate(zip(self.params, states, strict=True)):
            for name, value in state.items():
                if getattr(value, "shape", p.shape) != p.shape:
                    raise ValueError(f"{what}: {name} of params[{i}] is {value.shape}, must be {p.shape}")
        for name, value in settings.items():
            setattr(self, name, value)
        loaded = [
            {name: fill_like(p.data, as_array(v)) if hasattr(v, "shape") else v for name, v in state.items()}
            for p, state in zip(self.params, states, strict=True)
        ]
        for own, state in zip(self.state, loaded, strict=True):  # the same dictionaries: a captured step looks there
            own.clear()
            own.update(state)


class Call(NamedTuple):
    """A kernel's call for one parameter: its arrays in order, its settings; the new parameter, and what is new of its
    state, both of which hold anything until the kernel has run."""

    arrays: tuple[Array | None, ...]
    settings: Any
    out: Array
    state: State


class Captured(NamedTuple):
    """A launch in a captured graph: what it makes of the settings, for which states, and the lines it reads it from."""

    numbers: Callable[..., tuple[float, ...]]
    states: list[State]
    lines: list[Array]


class KernelOptimizer(Optimizer):
    """One whose step is a kernel: on a GPU, that of all parameters is one launch, as far as they are of one type.

    All new arrays of a launch are then there before the first old one goes.
    """

    kernel: str
    captured: list[Captured] | None = None  # a list while `tr.compile` captures a step

    def how(self, step: int) -> Any:
        """The kernel's settings for a parameter's step of this number."""
        raise NotImplementedError(f"{type(self).__name__} must define how")

    def call(self, p: Array, g: Array, state: State) -> Call:
        """What the kernel is to be called with."""
        raise NotImplementedError(f"{type(self).__name__} must define call")

    def update(self, p: Array, g: Array, state: State) -> Array:
        call = self.call(p, g, state)
        getattr(kernels_for(p, g), self.kernel)(*call.arrays, call.settings)
        state.update(call.state)
        return call.out

    def _take(self, ready: list[tuple[Tensor, Array, State]]) -> None:
        if type(self).update is not KernelOptimizer.update:  # a descendant's own: it works on one parameter at a time
            return super()._take(ready)
        together: dict[Any, list[tuple[Tensor, State, Call]]] = {}
        for p, g, state in ready:
            many = getattr(kernels_for(p.data, g), "MANY", {}).get(self.kernel)
            if many is None and self.captured is not None:
                raise RuntimeError(
                    f"{type(self).__name__} has no kernels here that read the learning rate from memory, as a captured "
                    "step needs: they come with numba-cuda, and not in a block `with tr.kernels(...)`"
                )
            if many is None:
                rebind(p, self.update(p.data, g, state))
            else:
                call = self.call(p.data, g, state)
                together.setdefault((many, call.settings), []).append((p, state, call))
        for (many, settings), alike in together.items():
            kept: list[Array] | None = None if self.captured is None else []
            many.launch([call.arrays for *_, call in alike], settings, kept)
            for p, state, call in alike:
                state.update(call.state)
                rebind(p, call.out)
            if self.captured is not None and kept is not None:
                self.captured.append(Captured(many.numbers, [state for _, state, _ in alike], kept))

    def prepare(self, launches: Iterable[Captured], steps: int) -> None:
        """Before a captured step is launched: count so many steps, and write down the settings of the last."""
        for launch in launches:
            for state in launch.states:
                if "step" in state:
                    state["step"] += steps
            numbers = launch.numbers(self.how(launch.states[0].get("step", 0)))
            for line in launch.lines:
                line.set(np.asarray(numbers, line.dtype))


__all__ = ["Call", "Captured", "KernelOptimizer", "Optimizer", "State"]
