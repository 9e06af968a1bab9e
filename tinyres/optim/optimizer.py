"""Optimizer, the base class, and KernelOptimizer, whose steps are kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinyres.arrays import kernels_for
from tinyres.autograd.tensor import Array, Tensor, rebind
from tinyres.nn.convert import as_array, fill_like
from tinyres.optim.devices import check_devices

State = dict[str, Any]  # the state of one parameter: arrays and step counts by name; empty before its first step

_BELOW_ONE, _ANY = (0.0, 1.0), (0.0, math.inf)
_LIMITS = dict.fromkeys(("lr", "weight_decay", "eps", "momentum"), _ANY) | dict.fromkeys(("betas", "alpha"), _BELOW_ONE)


class Optimizer:
    """Base class: holds the parameters, their state and the settings. A subclass defines `update`.

    Settings are attributes, so that a schedule can assign `optimizer.lr` between steps.

    Raises:
        ValueError: there are no parameters, one occurs twice, or a setting is out of range.
        TypeError: a parameter is not a leaf tensor of a floating dtype.
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
                f"{kind}: there are no parameters; a generator can be used only once, and modules in a plain list are "
                "not found: put them into nn.ModuleList"
            )
        if len({id(p) for p in self.params}) != len(self.params):
            raise ValueError(f"{kind}: a parameter is there twice and would take two steps at a time; pass it once")
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
        """Update every parameter that has a gradient. If an error is raised, no parameter has changed.

        Raises:
            ValueError: a gradient and its parameter differ in shape.
            RuntimeError: a parameter, its gradient and its state are not on one device.
        """
        ready = list[tuple[Tensor, Array, State]]()
        for i, (p, state) in enumerate(zip(self.params, self.state, strict=True)):
            if p.grad is None:
                continue
            if p.grad.shape != p.shape:
                raise ValueError(
                    f"{type(self).__name__}: params[{i}] has shape {p.shape}, its .grad {p.grad.shape}; they must agree"
                )
            check_devices(type(self).__name__, i, p, state)
            ready.append((p, p.grad.data, state))
        self._take(ready)

    def _take(self, ready: list[tuple[Tensor, Array, State]]) -> None:
        """Take the step of these parameters, with gradients and states that have been checked."""
        for p, g, state in ready:
            rebind(p, self.update(p.data, g, state))

    def update(self, p: Array, g: Array, state: State) -> Array:
        """The new array of a parameter; keeps what the next step needs in `state`. It must not write into p or g."""
        raise NotImplementedError(f"{type(self).__name__} must define update")

    def zero_grad(self) -> None:
        """Set `.grad = None` for every parameter."""
        for p in self.params:
            p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """The settings, and the state of every parameter in order. It does not change later: steps make new arrays."""
        settings = {name: getattr(self, name) for name in self.settings}
        return {"settings": settings, "state": [dict(state) for state in self.state]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the result of `state_dict`, of the same kind of optimiser with the same parameters.

        Arrays take the device, the dtype and the memory layout of their parameter.

        Raises:
            ValueError: settings, number of parameters or a shape differ; then nothing is changed.
        """
        settings, states = dict(state_dict["settings"]), list(state_dict["state"])
        what = f"{type(self).__name__}.load_state_dict"
        if set(settings) != set(self.settings):
            raise ValueError(f"{what}: needs the settings {sorted(self.settings)}, got {sorted(settings)}")
        if len(states) != len(self.params):
            raise ValueError(f"{what}: needs the state of {len(self.params)} parameters, got that of {len(states)}")
        for i, (p, state) in enumerate(zip(self.params, states, strict=True)):
            for name, value in state.items():
                if getattr(value, "shape", p.shape) != p.shape:
                    raise ValueError(f"{what}: {name} of params[{i}] must have shape {p.shape}, got {value.shape}")
        for name, value in settings.items():
            setattr(self, name, value)
        loaded = [
            {name: fill_like(p.data, as_array(v)) if hasattr(v, "shape") else v for name, v in state.items()}
            for p, state in zip(self.params, states, strict=True)
        ]
        for own, state in zip(self.state, loaded, strict=True):  # keep the dictionaries: a captured step refers to them
            own.clear()
            own.update(state)


class Call(NamedTuple):
    """The arguments of a kernel for one parameter: arrays and settings. `out` and `state` are the new parameter and
    state, uninitialised until the kernel has run."""

    arrays: tuple[Array | None, ...]
    settings: Any
    out: Array
    state: State


class Captured(NamedTuple):
    """A launch in a captured graph.

    Attributes:
        numbers: (settings) -> the numbers that the kernel reads from memory.
        states: those of its parameters.
        lines: the arrays on the GPU that hold these numbers.
    """

    numbers: Callable[..., tuple[float, ...]]
    states: list[State]
    lines: list[Array]


class KernelOptimizer(Optimizer):
    """An optimiser whose step is a kernel. On a GPU, one launch updates all parameters that share dtype and settings.

    All new arrays of a launch exist before the first old one is freed.
    """

    kernel: str
    captured: list[Captured] | None = None  # a list while `tr.compile` captures a step

    def how(self, step: int) -> Any:
        """The kernel's settings for a parameter whose step count is `step`."""
        raise NotImplementedError(f"{type(self).__name__} must define how")

    def call(self, p: Array, g: Array, state: State) -> Call:
        """The arguments of the kernel for this parameter."""
        raise NotImplementedError(f"{type(self).__name__} must define call")

    def update(self, p: Array, g: Array, state: State) -> Array:
        call = self.call(p, g, state)
        getattr(kernels_for(p, g), self.kernel)(*call.arrays, call.settings)
        state.update(call.state)
        return call.out

    def _take(self, ready: list[tuple[Tensor, Array, State]]) -> None:
        if type(self).update is not KernelOptimizer.update:  # a subclass has its own, for one parameter at a time
            return super()._take(ready)
        groups: dict[Any, list[tuple[Tensor, State, Call]]] = {}
        for p, g, state in ready:
            many = getattr(kernels_for(p.data, g), "MANY", {}).get(self.kernel)
            if many is None and self.captured is not None:
                raise RuntimeError(
                    f"{type(self).__name__} needs kernels that read the learning rate from memory to be captured: "
                    "install numba-cuda, and do not force other kernels by `with tr.kernels(...)`"
                )
            if many is None:
                rebind(p, self.update(p.data, g, state))
            else:
                call = self.call(p.data, g, state)
                groups.setdefault((many, call.settings), []).append((p, state, call))
        for (many, settings), group in groups.items():
            lines: list[Array] | None = None if self.captured is None else []
            many.launch([call.arrays for *_, call in group], settings, lines)
            for p, state, call in group:
                state.update(call.state)
                rebind(p, call.out)
            if self.captured is not None and lines is not None:
                self.captured.append(Captured(many.numbers, [state for _, state, _ in group], lines))

    def prepare(self, launches: Iterable[Captured], steps: int) -> None:
        """Before a captured step is launched: add `steps` to the step counts, and write the settings to the GPU."""
        for launch in launches:
            for state in launch.states:
                if "step" in state:
                    state["step"] += steps
            numbers = launch.numbers(self.how(launch.states[0].get("step", 0)))
            for line in launch.lines:
                line.set(np.asarray(numbers, line.dtype))


__all__ = ["Call", "Captured", "KernelOptimizer", "Optimizer", "State"]
